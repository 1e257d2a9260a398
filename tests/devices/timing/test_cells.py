"""Tables of filled cells: equal to what the whole tables give, which numpy computes here."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwsearch.devices.timing import cells as module
from hwsearch.devices.timing.cells import Cells
from hwsearch.devices.timing.ratios import Look, Looks, ratio_estimates
from hwsearch.devices.timing.sensitivity import MANY, Sensitivity, column_sensitivities, pooled_sensitivities


@pytest.fixture(params=range(4))
def table(request) -> np.ndarray:
    rng = np.random.default_rng(request.param)
    found = rng.standard_normal((9, 7))
    found[rng.random(found.shape) < 0.5] = math.nan
    found[3], found[:, 2] = math.nan, math.nan  # an empty row, and an empty column
    found[0, 0] = 1.0
    return found


def test_sums_means_counts_and_medians_are_those_of_the_whole_table(table: np.ndarray) -> None:
    found = Cells.of(table)
    there = ~np.isnan(table)
    assert found.row_counts.tolist() == there.sum(axis=1).tolist()
    assert found.column_counts.tolist() == there.sum(axis=0).tolist()
    np.testing.assert_array_equal(found.column_sums(), np.where(there, table, 0.0).sum(axis=0))
    full = there.any(axis=0)
    np.testing.assert_allclose(found.column_means()[full], np.nanmean(table[:, full], axis=0))
    assert np.isnan(found.column_means()[~full]).all()
    rows = there.any(axis=1)
    np.testing.assert_array_equal(found.row_medians()[rows], np.nanmedian(table[rows], axis=1))
    assert np.isnan(found.row_medians()[~rows]).all()


def test_rows_of_one_label_become_their_mean(table: np.ndarray) -> None:
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
    joined = Cells.of(table).joined_rows(labels)
    assert joined.shape == (3, 7)
    for row, column, value in zip(joined.row, joined.column, joined.value, strict=True):
        assert value == pytest.approx(np.nanmean(table[labels == row, column]))
    parts = [~np.isnan(table[labels == k]) for k in range(3)]
    assert len(joined.value) == sum(int(p.any(axis=0).sum()) for p in parts)


def test_movements_are_counted_alike_from_the_filled_table_and_from_its_cells(table: np.ndarray, monkeypatch) -> None:
    found = Cells.of(table)
    whole = found.movements()
    monkeypatch.setattr(module, "FEW", 0)
    assert found.movements() == pytest.approx(whole) and whole > 1
    one = Cells.of(np.outer([1.0, -1.0, 2.0], [1.0, 2.0]))
    assert one.movements() == pytest.approx(1.0)


def test_a_table_without_a_cell_has_no_shifts_and_one_movement() -> None:
    nothing = Cells.of(np.full((2, 3), math.nan))
    assert nothing.row_shifts(np.zeros(2, dtype=bool)).tolist() == [0.0, 0.0] and nothing.movements() == 1.0
    assert len(Cells.of(np.zeros((0, 0))).joined_rows(np.zeros(0, dtype=np.int64)).value) == 0


def test_estimates_of_columns_are_those_of_lists() -> None:
    rng = np.random.default_rng(0)
    looks = [
        [
            Look(20.0 * k, float(rng.normal(0, 0.01)), 1e-5, 1.0 + 0.01 * k, 0.001, float(rng.normal()), 0.5)
            for k in range(3)
        ]
        for _ in range(5)
    ]
    lists, columns = ratio_estimates([*looks, []], 0.95), ratio_estimates(Looks.of(looks), 0.95, n=6)
    np.testing.assert_array_equal(columns.centre, lists.centre)
    np.testing.assert_array_equal(columns.wide, lists.wide)
    assert math.isnan(columns.centre[5]) and columns.processes.tolist() == [3] * 5 + [0]


@pytest.mark.parametrize("looks", [1, 3, MANY, MANY + 5])
def test_sensitivities_of_columns_are_those_of_lists(looks: int) -> None:
    rng = np.random.default_rng(looks)
    found = [[Sensitivity(float(rng.normal()), float(rng.uniform(0.1, 1))) for _ in range(looks)] for _ in range(4)]
    value, error = (np.array([s[k] for own in found for s in own]) for k in (0, 1))
    columns = column_sensitivities(value, error, np.repeat(np.arange(4), looks), 5)
    assert [Sensitivity(*s) for s in zip(*columns, strict=True)] == pooled_sensitivities([*found, []])
