"""Dominance, hypervolume and attainment against brute force, pymoo and counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymoo.indicators.hv import HV

from hwsearch._typing import FloatArray
from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import attainment, hypervolume, non_dominated, reference_point
from tests.objectives.strategies import POOL, cases


def brute_mask(values: FloatArray, sign: FloatArray) -> list[bool]:
    costs = values * sign
    mask = []
    for i, a in enumerate(costs):
        whole = not np.isnan(a).any()
        worse = any((b <= a).all() and (b < a).any() for b in costs)
        repeated = any((b == a).all() for b in costs[:i])
        mask.append(whole and not worse and not repeated)
    return mask


@settings(deadline=None)
@given(cases())
def test_non_dominated_is_the_definition(values: FloatArray) -> None:
    objectives = POOL[: values.shape[1]]
    before = values.copy()
    found = non_dominated(values, objectives)
    assert found.tolist() == brute_mask(values, np.array([o.sign for o in objectives]))
    assert np.array_equal(values, before, equal_nan=True)


@settings(max_examples=60, deadline=None)
@given(cases(-3, 3, 8))
def test_hypervolume_counts_the_dominated_unit_cells(values: FloatArray) -> None:
    """On an integer grid the hypervolume is the number of unit cells under the points."""
    objectives = POOL[: values.shape[1]]
    sign = np.array([o.sign for o in objectives])
    m = len(objectives)
    reference = 2.0 * sign
    costs = (values * sign)[~np.isnan(values).any(axis=1)]
    cells = np.stack(np.meshgrid(*[np.arange(-3, 2)] * m), axis=-1).reshape(-1, m)  # lower corners, up to the reference
    covered = (costs[None, :, :] <= cells[:, None, :]).all(axis=2).any(axis=1).sum()
    assert hypervolume(values, objectives, reference) == pytest.approx(float(covered))


@pytest.mark.parametrize("m", [2, 3, 4])
def test_hypervolume_equals_pymoo(m: int) -> None:
    rng = np.random.default_rng(m)
    objectives = POOL[:m]
    sign = np.array([o.sign for o in objectives])
    costs = rng.random((40, m))
    reference = np.full(m, 0.9)  # some points lie outside
    expected = HV(ref_point=reference)(costs)
    assert hypervolume(costs * sign, objectives, reference * sign) == pytest.approx(expected, rel=1e-12)


def test_hypervolume_refuses_a_reference_of_another_length_and_is_zero_without_points() -> None:
    assert hypervolume(np.empty((0, 2)), POOL[:2], [70.0, 2.0]) == 0.0
    for reference in ([1.0], [1.0, np.nan]):
        with pytest.raises(SearchError):
            hypervolume([[80.0, 1.0]], POOL[:2], reference)
    with pytest.raises(SearchError):
        hypervolume([[80.0, 1.0, 3.0]], POOL[:2], [1.0, 1.0])
    with pytest.raises(SearchError, match=r"shape \(3, 2, 1\) do not fit the 2 objectives"):
        hypervolume(np.ones((3, 2, 1)), POOL[:2], [1.0, 1.0])


@settings(deadline=None)
@given(cases(), st.floats(0.01, 0.5))
def test_every_measured_row_is_strictly_better_than_the_reference_point(values: FloatArray, margin: float) -> None:
    objectives = POOL[: values.shape[1]]
    whole = values[~np.isnan(values).any(axis=1)]
    if not len(whole):
        with pytest.raises(SearchError):
            reference_point(values, objectives, margin)
        return
    sign = np.array([o.sign for o in objectives])
    assert (whole * sign < reference_point(values, objectives, margin) * sign).all()


def test_reference_point_by_hand() -> None:
    values = [[70.0, 1.0], [80.0, 3.0], [np.nan, 9.0]]
    assert reference_point(values, POOL[:2]) == pytest.approx([70 - 0.5, 3 + 0.1])


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("share", [0.2, 0.25, 0.5, 1.0])
def test_attainment_by_counting(m: int, share: float) -> None:
    """Whether a point is attained by enough runs, counted for many points, against the surface."""
    rng = np.random.default_rng(m)
    objectives = [Objective("accuracy"), Objective("latency_ms"), Objective("macs", "min")][:m]
    runs = [rng.random((int(rng.integers(1, 12)) * m**2, m)) for _ in range(9)]
    runs[3][0] = np.nan
    turn = np.array([o.sign for o in objectives])
    surface = attainment(runs, objectives, share) * turn
    points = rng.random((400, m)) * turn
    count = sum(((run * turn)[None] <= points[:, None]).all(axis=2).any(axis=1) for run in runs)
    attained = (surface[None] <= points[:, None]).all(axis=2).any(axis=1)
    assert (attained == (count >= share * 9)).all() and 0 < attained.sum() < 400
    # every point of the surface is itself attained
    own = sum(((run * turn)[None] <= surface[:, None] + 1e-12).all(axis=2).any(axis=1) for run in runs)
    assert (own >= share * 9).all()


def test_attainment_of_runs_that_found_nothing() -> None:
    two = [Objective("accuracy"), Objective("latency_ms")]
    empty: list[list[float]] = []
    assert attainment([empty, [[70.0, 2.0]]], two, 1.0).shape == (0, 2)
    assert attainment([empty, [[70.0, 2.0]]], two, 0.5).tolist() == [[70.0, 2.0]]
    for runs, objectives, share in (([], two, 0.5), ([[[1.0, 1.0]]], two, 0.0), ([[[1.0]]], two[:1], 0.5)):
        with pytest.raises(SearchError, match="attainment"):
            attainment(runs, objectives, share)
