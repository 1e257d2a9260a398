"""Triton's programs by its interpreter, beside eager torch in float64: outputs, gradients, running statistics."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
import torch

from hwsearch.errors import SupernetError
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.supernets.kernels import EAGER, Norm, choose, using
from tests.supernets.kernels.cases import cast, check

if TYPE_CHECKING:
    from hwsearch.supernets.kernels.triton import TritonKernels


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
