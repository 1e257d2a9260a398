"""A posterior whose means and deviations are given, for cases worked by hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from hwsearch._typing import FloatArray, IntArray
from hwsearch.searchers.bayesian.posterior import EncodedRows, MultiObjectivePosterior
from hwsearch.searchers.bayesian.space_kernel import SpaceKernel


class KnownPosterior(MultiObjectivePosterior):
    """Costs of some rows by hand; every other row is bad and certain.

    costs, deviations : row to (m,); samples lie at mean - deviation and mean + deviation, in turn, alike for all rows
    """

    def __init__(
        self, kernel: SpaceKernel, costs: Mapping[tuple, list[float]], deviations: Mapping[tuple, list[float]]
    ) -> None:
        self.kernel = kernel
        self.precision, self.measured = np.float64, kernel.row_features(kernel.space.enumerate_array()[:1])
        self._means, self._deviations = costs, deviations
        self._m, self._models, self.sums = len(next(iter(costs.values()))), [], None

    def fit(
        self, rows: IntArray, values: FloatArray, noise: FloatArray, violation: FloatArray, starts: object = None
    ) -> None:
        """Nothing to fit."""

    def single_precision(self) -> KnownPosterior:
        return self

    def _of(self, table: Mapping[tuple, list[float]], rows: IntArray, other: float) -> FloatArray:
        return np.array([table.get(tuple(row), [other] * self._m) for row in rows.tolist()]).reshape(-1, self._m)

    def mean(self, rows: EncodedRows) -> FloatArray:
        return self._of(self._means, rows.rows, 1000.0)

    def bound(self, rows: EncodedRows, deviations: float | FloatArray) -> FloatArray:
        return self.mean(rows) + np.asarray(deviations) * self._of(self._deviations, rows.rows, 0.0)

    def bound_where(self, rows: EncodedRows, deviations: float, promising: object) -> FloatArray:
        return self.bound(rows, deviations)

    def samples(self, rows: IntArray, count: int, rng: np.random.Generator) -> FloatArray:
        mean, deviation = self._of(self._means, rows, 1000.0), self._of(self._deviations, rows, 0.0)
        turn = np.where(np.arange(count) % 2, 1.0, -1.0)
        return mean + turn[:, None, None] * deviation


@pytest.fixture
def known_posterior() -> type[KnownPosterior]:
    return KnownPosterior
