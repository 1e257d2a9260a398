"""Predict objectives of index arrays, one predictor each, and draw smooth samples of the predictors' errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, Self

import numpy as np

from hwsearch._json import finite_or_none
from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import PredictorError, SearchError, nearest
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.options import RowFunction

#: the scores that `Surrogate.scores` reports for each objective
SCORES = ("mae", "mape", "spearman", "kendall")
FOLDS = 5


class Predictor(Protocol):
    """A `predictors.Regressor` that also predicts intervals.

    The estimators of the package `predictors` are such; so is any other object with these three methods. The first two are
    written again here because importing `predictors` loads scikit-learn, which only a search by predictors needs.
    """

    def fit(self, X: FloatArray, y: FloatArray) -> Self:
        """Fit the predictor.

        Parameters
        ----------
        X : ndarray (n, columns)
            Features.
        y : ndarray (n,)
            Measured values of one objective.

        Returns
        -------
        Predictor
            Itself.

        Raises
        ------
        ValueError
            If it cannot be fitted.
        """

    def predict(self, X: FloatArray) -> FloatArray:
        """Predict values.

        Parameters
        ----------
        X : ndarray (n, columns)
            Features.

        Returns
        -------
        ndarray (n,)
            In the unit of the objective.
        """

    def predict_interval(self, X: FloatArray, coverage: float) -> tuple[FloatArray, FloatArray]:
        """Predict intervals.

        Parameters
        ----------
        X : ndarray (n, columns)
            Features.
        coverage : float
            Probability with which an interval should hold a new measurement, in (0, 1).

        Returns
        -------
        lower, upper : ndarray (n,)
        """


#: a fresh predictor for a seed
MakePredictor = Callable[[int], Predictor]


def default_predictor(seed: int) -> Predictor:
    """Make a `predictors.CrossValidatedPredictor`, which chooses its kind by cross-validation.

    Parameters
    ----------
    seed : int
        Of the folds.

    Returns
    -------
    Predictor
        Not fitted.
    """
    from predictors import CrossValidatedPredictor

    predictor: Predictor = CrossValidatedPredictor(seed=seed)
    return predictor


class Surrogate:
    """Map rows (n, genes) to predicted objectives (n, m) in natural units.

    Parameters
    ----------
    objectives : sequence of Objective
        The m objectives.
    features : callable
        Rows to a float array (n, columns).
    exact : mapping of str to callable
        Objective name to a function of rows; these objectives are computed and not predicted.
    make_predictor : callable
        Seed to a fresh `Predictor`.

    Attributes
    ----------
    scores : dict
        Predicted objective to its `SCORES` on rows left out, after `fit`.

    Raises
    ------
    SearchError
        If `exact` names what is not an objective.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        features: Callable[[IntArray], FloatArray],
        exact: Mapping[str, RowFunction],
        make_predictor: MakePredictor,
    ) -> None:
        names = [o.name for o in objectives]
        for name in exact:
            if name not in names:
                raise SearchError(f"'exact' names {name!r}, which is not an objective.", hint=nearest(name, names))
        self.objectives = tuple(objectives)
        self.features = features
        self.exact = dict(exact)
        self.make_predictor = make_predictor
        self.scores: dict[str, dict[str, float | None]] = {}
        self._predictors: dict[str, Predictor | float] = {}
        self._noise: dict[str, float] = {}

    @property
    def predicted(self) -> list[int]:
        """Columns of the objectives that need a predictor, in ascending order."""
        return [j for j, o in enumerate(self.objectives) if o.name not in self.exact]

    def fit(self, rows: IntArray, values: FloatArray, rng: np.random.Generator) -> None:
        """Fit a predictor to each objective that is not exact.

        Parameters
        ----------
        rows : ndarray (n, genes)
            Measured architectures.
        values : ndarray (n, m)
            In natural units; NaN entries are left out objective by objective.
        rng : numpy.random.Generator
            For the predictors' seeds.

        Raises
        ------
        PredictorError
            If a predictor refuses.
        """
        x = np.asarray(self.features(rows), dtype=np.float64)
        self._centre = x.mean(axis=0)
        spread = x.std(axis=0)
        self._scale = np.where(spread > 1e-12, spread, np.inf)  # a constant column says nothing
        z = self._standardised(x)
        self._root = np.linalg.cholesky(z.T @ z + np.eye(z.shape[1]))
        for j in self.predicted:
            name = self.objectives[j].name
            kept = ~np.isnan(values[:, j])
            seed = int(rng.integers(2**31))
            if np.ptp(values[kept, j]) == 0.0:
                self._predictors[name], self._noise[name] = float(values[kept, j][0]), 0.0
                self.scores[name] = dict.fromkeys(SCORES)
                continue
            predictor = self.make_predictor(seed)
            try:
                predictor.fit(x[kept], values[kept, j])
            except ValueError as error:
                raise PredictorError(
                    f"the predictor of {name!r} cannot be fitted on {kept.sum()} rows: {error}"
                ) from error
            self._predictors[name] = predictor
            self._noise[name] = self._deviation(predictor, x[kept], values[kept, j])
            self.scores[name] = self._scores(predictor, x[kept], values[kept, j], seed)

    def _standardised(self, x: FloatArray) -> FloatArray:
        """Standardise columns to mean 0 and variance 1 over the fitted rows, all scaled to a row of length about 1."""
        return np.asarray((x - self._centre) / self._scale / math.sqrt(x.shape[1]), dtype=np.float64)

    @staticmethod
    def _deviation(predictor: Predictor, x: FloatArray, y: FloatArray) -> float:
        """Estimate the typical error of a prediction: half a 68 % interval, or the residual where rows are too few for one."""
        lower, upper = predictor.predict_interval(x, 0.68)
        half = float(np.median((upper - lower) / 2))
        return half if math.isfinite(half) else float(np.std(y - predictor.predict(x)))

    def _scores(self, predictor: Predictor, x: FloatArray, y: FloatArray, seed: int) -> dict[str, float | None]:
        """Score rows left out: of the predictor's `oof_predictions_` if it keeps them, else of a few refits."""
        from predictors.metrics import scores

        held_out = getattr(predictor, "oof_predictions_", None)
        if held_out is None:
            fold = np.arange(len(y)) % FOLDS
            held_out = np.full(len(y), float(y.mean()))
            for k in range(FOLDS):
                left = fold != k
                if (~left).any() and np.ptp(y[left]) > 0.0:
                    other = self.make_predictor(seed)
                    other.fit(x[left], y[left])
                    held_out[~left] = other.predict(x[~left])
        own = scores(y, held_out)
        return {name: finite_or_none(own.get(name)) for name in SCORES}

    # ------------------------------------------------------------------ predictions
    def mean(self, rows: IntArray) -> FloatArray:
        """Predict objectives.

        Parameters
        ----------
        rows : ndarray (n, genes)
            Canonical rows.

        Returns
        -------
        ndarray (n, m)
            In natural units; exact objectives are computed.
        """
        return self._values(rows, None)

    def sample(self, rng: np.random.Generator) -> Callable[[IntArray], FloatArray]:
        """Draw one plausible truth (Thompson sampling).

        It is the prediction plus a linear function drawn from the posterior of a Bayesian linear regression of the
        predictor's errors on the features: small near what was measured, larger away from it, and smooth, so that
        it leads a search somewhere. Exact objectives stay exact.

        Parameters
        ----------
        rng : numpy.random.Generator
            For the draw.

        Returns
        -------
        callable
            Rows (n, genes) to objectives (n, m), in natural units.
        """
        columns = len(self._centre)
        weights = np.zeros((columns, len(self.objectives)))
        for j in self.predicted:
            draw = np.linalg.solve(self._root.T, rng.standard_normal(columns))
            weights[:, j] = self._noise[self.objectives[j].name] * draw
        return lambda rows: self._values(rows, weights)

    def _values(self, rows: IntArray, weights: FloatArray | None) -> FloatArray:
        out = np.empty((len(rows), len(self.objectives)))
        x = np.asarray(self.features(rows), dtype=np.float64) if self.predicted else np.empty((len(rows), 0))
        for j, objective in enumerate(self.objectives):
            if objective.name in self.exact:
                out[:, j] = self.exact[objective.name](rows)
                continue
            predictor = self._predictors[objective.name]
            out[:, j] = predictor if isinstance(predictor, float) else predictor.predict(x)
        if weights is not None and self.predicted:
            out += self._standardised(x) @ weights
        return out
