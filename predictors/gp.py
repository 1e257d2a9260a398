"""Gaussian process with a kernel of parts that the schema of the features suggests: the default predictor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import NormalDist
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_solve

from predictors._typing import FloatArray
from predictors.base import BLOCK, BasePredictor, register
from predictors.conformal import BestReport, ShiftReport, expected_best, quantile_rank
from predictors.errors import PredictorError, PredictorFileError
from predictors.folds import predict_folds
from predictors.kernel import Kernel
from predictors.kernel_parts import Features
from predictors.noise_scale import noise_scale
from predictors.parameters import check_parameters
from predictors.posterior import (
    CONSTANT,
    JITTER,
    StructuredGaussianProcess,
    covariance_root,
    equal_shares,
)
from predictors.quick import ROWS, QuickMean
from predictors.rows import evenly, is_constant, known_noise, notes_of
from predictors.schema import GENE, Blocks, Schema
from predictors.warp import Warp, two_sided_warps
from predictors.weights import LEARNT, find_weights

#: rows that a fit may have: it takes time cubic in them
MOST_ROWS = 2000
#: columns that a fit may have: the kernel holds square matrices of them
MOST_COLUMNS = 4096
#: rows that weights are found from in each fold, where there are more than `LEARNT`
LEARNT_IN_FOLDS = 120
#: noise from which on means of many rows are computed in single precision, in variances of the data
QUIET = 1e-5
#: parts with a smaller share of the variance are left out, as far as all of them together have less than this share of the noise's
SHARE, OF_NOISE = 1e-3, 0.05
#: rows that the normal distribution counts for beside left-out errors: where these widen an interval, and where they narrow it
WIDENING, NARROWING = 20.0, 100.0
#: rows whose joint posterior can be sampled
MOST_SAMPLED = 5000


@register
class GaussianProcessPredictor(BasePredictor):
    """Gaussian process whose kernel is a sum of parts: effects of genes, alike at near places or at all of them, and of facts.

    Weights of the parts and the noise maximise the evidence times a broad prior, for each of a few warps of the target (plain,
    logarithm, distance from a pole below or above); the warp is taken that predicts the rows best, each left out in turn.
    Weights are found from at most 200 rows, evenly over the target; the posterior is conditioned on all. Predictions are medians.

    Intervals are those of the posterior, noise included, times a factor: the quantile of errors of rows left out in five folds,
    with weights found anew in each, in deviations that the posterior without the row has; shrunk towards the normal one
    (`interval_factor`). They are finite for any number of rows, and suppose that new rows are like those of the fit.

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

    rows_: FloatArray
    target_: FloatArray
    given_noise_: FloatArray
    warp_: dict[str, str | float]
    center_: float
    scale_: float
    weights_: FloatArray
    noise_: float
    parts_: dict[str, float]
    left_out_: FloatArray
    oof_predictions_: FloatArray
    notes_: list[str]
    noise_scale_: float = 1.0  # of files that lack it

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

    def fit(self, X: ArrayLike, y: ArrayLike, noise: ArrayLike | None = None) -> Self:
        """Fit the predictor.

        Parameters
        ----------
        X : array-like (n, columns)
            Encoded architectures, at most 2,000.
        y : array-like (n,)
            Measured values of one metric.
        noise : array-like (n,), optional
            Known standard deviation of each value, in the unit of y; 0 or NaN where unknown.

        Returns
        -------
        GaussianProcessPredictor
            Itself.

        Raises
        ------
        PredictorError
            For values that are not finite numbers, too many rows, columns that are not those of the schema, a target that
            is not positive where the warp is to be ``log``, and parameters that are not valid.
        """
        features, target = self._checked(X, y)
        if len(target) > MOST_ROWS or features.shape[1] > MOST_COLUMNS:
            raise PredictorError(
                f"a Gaussian process is fitted on at most {MOST_ROWS} rows of {MOST_COLUMNS} columns, got {features.shape}.",
                hint="Use CrossValidatedPredictor, which takes ridge or XGBoost for as many, or choose rows.",
            )
        check_parameters(self, target)
        self._learn(features, target, known_noise(noise, len(target)))
        return self

    def _learn(self, X: FloatArray, y: FloatArray, given: FloatArray) -> None:
        self.rows_, self.target_, self.given_noise_, self.notes_ = X.copy(), y.copy(), given, notes_of(X, y)
        blocks = self._blocks(X)
        kernel = Kernel(self._schema(), blocks)
        candidates = [Warp("plain")] if is_constant(y) and self.warp != "log" else self._warps(y)
        asked = (candidates, self._centre(kernel.names), self.noise != "given")
        process, stack, some = find_weights(kernel, blocks, y, given, *asked)
        self.noise_scale_ = 1.0
        if self.noise == "scaled":
            self.noise_scale_ = noise_scale(stack, process._t[some], process._known[some], process._theta, asked[1])
        if self.noise_scale_ < 1:
            process, _, _ = find_weights(kernel, blocks, y, self.noise_scale_ * given, *asked)
            self.notes_.append(
                f"Known noise is too large for how well the rows agree: it is multiplied by {self.noise_scale_:.2g}."
            )
        self.warp_ = {"kind": process.warp.kind, "pole": process.warp.pole}
        self.center_, self.scale_ = process._mean, process._scale
        self.weights_, self.noise_ = process.weights, process.noise
        total = float(self.weights_.sum()) + self.noise_ or 1.0
        shares = [*zip(kernel.names, self.weights_.tolist(), strict=True), ("noise", self.noise_)]
        self.parts_ = {name: weight / total for name, weight in shares}
        self._restore()

        inverse = cho_solve((self._process._root, True), np.eye(len(y)))
        miss = self._process._alpha / np.diag(inverse)
        self.residuals_ = y - self._natural(self._t - miss)
        self.left_out_, self.oof_predictions_ = np.empty(0), y - self.residuals_
        folds = min(self.interval_folds, len(y))
        if folds >= 2:
            group = np.random.default_rng(self.seed).permutation(len(y)) % folds
            mean, variance = self.cross_validate(group)
            self.left_out_ = np.sort(np.abs(self._t - mean) * np.sqrt(np.diag(inverse)))
            self.oof_predictions_ = self._natural(mean)

    def _restore(self) -> None:
        """Condition on the rows of the fit anew: what is learned is small, and the posterior follows from it."""
        n = len(self.target_)
        if (
            n > MOST_ROWS
            or self.n_features_in_ > MOST_COLUMNS
            or self.rows_.shape != (n, self.n_features_in_)
            or self.given_noise_.shape != (n,)
        ):
            raise PredictorFileError("the rows of a Gaussian process do not fit together.", hint="Fit it again.")
        blocks = self._blocks(self.rows_)
        whole = Kernel(self._schema(), blocks)
        if self.weights_.shape != (len(whole.names),):
            raise PredictorFileError(
                "the weights of a Gaussian process are not those of its kernel.", hint="Fit it again."
            )
        order = np.argsort(self.weights_)
        kept = np.ones(len(order), dtype=bool)
        kept[order] = np.cumsum(self.weights_[order]) > OF_NOISE * self.noise_
        kept |= self.weights_ >= SHARE * (self.weights_.sum() + self.noise_)
        self._process = StructuredGaussianProcess(whole.select(kept))
        self._process.warp = Warp(str(self.warp_["kind"]), float(self.warp_["pole"]))
        self._process._mean, self._process._scale = self.center_, self.scale_
        self._process.weights, self._process.noise = self.weights_[kept], self.noise_
        self._t = (self._process.warp(self.target_) - self.center_) / self.scale_
        slope = np.exp(self._process.warp.log_slope(self.target_)) / self.scale_
        self._known = (self.noise_scale_ * self.given_noise_ * slope) ** 2
        self._process._t = self._t
        self._measured = self._process.kernel.features(blocks)
        matrix = self._process.kernel.weighted(self._process.weights, self._measured, self._measured) + CONSTANT
        matrix[np.diag_indices_from(matrix)] += self.noise_ + self._known + JITTER
        self._process.condition(self._measured, matrix)
        self._new = self.noise_ + float(np.median(self._known))

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

    def _mean(self, X: FloatArray) -> FloatArray:
        return self._natural(self._means(X))

    def _mean_std(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        mean = self._means(X)
        spread = self.scale_ * self._spread(X)
        return self._natural(mean), self._process.warp.deviation(self.center_ + self.scale_ * mean, spread)

    def _held_out(self, X: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
        """Predict by the models without each row, in closed form, with the weights of all."""
        process, n = self._process, len(self.target_)
        inverse = cho_solve((process._root, True), np.eye(n))
        gone = process._alpha / np.diag(inverse)
        out = [
            process.mean(features, curves)[:, None] - (process._cross(features, curves) @ inverse) * gone
            for features, curves in self._encoded(X, self._measured)
        ]
        return self._natural(np.concatenate(out)), np.arange(n)

    def predict_interval(self, X: ArrayLike, coverage: float = 0.9) -> tuple[FloatArray, FloatArray]:
        """Predict intervals meant to hold a new measurement with probability `coverage`.

        Its noise is included: the value that many measurements have in the mean lies in a narrower one.

        Parameters
        ----------
        X : array-like (m, columns)
            Encoded architectures.
        coverage : float
            In (0, 1).

        Returns
        -------
        lower, upper : ndarray (m,)
            In the unit of y.

        Raises
        ------
        PredictorError
            For a coverage that is not in (0, 1), and for values that are not finite numbers.
        """
        features = self._validate(X)
        mean = self._means(features)
        half = self.interval_factor(coverage) * self._spread(features)
        return self._natural(mean - half), self._natural(mean + half)

    def interval_factor(self, coverage: float) -> float:
        """Compute how many standard deviations an interval reaches.

        Parameters
        ----------
        coverage : float
            In (0, 1).

        Returns
        -------
        float
            (m z + n ẑ) / (m + n), with z the normal distribution's, ẑ the quantile of n left-out errors, and m 20 where
            ẑ is the larger one, else 100: to be too narrow is worse than to be too wide.

        Raises
        ------
        PredictorError
            For a coverage that is not in (0, 1).
        """
        n = len(self.left_out_)
        rank = quantile_rank(n, coverage)
        normal = NormalDist().inv_cdf(0.5 + coverage / 2)
        if not n:
            return normal
        found = float(self.left_out_[min(rank, n) - 1])
        weight = WIDENING if found > normal else NARROWING
        return (weight * normal + n * found) / (weight + n)

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
        mean, root = self._joint(self._validate(X))
        return self._natural(mean + rng.standard_normal((n, len(mean))) @ root.T)

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
        mean, root = self._joint(self._validate(X))
        errors = np.random.default_rng(seed).standard_normal((samples, len(mean))) @ root.T
        found = expected_best(mean, errors, k, largest=largest)
        return BestReport(found.at, self._natural(found.predicted), self._natural(found.corrected))

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
        inverse = cho_solve((self._process._root, True), np.eye(len(self.target_)))
        own = 1.0 / np.diag(inverse) - self.noise_ - self._known - JITTER
        beyond = self._variances(features) > np.quantile(own, 0.99)
        columns = self._schema().columns[: features.shape[1]]
        genes = np.array([column.block == GENE for column in columns])
        new = genes & (features != 0).any(axis=0) & ~(self.rows_ != 0).any(axis=0)
        return ShiftReport(float(beyond.mean()), [columns[i].name for i in np.flatnonzero(new)])

    def _encoded(self, X: FloatArray, measured: Features) -> Iterator[tuple[Features, FloatArray]]:
        """Features and curved kernels of rows, a block of them at a time."""
        kernel = self._process.kernel
        for start in range(0, len(X), ROWS):
            features = kernel.features(self._blocks(X[start : start + ROWS]))
            yield features, kernel.curves(features, measured)

    def _means(self, X: FloatArray) -> FloatArray:
        """Standardised means (m,); of many rows in single precision, to some 1e-4 deviations."""
        if len(X) <= BLOCK or self._new < QUIET:  # without noise single precision would be seen
            return np.concatenate([self._process.mean(f, c) for f, c in self._encoded(X, self._measured)])
        kernel = self._process.kernel
        quick = QuickMean(self._process, kernel.features(self._blocks(self.rows_), np.float32))
        starts = range(0, len(X), BLOCK)
        return np.concatenate([quick(kernel.features(self._blocks(X[k : k + BLOCK]), np.float32)) for k in starts])

    def _variances(self, X: FloatArray) -> FloatArray:
        """Variances (m,) of the noiseless function, standardised."""
        return np.concatenate([self._process.variance(f, c) for f, c in self._encoded(X, self._measured)])

    def _joint(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean (m,) of the noiseless function, and a root (m, m) of its covariance, standardised."""
        if len(X) > MOST_SAMPLED:
            raise PredictorError(
                f"the joint posterior of {len(X)} rows is too large.", hint=f"Choose at most {MOST_SAMPLED} of them."
            )
        kernel = self._process.kernel
        features = kernel.features(self._blocks(X))
        mean, covariance = self._process.joint(features, kernel.curves(features, self._measured))
        return mean, covariance_root(covariance)

    def _natural(self, t: FloatArray) -> FloatArray:
        return np.asarray(self._process.natural(t))

    def _blocks(self, X: FloatArray) -> Blocks:
        """Cut rows into the blocks that the kernel knows."""
        return self._schema().split(X)

    def _spread(self, X: FloatArray) -> FloatArray:
        """Standardised deviations (m,) of new measurements."""
        return np.sqrt(self._variances(X) + self._new)

    def _schema(self) -> Schema:
        return Schema.of_facts(self.n_features_in_) if self.schema is None else self.schema

    def _warps(self, y: FloatArray) -> list[Warp]:
        return two_sided_warps(y) if self.warp == "auto" else [Warp(self.warp)]

    def _centre(self, names: list[str]) -> FloatArray:
        centre = equal_shares(len(names))
        for k, name in enumerate(names):
            if self.prior is not None and name in self.prior:
                centre[k] = np.log(self.prior[name])
        return centre
