"""Squeeze-and-excitation against float64 over random shapes and layouts."""

from __future__ import annotations

import torch
from hypothesis import HealthCheck, given, settings

from hwsearch.supernets.kernels.native import NativeKernels
from hwsearch.supernets.kernels.operators.squeeze_excite import squeeze_excite
from tests.supernets.kernels.cases import Case, cases, check


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases())
def test_results_equal_float64(native: NativeKernels, case: Case) -> None:
    c, middle = case.channels, case.outputs
    inputs = [case.image(c, case.height, case.width), case.draw(middle, c, 1, 1), case.draw(middle, 1)[:, 0]]
    inputs += [case.draw(c, middle, 1, 1), case.draw(c, 3)[:, 0]]
    check(native, lambda k, t: k.squeeze_excite(*t), inputs, case.threads)


def test_opcheck(native: NativeKernels) -> None:
    shapes = ((2, 6, 3, 4), (4, 6), (4,), (6, 4), (6,))
    torch.library.opcheck(squeeze_excite, tuple(torch.randn(*s, requires_grad=True) for s in shapes))
