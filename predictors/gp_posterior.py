"""Posterior of a fitted Gaussian process predictor: what follows from the rows and weights that it keeps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from predictors._typing import FloatArray
from predictors.base import BLOCK
from predictors.errors import PredictorError, PredictorFileError
from predictors.kernel import Kernel
from predictors.kernel_parts import Features, covariance_root
from predictors.left_out import LeftOutPredictor
from predictors.posterior import CONSTANT, JITTER, StructuredGaussianProcess
from predictors.quick import ROWS, QuickMean
from predictors.schema import Blocks, Schema
from predictors.warp import Warp

#: rows that a fit may have: it takes time cubic in them
MOST_ROWS = 2000
#: columns that a fit may have: the kernel holds square matrices of them
MOST_COLUMNS = 4096
#: noise from which on means of many rows are computed in single precision, in variances of the data
QUIET = 1e-5
#: parts with a smaller share of the variance are left out, as far as all of them together have less than this share of the noise's
SHARE, OF_NOISE = 1e-3, 0.05
#: rows whose joint posterior can be sampled
MOST_SAMPLED = 5000


class ProcessPosterior(LeftOutPredictor):
    """Base of predictors that are a Gaussian process on a warped scale: predictions of the rows and weights that it was fitted to.

    Values on the warped scale are those of the warp of y; standardised ones are these less ``center_``, in units of ``scale_``. Both
    are normally distributed, which values in the unit of y are not.

    Attributes
    ----------
    rows_, target_, given_noise_ : ndarray (n, columns), (n,), (n,)
        Rows of the fit, their targets, and the known deviations of these, 0 where unknown.
    warp_ : dict
        ``kind`` and ``pole`` of the warp; see `predictors.warp.Warp`.
    center_, scale_ : float
        Mean and deviation of the warped targets.
    weights_ : ndarray (parts,)
        Prior variances of the parts of the kernel, standardised.
    noise_ : float
        Variance of the learnt noise, standardised.
    """

    rows_: FloatArray
    target_: FloatArray
    given_noise_: FloatArray
    warp_: dict[str, str | float]
    center_: float
    scale_: float
    weights_: FloatArray
    noise_: float
    noise_scale_: float = 1.0  # of files that lack it
    schema: Schema | None

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
        self._process.center, self._process.scale = self.center_, self.scale_
        self._process.weights, self._process.noise = self.weights_[kept], self.noise_
        self._t = (self._process.warp(self.target_) - self.center_) / self.scale_
        slope = np.exp(self._process.warp.log_slope(self.target_)) / self.scale_
        self._known = (self.noise_scale_ * self.given_noise_ * slope) ** 2
        self._measured = self._process.kernel.features(blocks)
        matrix = self._process.kernel.weighted(self._process.weights, self._measured, self._measured) + CONSTANT
        matrix[np.diag_indices_from(matrix)] += self.noise_ + self._known + JITTER
        self._process.condition(self._measured, matrix, self._t)
        self._new = self.noise_ + float(np.median(self._known))

    # ------------------------------------------------------------------ scales
    def natural(self, t: FloatArray) -> FloatArray:
        """Map standardised values to the unit of y.

        Parameters
        ----------
        t : ndarray
            Of any shape, such as `cross_validate` and `joint` give.

        Returns
        -------
        ndarray
            Of the same shape.
        """
        return np.asarray(self._process.natural(t))

    def predict_warped(self, X: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Predict mean and deviation of a new measurement on the warped scale, where it is normally distributed.

        Parameters
        ----------
        X : array-like (m, columns)
            Encoded architectures.

        Returns
        -------
        mean, deviation : ndarray (m,)
            On the scale of ``warp_``, noise included; with ``log`` those of the logarithm.

        Raises
        ------
        PredictorError
            For values that are not finite numbers.
        """
        return self._warped(self._validate(X))

    def joint(self, X: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Compute the joint posterior of the noiseless values.

        Parameters
        ----------
        X : array-like (m, columns)
            Encoded architectures, at most 5,000.

        Returns
        -------
        mean : ndarray (m,)
            Standardised; see `natural`.
        root : ndarray (m, m)
            Lower triangle whose product with its transpose is the covariance, standardised.

        Raises
        ------
        PredictorError
            For too many rows, and for values that are not finite numbers.
        """
        rows = self._validate(X)
        if len(rows) > MOST_SAMPLED:
            raise PredictorError(
                f"the joint posterior of {len(rows)} rows is too large.", hint=f"Choose at most {MOST_SAMPLED} of them."
            )
        kernel = self._process.kernel
        features = kernel.features(self._blocks(rows))
        mean, covariance = self._process.joint(features, kernel.curves(features, self._measured))
        return mean, covariance_root(covariance)

    # ------------------------------------------------------------------ of BasePredictor
    def _mean(self, X: FloatArray) -> FloatArray:
        return self.natural(self._means(X))

    def _mean_std(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        mean, deviation = self._warped(X)
        warp = self._process.warp
        return np.asarray(warp.inverse(mean)), warp.deviation(mean, deviation)

    def _held_out(self, X: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
        """Predict by the models without each row, in closed form, with the weights of all."""
        precision = self._process.precision()
        out = [self._process.without_each(f, c, precision) for f, c in self._encoded(X, self._measured)]
        return self.natural(np.concatenate(out)), np.arange(len(self.target_))

    # ------------------------------------------------------------------ inside
    def _warped(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and deviation (m,), (m,) of new measurements on the warped scale."""
        return self.center_ + self.scale_ * self._means(X), self.scale_ * self._spread(X)

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

    def _blocks(self, X: FloatArray) -> Blocks:
        """Cut rows into the blocks that the kernel knows."""
        return self._schema().split(X)

    def _spread(self, X: FloatArray) -> FloatArray:
        """Standardised deviations (m,) of new measurements."""
        return np.sqrt(self._variances(X) + self._new)

    def _schema(self) -> Schema:
        return Schema.of_facts(self.n_features_in_) if self.schema is None else self.schema
