"""Depth-wise convolution, alone and with norm and activation, against float64 over random shapes and layouts."""

from __future__ import annotations

import torch
from hypothesis import HealthCheck, assume, given, settings

from hwsearch.supernets.kernels import EAGER
from hwsearch.supernets.kernels.native import NativeKernels
from hwsearch.supernets.kernels.operators import depthwise
from tests.supernets.kernels.cases import Case, cases, cast, check, smooth

many = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many
@given(case=cases())
def test_convolution_equals_float64(native: NativeKernels, case: Case) -> None:
    x = case.image(case.channels, case.height, case.width)
    w = case.draw(case.channels, 1, case.kernel, case.kernel)
    check(native, lambda k, t: k.depthwise(t[0], t[1], case.stride), [x, w], case.threads)


@many
@given(case=cases(smallest_batch=1))
def test_norm_and_activation_equal_float64(native: NativeKernels, case: Case) -> None:
    assume(case.pixels >= 16)
    x = case.image(case.channels, case.height, case.width)
    w, norm = case.draw(case.channels, 1, case.kernel, case.kernel), case.norm(case.channels)
    w = w + w.sign() / 2  # a norm divides by a weight that is almost zero

    exact = cast(norm, x.double())._replace(weight=norm.weight.double(), bias=norm.bias.double())
    assume(smooth(EAGER.depthwise_norm_act(x.double(), w.double(), case.stride, exact), case.act))

    def operator(k, t):  # type: ignore[no-untyped-def]
        own = cast(norm, t[0])._replace(weight=t[2], bias=t[3])
        return k.depthwise_norm_act(t[0], t[1], case.stride, own, case.act)

    check(native, operator, [x, w, norm.weight, norm.bias], case.threads, floor=1.0)


def test_the_centre_of_a_larger_kernel_is_read_in_place(native: NativeKernels) -> None:
    x, full = torch.randn(2, 9, 6, 5), torch.randn(12, 1, 7, 7, requires_grad=True)
    y = native.depthwise(x, full[:9, :, 2:-2, 2:-2], 1)
    y.square().sum().backward()
    assert torch.allclose(y, torch.nn.functional.conv2d(x, full[:9, :, 2:-2, 2:-2], padding=1, groups=9), atol=1e-5)
    assert full.grad is not None and not full.grad[:, :, :2].any() and (full.grad[:9, :, 3, 3] != 0).all()


def test_opcheck(native: NativeKernels) -> None:
    x, w = torch.randn(2, 5, 6, 4, requires_grad=True), torch.randn(5, 1, 3, 3, requires_grad=True)
    weight, bias = torch.rand(5, requires_grad=True), torch.randn(5, requires_grad=True)
    torch.library.opcheck(depthwise.depthwise, (x, w, 2))
    torch.library.opcheck(
        torch.ops.hwsearch.depthwise_backward.default, (torch.randn(2, 5, 3, 2), x.detach(), w.detach(), 2, True, True)
    )
    torch.library.opcheck(depthwise.depthwise_norm, (x, w, 1, weight, bias, 2, 1e-5))
