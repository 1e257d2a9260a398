"""Triton's programs by its interpreter, beside eager torch in float64: outputs, gradients, running statistics."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from hwsearch.errors import SupernetError
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.supernets.kernels import ACTIVATIONS, EAGER, Kernels, Norm, choose, using
from tests.supernets.kernels.cases import Case, cast, check

if TYPE_CHECKING:
    from hwsearch.supernets.kernels.triton import TritonKernels


@pytest.fixture(scope="module")
def programs() -> Iterator[TritonKernels]:
    """The kernels on the processor; the interpreter is chosen when a program is first read."""
    if find_spec("triton") is None:
        pytest.skip("the package triton is not installed")
    before = os.environ.get("TRITON_INTERPRET")
    os.environ["TRITON_INTERPRET"] = "1"
    try:
        from hwsearch.supernets.kernels.triton import TritonKernels

        found = choose("triton", "cpu").kernels
        assert isinstance(found, TritonKernels)
        yield found
    finally:
        if before is None:
            del os.environ["TRITON_INTERPRET"]
        else:
            os.environ["TRITON_INTERPRET"] = before


def case(seed: int, layout: str = "channels last") -> Case:
    return Case(2, 33, 7, 6, 8, 3, 1, "relu", layout, True, 1, seed)


@pytest.mark.parametrize(
    ("side", "stride", "channels", "height", "width", "layout"),
    [
        (3, 1, 33, 5, 7, "channels last"),
        (3, 2, 7, 8, 5, "every other channel"),
        (5, 1, 1, 4, 9, "channels first"),
        (5, 2, 40, 7, 6, "part of an image"),
        (7, 1, 9, 3, 3, "channels last"),
        (7, 2, 17, 6, 9, "channels first"),
    ],
)
def test_depth_wise_convolution(
    programs: TritonKernels, side: int, stride: int, channels: int, height: int, width: int, layout: str
) -> None:
    """Odd channels, both strides, all kernels, sides that no block divides."""
    made = case(side + stride, layout)
    inputs = [made.image(channels, height, width), made.draw(channels, 1, side, side)]
    check(programs, lambda k, t: k.depthwise(t[0], t[1], stride), inputs, 1)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("act", sorted(ACTIVATIONS))
def test_norm_activation_and_residual(programs: TritonKernels, act: str, residual: bool) -> None:
    made = case(3, "every other channel" if residual else "channels last")
    given = made.norm(33)
    inputs = [made.image(33, 7, 6), given.weight, given.bias, *([made.image(33, 7, 6)] if residual else [])]

    def operator(k: Kernels, t: list[Tensor]) -> Tensor:
        own = cast(given, t[0])._replace(weight=t[1], bias=t[2])
        return k.norm_act(t[0], own, act, t[3] if residual else None)  # type: ignore[arg-type]

    check(programs, operator, inputs, 1)  # type: ignore[arg-type]


def test_sums_of_many_pixels_are_split(programs: TritonKernels) -> None:
    """529 pixels are two parts, of which the last has fewer; a mean far from 0 costs no digits."""
    x, w = torch.randn(1, 5, 23, 23) + 1000, torch.randn(5, 1, 3, 3)
    check(programs, lambda k, t: k.depthwise(t[0] - 1000, t[1], 1), [x, w], 1)
    norm = Norm(torch.ones(5), torch.zeros(5), torch.zeros(5), torch.ones(5), 0.1, 1e-5)
    exact = EAGER.norm_act(
        x.double(), cast(norm, x.double())._replace(weight=norm.weight.double(), bias=norm.bias.double())
    )
    found = programs.norm_act(x, norm)
    assert float((found.double() - exact).abs().max()) < 1e-3


def test_running_statistics_move_as_torchs(programs: TritonKernels) -> None:
    x = torch.randn(3, 7, 4, 5) * 2 + 1
    norms = [Norm(torch.ones(7), torch.zeros(7), torch.zeros(7), torch.ones(7), 0.1, 1e-5) for _ in range(2)]
    for kernels, norm in zip((programs, EAGER), norms, strict=True):
        kernels.norm_act(x, norm)
    torch.testing.assert_close(norms[0].running_mean, norms[1].running_mean)
    torch.testing.assert_close(norms[0].running_var, norms[1].running_var)


@pytest.mark.parametrize("act", sorted(ACTIVATIONS))
def test_not_a_number_stays_one(programs: TritonKernels, act: str) -> None:
    x = torch.randn(2, 9, 4, 4)
    x[1, 3, 2, 1] = torch.nan
    norm = Norm(torch.ones(9), torch.zeros(9), torch.zeros(9), torch.ones(9), 0.1, 1e-5)
    y = programs.norm_act(x, norm, act)  # type: ignore[arg-type]
    assert y[:, 3].isnan().all() and not y[:, :3].isnan().any() and not y[:, 4:].isnan().any()


def test_half_precision_is_read_and_written_and_added_up_in_float32(programs: TritonKernels) -> None:
    x, w = torch.randn(2, 8, 5, 5, dtype=torch.bfloat16), torch.randn(8, 1, 5, 5)
    with torch.autocast("cpu", torch.bfloat16):
        found = programs.depthwise(x, w, 1)
    exact = EAGER.depthwise(x.float(), w.bfloat16().float(), 1)
    assert found.dtype is torch.bfloat16
    # the interpreter cuts the last digits of bfloat16 off, where a GPU rounds them
    assert float((found.float() - exact).abs().max()) <= 2**-7 * float(exact.abs().max())
    norm = Norm(torch.ones(8), torch.zeros(8), torch.zeros(8), torch.ones(8), 0.1, 1e-5)
    y = programs.norm_act(x, norm, "silu", x)
    assert y.dtype is torch.bfloat16
    plain = EAGER.norm_act(x.float(), norm, "silu", x.float())
    assert float((y.float() - plain).abs().max()) <= 2**-6 * float(plain.abs().max())


def test_torch_knows_the_operators(programs: TritonKernels) -> None:
    """Schema, fakes and autograd by torch's own check."""
    from hwsearch.supernets.kernels.programs.depthwise import depthwise
    from hwsearch.supernets.kernels.programs.norm import norm

    x, w = torch.randn(2, 3, 4, 5, requires_grad=True), torch.randn(3, 1, 3, 3, requires_grad=True)
    torch.library.opcheck(depthwise, (x, w, 2))
    one = torch.ones(3, requires_grad=True)
    torch.library.opcheck(norm, (x, one, one.detach().clone().requires_grad_(), x.detach().clone(), 3, 1e-5))


def test_what_they_do_not_take_is_torchs(programs: TritonKernels) -> None:
    x = torch.randn(2, 6, 4, 4, dtype=torch.float64)
    w = torch.randn(6, 1, 3, 3, dtype=torch.float64)
    assert torch.equal(programs.depthwise(x, w, 1), EAGER.depthwise(x, w, 1))
    assert programs.depthwise(torch.randn(0, 6, 4, 4), w.float(), 1).shape == (0, 6, 4, 4)
    wide = torch.randn(6, 1, 9, 9)
    assert torch.equal(programs.depthwise(x.float(), wide, 1), EAGER.depthwise(x.float(), wide, 1))
    norm = Norm(torch.ones(3), torch.zeros(3), torch.zeros(3), torch.ones(3), 0.1, 1e-5)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        programs.norm_act(torch.randn(1, 3, 1, 1), norm)


def test_a_subnet_has_the_gradients_of_eager_torch(programs: TritonKernels, small_supernet: ElasticMobileNetV3) -> None:
    torch.manual_seed(0)
    net, found = small_supernet.train(), []
    arch = net.space.smallest()
    x = torch.randn(4, *net.input_shape(arch))
    programs.used = False
    for kernels, dtype in ((EAGER, torch.float64), (EAGER, torch.float32), (programs, torch.float32)):
        own = copy.deepcopy(net).to(dtype)
        own.activate(arch)
        with using(kernels):
            own(x.to(dtype)).square().sum().backward()
        found.append(torch.cat([p.grad.double().flatten() for p in own.parameters() if p.grad is not None]))
    assert programs.used
    errors = [float((g - found[0]).norm() / found[0].norm()) for g in found[1:]]
    assert errors[1] <= max(3 * errors[0], 1e-5)


def test_without_a_gpu_or_the_package_they_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(SupernetError, match=r"programs for GPUs, and the training is on the processor.*--device cuda"):
        choose("triton")
    monkeypatch.setitem(__import__("sys").modules, "triton", None)
    with pytest.raises(SupernetError, match=r"triton kernels cannot be had: .*Install the package triton"):
        choose("triton", "cuda")
