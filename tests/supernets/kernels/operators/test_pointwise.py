"""1×1 convolution, alone and with norm, activation and residual, against float64 over random shapes and layouts."""

from __future__ import annotations

import torch
from hypothesis import HealthCheck, assume, given, settings

from hwsearch.supernets.kernels import EAGER
from hwsearch.supernets.kernels.native import NativeKernels
from hwsearch.supernets.kernels.operators import pointwise
from tests.supernets.kernels.cases import Case, cases, cast, check, smooth

many = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many
@given(case=cases())
def test_convolution_equals_float64(native: NativeKernels, case: Case) -> None:
    x, w = case.image(case.channels, case.height, case.width), case.draw(case.outputs, case.channels, 1, 1)
    check(native, lambda k, t: k.pointwise(t[0], t[1]), [x, w], case.threads)


@many
@given(case=cases(smallest_batch=1))
def test_norm_and_activation_equal_float64(native: NativeKernels, case: Case) -> None:
    assume(case.images * case.height * case.width >= 16 and case.channels > 2)  # of one input the gradient is zero
    x, w = case.image(case.channels, case.height, case.width), case.draw(case.outputs, case.channels, 1, 1)
    norm = case.norm(case.outputs)
    w = w + w.sign() / 2  # a norm divides by a weight that is almost zero
    exact = cast(norm, x.double())._replace(weight=norm.weight.double(), bias=norm.bias.double())
    assume(smooth(EAGER.pointwise_norm_act(x.double(), w.double(), exact), case.act))
    inputs = [x, w, norm.weight, norm.bias]
    inputs += [case.image(case.outputs, case.height, case.width)] * case.residual

    def operator(k, t):  # type: ignore[no-untyped-def]
        own = cast(norm, t[0])._replace(weight=t[2], bias=t[3])
        return k.pointwise_norm_act(t[0], t[1], own, case.act, t[4] if case.residual else None)

    check(native, operator, inputs, case.threads, floor=1.0)


def test_a_sliced_weight_needs_no_copy(native: NativeKernels) -> None:
    x, full = torch.randn(2, 6, 3, 5), torch.randn(20, 12, 1, 1, requires_grad=True)
    y = native.pointwise(x, full[:9, :6])
    y.sum().backward()
    assert torch.allclose(y, torch.nn.functional.conv2d(x, full[:9, :6]), atol=1e-5)
    assert (
        full.grad is not None
        and (full.grad[:9, :6] != 0).all()
        and not full.grad[9:].any()
        and not full.grad[:, 6:].any()
    )


def test_opcheck(native: NativeKernels) -> None:
    x, w = torch.randn(2, 5, 3, 4, requires_grad=True), torch.randn(7, 5, 1, 1, requires_grad=True)
    weight, bias = torch.rand(7, requires_grad=True), torch.randn(7, requires_grad=True)
    torch.library.opcheck(pointwise.pointwise, (x, w))
    torch.library.opcheck(
        torch.ops.hwsearch.pointwise_backward.default, (torch.randn(2, 7, 3, 4), x.detach(), w.detach(), True, False)
    )
    torch.library.opcheck(pointwise.pointwise_norm, (x, w, weight, bias, None, 1, 1e-5))
    residual = torch.randn(2, 7, 3, 4, requires_grad=True)
    torch.library.opcheck(pointwise.pointwise_norm, (x, w, weight, bias, residual, 3, 1e-5))
