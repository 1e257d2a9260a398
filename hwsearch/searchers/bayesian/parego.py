"""ParEGO: Gaussian-process optimisation of random weightings."""

from __future__ import annotations

import warnings
from typing import ClassVar

import numpy as np
from pydantic import Field
from scipy.special import ndtr
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from hwsearch._typing import FloatArray, IntArray
from hwsearch.searchers.evolutionary.evolution import Mating, evolve
from hwsearch.searchers.evolutionary.population import unit_costs
from hwsearch.searchers.options import SearcherOptions
from hwsearch.searchers.predicted.rounds import RoundSearcher

#: more rows than this are thinned to the best half and a uniform half, as the cost of a fit is cubic
MAX_OBSERVATIONS = 400


class ParegoOptions(SearcherOptions):
    """Options of ParEGO."""

    start: int = Field(20, ge=2, description="Size of the uniform first sample.")
    inner_evaluations: int = Field(2000, ge=20, description="Predicted architectures for each one measured.")


class ParegoSearcher(RoundSearcher):
    """ParEGO: Gaussian-process optimisation of random weightings of the objectives.

    For each architecture to measure, a weighting of the objectives is drawn, scikit-learn's Gaussian process is fitted
    to the augmented Tchebycheff values, and evolution finds the largest expected improvement. What exceeds limits is
    charged with its violation. With one objective this is efficient global optimisation. Options: `ParegoOptions`.

    References
    ----------
    Knowles 2006, "ParEGO: a hybrid algorithm with on-line landscape approximation for expensive multiobjective
    optimization problems", doi 10.1109/TEVC.2005.851274.
    """

    name: ClassVar[str] = "parego"
    Options: ClassVar[type[SearcherOptions]] = ParegoOptions

    options: ParegoOptions

    def _sizes(self) -> tuple[int, int]:
        return self.options.start, 1

    def _next_round(self, n: int) -> IntArray:
        values = self.values
        complete = np.flatnonzero(~np.isnan(values).any(axis=1))
        rows, values = self.rows[complete], values[complete]
        costs, violation = unit_costs(self.costs(values)), self.violation(values)
        chosen: dict[bytes, IntArray] = {}
        for _ in range(n):
            weights = self.rng.dirichlet(np.ones(costs.shape[1]))
            scalar = (costs * weights).max(axis=1) + 0.05 * costs @ weights + np.minimum(violation, 1.0)
            found = [row for row in self._best(rows, scalar) if row.tobytes() not in chosen]
            chosen.update((row.tobytes(), row) for row in found[:1])
        return np.array([*chosen.values()], dtype=np.int64).reshape(-1, len(self.space.choices))

    def _best(self, rows: IntArray, scalar: FloatArray) -> IntArray:
        """Find new rows, by falling expected improvement on costs (n,) of measured rows."""
        order = np.argsort(scalar, kind="stable")
        if len(order) > MAX_OBSERVATIONS:
            rest = self.rng.choice(order[MAX_OBSERVATIONS // 2 :], MAX_OBSERVATIONS // 2, replace=False)
            order = np.concatenate([order[: MAX_OBSERVATIONS // 2], rest])
        process = fitted_process(self.space.encode_array(rows[order]), scalar[order])
        least = float(scalar.min())

        def score(candidates: IntArray) -> tuple[FloatArray, FloatArray]:
            mean, deviation = process.predict(self.space.encode_array(candidates), return_std=True)
            deviation = np.maximum(deviation, 1e-9)
            z = (least - mean) / deviation
            density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
            gain = deviation * (z * ndtr(z) + density)
            return -gain[:, None], np.zeros(len(candidates))

        population = min(20, self.options.inner_evaluations)
        start = rows[order[: population // 2]]
        found, costs, _ = evolve(
            self.space,
            score,
            start,
            population=population,
            evaluations=self.options.inner_evaluations,
            mating=Mating(),
            rng=self.rng,
        )
        new = self._is_new(found)
        return found[new][np.argsort(costs[new, 0], kind="stable")]


def fitted_process(X: FloatArray, y: FloatArray) -> GaussianProcessRegressor:
    """Fit scikit-learn's Gaussian process with a Matérn 5/2 kernel and noise, both by marginal likelihood.

    Parameters
    ----------
    X : ndarray (n, columns)
        Encoded architectures.
    y : ndarray (n,)
        Targets.

    Returns
    -------
    sklearn.gaussian_process.GaussianProcessRegressor
        Whose predictions are of the noiseless function.
    """
    signal = ConstantKernel(1.0, (1e-3, 1e3)) * Matern(np.sqrt(X.shape[1]), (1e-2, 1e3), nu=2.5)
    process = GaussianProcessRegressor(signal + WhiteKernel(1e-2, (1e-5, 1e1)), normalize_y=True)
    with warnings.catch_warnings():  # a scale at the end of its range is what a constant or pure noise gives
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(X, y)
    process.kernel_ = process.kernel_.k1  # the noise is in the factor of the measured rows and not in predictions
    return process
