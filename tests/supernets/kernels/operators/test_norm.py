"""Batch norm with activation and residual against float64, and its running statistics against torch's."""

from __future__ import annotations

import torch
from hypothesis import HealthCheck, assume, given, settings

from hwsearch.supernets.kernels import EAGER
from hwsearch.supernets.kernels.native import NativeKernels
from hwsearch.supernets.kernels.operators import norm as operators
from tests.supernets.kernels.cases import Case, cases, cast, check, smooth


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases(smallest_batch=1))
def test_results_equal_float64(native: NativeKernels, case: Case) -> None:
    assume(case.images * case.height * case.width >= 16)
    x, norm = case.image(case.channels, case.height, case.width), case.norm(case.channels)
    inputs = [x, norm.weight, norm.bias, *[case.image(case.channels, case.height, case.width)] * case.residual]

    exact = cast(norm, x.double())._replace(weight=norm.weight.double(), bias=norm.bias.double())
    assume(smooth(EAGER.norm_act(x.double(), exact), case.act))

    def operator(k, t):  # type: ignore[no-untyped-def]
        own = cast(norm, t[0])._replace(weight=t[1], bias=t[2])
        return k.norm_act(t[0], own, case.act, t[3] if case.residual else None)

    check(native, operator, inputs, case.threads, floor=1.0)


def test_channels_with_a_large_mean_keep_their_variance(native: NativeKernels) -> None:
    x = torch.randn(4, 3, 5, 5) + torch.tensor([0.0, 1e3, -1e4]).view(1, 3, 1, 1)
    exact = torch.nn.functional.batch_norm(x.double(), None, None, None, None, True)
    case = Case(4, 3, 5, 5, 3, 3, 1, "identity", "channels first", False, 3, 0)
    norm = case.norm(3)._replace(weight=torch.ones(3), bias=torch.zeros(3))
    torch.set_num_threads(3)
    assert (native.norm_act(x, norm).double() - exact).abs().max() < 2e-3


def test_running_statistics_move_as_torch_moves_them(native: NativeKernels) -> None:
    x = torch.randn(3, 10, 4, 6) * 2 + 1
    found, expected = (Case(3, 10, 4, 6, 1, 3, 1, "relu", "channels first", False, 1, 0).norm(10) for _ in range(2))
    for _ in range(3):
        native.norm_act(x, found, "relu")
        EAGER.norm_act(x, expected, "relu")
    assert torch.allclose(found.running_mean, expected.running_mean, rtol=1e-5, atol=1e-6)
    assert torch.allclose(found.running_var, expected.running_var, rtol=1e-5)


def test_opcheck(native: NativeKernels) -> None:
    x = torch.randn(2, 5, 3, 4, requires_grad=True)
    weight, bias = torch.rand(5, requires_grad=True), torch.randn(5, requires_grad=True)
    torch.library.opcheck(operators.norm, (x, weight, bias, None, 4, 1e-5))
    torch.library.opcheck(operators.norm, (x, weight, bias, torch.randn(2, 5, 3, 4, requires_grad=True), 0, 1e-5))
