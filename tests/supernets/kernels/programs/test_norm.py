"""Triton's norm with activation and residual by its interpreter, beside eager torch in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from hwsearch.supernets.kernels import ACTIVATIONS, EAGER, Kernels, Norm
from tests.supernets.kernels.cases import Case, cast, check

if TYPE_CHECKING:
    from hwsearch.supernets.kernels.triton import TritonKernels


def case(seed: int, layout: str = "channels last") -> Case:
    return Case(2, 33, 7, 6, 8, 3, 1, "relu", layout, True, 1, seed)


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
