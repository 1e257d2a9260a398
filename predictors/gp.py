"""Gaussian process with a kernel of parts that the schema of the features suggests: the default predictor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from predictors._typing import FloatArray
from predictors.base import register
from predictors.conformal import BestReport, ShiftReport, expected_best
from predictors.errors import PredictorError
from predictors.folds import predict_folds
from predictors.gp_posterior import MOST_COLUMNS, MOST_ROWS, ProcessPosterior
from predictors.interval_factor import factors_without_own, interval_factor
from predictors.kernel import Kernel
from predictors.noise_scale import noise_scale
from predictors.parameters import check_parameters
from predictors.posterior import JITTER, equal_shares
from predictors.rows import evenly, is_constant, notes_of
from predictors.schema import GENE, Schema
from predictors.warp import Warp, two_sided_warps
from predictors.weights import LEARNT, find_weights

#: rows that weights are found from in each fold, where there are more than `LEARNT`
LEARNT_IN_FOLDS = 120


@register
class GaussianProcessPredictor(ProcessPosterior):
    """Gaussian process whose kernel is a sum of parts: effects of genes, alike at near places or at all of them, and of facts.

    Weights of the parts and the noise maximise the evidence times a broad prior, for each of a few warps of the target (plain,
    logarithm, distance from a pole below or above); the warp is taken that predicts the rows best, each left out in turn.
    Weights are found from at most 200 rows, evenly over the target; the posterior is conditioned on all. Predictions are medians.

    Intervals are those of the posterior, noise included, times a factor: the quantile of errors of rows left out in five folds,
    with weights found anew in each, in deviations that the posterior without the row has; shrunk towards the normal one
    (`interval_factor`). They are finite for any number of rows, and suppose that new rows are like those of the fit.

    A fit has at most 2,000 rows and 4,096 columns; it refuses columns that are not those of the schema, targets that are not positive
    where the warp is to be ``log``, and parameters that are not valid.

    Parameters
    ----------
    schema : Schema, optional
        What the columns say; default: each is a fact, with a linear and a curved effect.
    warp : {"auto", "plain", "log"}
        Transformation of the target; by default the one that predicts best.
    noise : {"learned", "scaled", "given"}
        ``learned``: noise is learnt beside that which `fit` is given for each row. ``scaled``: so, and where the rows agree better
        than what is given allows, it is multiplied by a factor below 1 (`predictors.noise_scale`). ``given``: no other noise.
    prior : mapping of str to float, optional
        Part name to the share of the variance about which its weight is sought; default: equal shares.
    interval_folds : int
        Folds for the factor of intervals; 0 takes the normal distribution's.
    seed : int
        Of the folds.

    Attributes
    ----------
    parts_ : dict of str to float
        Part name to its share of the variance, ``noise`` included.
    warp_ : dict
        ``kind`` and ``pole`` of the warp; see `predictors.warp.Warp`.
    left_out_ : ndarray (n,)
        Absolute errors of the rows left out in folds, in deviations of the posterior without the row, ascending: what
        `interval_factor` goes by. Empty without folds; one who leaves rows out in another way may set them.
    oof_predictions_ : ndarray (n,)
        Predictions of the rows left out in folds.
    residuals_ : ndarray (n,)
        Residuals of rows left out one by one, in the unit of y, with the weights of all.
    noise_scale_ : float
        Factor by which the given noise was multiplied; 1 unless ``noise`` is ``scaled``.
    notes_ : list of str
        What was done about rows that say little: constant, repeated or contradictory targets, columns that do not vary.

    References
    ----------
    Rasmussen and Williams 2006, "Gaussian processes for machine learning". MacKay 1992, "Bayesian interpolation".

    Examples
    --------
    >>> X = np.linspace(0.0, 1.0, 20)[:, None]
    >>> model = GaussianProcessPredictor().fit(X, np.exp(2.0 * X[:, 0]))
    >>> model.predict([[0.5]]).round(2).tolist()
    [2.72]
    """

    minimum_rows: ClassVar[int] = 1
    _learned: ClassVar[tuple[str, ...]] = (
        "rows_", "target_", "given_noise_", "warp_", "center_", "scale_", "weights_", "noise_",
        "parts_", "left_out_", "oof_predictions_", "residuals_", "notes_", "noise_scale_",
    )  # fmt: skip

    parts_: dict[str, float]
    left_out_: FloatArray
    notes_: list[str]

    def __init__(
        self,
        schema: Schema | None = None,
        warp: Literal["auto", "plain", "log"] = "auto",
        noise: Literal["learned", "scaled", "given"] = "learned",
        prior: Mapping[str, float] | None = None,
        interval_folds: int = 5,
        seed: int = 0,
    ) -> None:
        self.schema = schema
        self.warp = warp
        self.noise = noise
        self.prior = prior
        self.interval_folds = interval_folds
        self.seed = seed

    def _check_rows(self, X: FloatArray, y: FloatArray) -> None:
        if len(y) > MOST_ROWS or X.shape[1] > MOST_COLUMNS:
            raise PredictorError(
                f"a Gaussian process is fitted on at most {MOST_ROWS} rows of {MOST_COLUMNS} columns, got {X.shape}.",
                hint="Use CrossValidatedPredictor, which takes ridge or XGBoost for as many, or choose rows.",
            )
        check_parameters(self, y)

    def _learn(self, X: FloatArray, y: FloatArray, given: FloatArray) -> None:
        self.rows_, self.target_, self.given_noise_, self.notes_ = X.copy(), y.copy(), given, notes_of(X, y)
        blocks = self._blocks(X)
        kernel = Kernel(self._schema(), blocks)
        candidates = [Warp("plain")] if is_constant(y) and self.warp != "log" else self._warps(y)
        asked = (candidates, self._centre(kernel.names), self.noise != "given")
        process, stack, some = find_weights(kernel, blocks, y, given, *asked)
        self.noise_scale_ = 1.0
        if self.noise == "scaled":
            self.noise_scale_ = noise_scale(stack, process.t[some], process.known[some], process.theta, asked[1])
        if self.noise_scale_ < 1:
            process, _, _ = find_weights(kernel, blocks, y, self.noise_scale_ * given, *asked)
            self.notes_.append(
                f"Known noise is too large for how well the rows agree: it is multiplied by {self.noise_scale_:.2g}."
            )
        self.warp_ = {"kind": process.warp.kind, "pole": process.warp.pole}
        self.center_, self.scale_ = process.center, process.scale
        self.weights_, self.noise_ = process.weights, process.noise
        total = float(self.weights_.sum()) + self.noise_ or 1.0
        shares = [*zip(kernel.names, self.weights_.tolist(), strict=True), ("noise", self.noise_)]
        self.parts_ = {name: weight / total for name, weight in shares}
        self._restore()

        precision = self._process.precision()
        self.residuals_ = y - self.natural(self._t - self._process.left_out_errors(precision))
        self.left_out_, self.oof_predictions_ = np.empty(0), y - self.residuals_
        folds = min(self.interval_folds, len(y))
        if folds >= 2:
            group = np.random.default_rng(self.seed).permutation(len(y)) % folds
            mean, variance = self.cross_validate(group)
            self.left_out_ = np.sort(np.abs(self._t - mean) * np.sqrt(np.diag(precision)))
            self.oof_predictions_ = self.natural(mean)

    def cross_validate(self, group: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
        """Predict each row of the fit from the rows of other groups, with weights found anew and the warp of all.

        Parameters
        ----------
        group : ndarray of int (n,)
            The group of each row.

        Returns
        -------
        mean : ndarray (n,)
            Standardised and warped.
        variance : ndarray (n,)
            Of a measurement, noise included.
        """
        blocks = self._blocks(self.rows_)
        kernel, weights = Kernel(self._schema(), blocks), self.weights_
        if len(self.target_) > LEARNT:  # the parts that count, for time
            kernel, weights = self._process.kernel, self._process.weights
        return predict_folds(
            kernel,
            kernel.features(blocks),
            self._t,
            self._known,
            group,
            evenly(self.target_, LEARNT if len(self.target_) <= LEARNT else LEARNT_IN_FOLDS),
            self._centre(kernel.names),
            np.log(np.maximum(np.append(weights, self.noise_), 1e-6)),
            self.noise != "given",
        )

    def _interval(self, X: FloatArray, coverage: float) -> tuple[FloatArray, FloatArray]:
        mean = self._means(X)
        half = self.interval_factor(coverage) * self._spread(X)
        return self.natural(mean - half), self.natural(mean + half)

    def interval_factor(self, coverage: float) -> float:
        """Compute how many standard deviations an interval reaches.

        Parameters
        ----------
        coverage : float
            In (0, 1).

        Returns
        -------
        float
            See `predictors.interval_factor.interval_factor`, of the errors ``left_out_``.

        Raises
        ------
        PredictorError
            For a coverage that is not in (0, 1).
        """
        return interval_factor(self.left_out_, coverage)

    def left_out(self, group: NDArray[np.intp]) -> FloatArray:
        """Predict each row of the fit from the rows of other groups, with weights found anew and the warp of all.

        Parameters
        ----------
        group : ndarray of int (n,)
            The group of each row.

        Returns
        -------
        ndarray (n,)
            In the unit of y.
        """
        return self.natural(self.cross_validate(group)[0])

    def left_out_with_errors(self, group: NDArray[np.intp]) -> tuple[FloatArray, FloatArray]:
        """Predict as `left_out` does, and tell by how many deviations of the prediction each row is missed.

        Parameters
        ----------
        group : ndarray of int (n,)
            The group of each row.

        Returns
        -------
        predictions : ndarray (n,)
            In the unit of y.
        errors : ndarray (n,)
            Absolute errors on the warped scale, in deviations of a measurement there; sorted, some of them may take the place of
            `left_out_`.
        """
        mean, variance = self.cross_validate(group)
        return self.natural(mean), np.abs(self._t - mean) / np.sqrt(variance)

    def left_out_interval(self, told: FloatArray, coverage: float = 0.9) -> tuple[FloatArray, FloatArray]:
        """Compute intervals of the rows of the fit, each from the errors of the others.

        Parameters
        ----------
        told : ndarray (n,)
            Predictions of the rows left out, in the unit of y, such as `oof_predictions_`; intervals lie about these.
        coverage : float
            In (0, 1).

        Returns
        -------
        low, high : ndarray (n,)
            In the unit of y: deviations of the posterior without the row, noise included, times the factor that the other rows'
            errors give; see `interval_factor`.

        Raises
        ------
        PredictorError
            For a coverage that is not in (0, 1).
        """
        centre = (self._process.warp(told) - self.center_) / self.scale_
        deviation = 1.0 / np.sqrt(np.diag(self._process.precision()))
        half = deviation * factors_without_own(self.left_out_, np.abs(self._t - centre) / deviation, coverage)
        return self.natural(centre - half), self.natural(centre + half)

    @property
    def noise_sd(self) -> float:
        """Standard deviation of a measurement's noise at the median target, in the unit of y."""
        slope = self._process.warp.log_slope(np.array([np.median(self.target_)]))[0]
        return float(self.scale_ * np.sqrt(self._new) * np.exp(-slope))

    def sample(self, X: ArrayLike, n: int, rng: np.random.Generator) -> FloatArray:
        """Draw joint posterior samples of the noiseless values.

        Parameters
        ----------
        X : array-like (m, columns)
            Encoded architectures, at most 5,000.
        n : int
            How many samples.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        ndarray (n, m)
            In the unit of y.

        Raises
        ------
        PredictorError
            For too many rows, and for values that are not finite numbers.
        """
        mean, root = self.joint(X)
        return self.natural(mean + rng.standard_normal((n, len(mean))) @ root.T)

    def expected_best(self, X: ArrayLike, k: int, *, largest: bool, samples: int = 1000, seed: int = 0) -> BestReport:
        """Predict the best k of many rows without the winner's curse; see `predictors.conformal.expected_best`.

        Parameters
        ----------
        X : array-like (m, columns)
            Encoded architectures, at most 5,000, among which the best predicted are chosen.
        k : int
            How many are chosen.
        largest : bool
            Whether large values are good.
        samples, seed : int
            How many times the choice is repeated with other errors, and their seed.

        Returns
        -------
        BestReport
            Positions, predictions and corrected predictions, in the unit of y.

        Raises
        ------
        PredictorError
            For a k that is not from 1 to m, too many rows, and values that are not finite numbers.
        """
        mean, root = self.joint(X)
        errors = np.random.default_rng(seed).standard_normal((samples, len(mean))) @ root.T
        found = expected_best(mean, errors, k, largest=largest)
        return BestReport(found.at, self.natural(found.predicted), self.natural(found.corrected))

    def shift(self, X: ArrayLike) -> ShiftReport:
        """Tell how far rows lie from those of the fit.

        Parameters
        ----------
        X : array-like (m, columns)
            Encoded architectures, such as a search's candidates.

        Returns
        -------
        ShiftReport
            The share of rows whose posterior variance exceeds the 99th percentile of that of the rows of the fit, each left
            out in turn, and the values of genes that no row of the fit has.
        """
        features = self._validate(X)
        inverse = self._process.precision()
        own = 1.0 / np.diag(inverse) - self.noise_ - self._known - JITTER
        beyond = self._variances(features) > np.quantile(own, 0.99)
        columns = self._schema().columns[: features.shape[1]]
        genes = np.array([column.block == GENE for column in columns])
        new = genes & (features != 0).any(axis=0) & ~(self.rows_ != 0).any(axis=0)
        return ShiftReport(float(beyond.mean()), [columns[i].name for i in np.flatnonzero(new)])

    def _warps(self, y: FloatArray) -> list[Warp]:
        return two_sided_warps(y) if self.warp == "auto" else [Warp(self.warp)]

    def _centre(self, names: list[str]) -> FloatArray:
        centre = equal_shares(len(names))
        for k, name in enumerate(names):
            if self.prior is not None and name in self.prior:
                centre[k] = np.log(self.prior[name])
        return centre
