"""Gaussian process of one objective over architectures, with a kernel of parts weighted by the evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from predictors._typing import BoolArray, FloatArray, IntArray
from predictors.curved import CurvedSums
from predictors.kernel import Kernel
from predictors.kernel_parts import Features, rows_of
from predictors.warp import POLES, Warp, warps

#: prior variance of the mean, in variances of the data
CONSTANT = 4.0
#: the log weights have a normal prior of this deviation about an equal share of the variance, the noise about 2 %
PRIOR, NOISE = 3.0, 0.02
JITTER = 1e-8
#: relative change of the log evidence at which a search for weights ends (that of scipy), and one from weights of an earlier fit
TOLERANCE, TOLERANCE_AGAIN = 2.220446049250313e-09, 1e-6


class StructuredGaussianProcess:
    """Posterior of one objective, in costs (smaller is better), with a kernel that is a sum of structured parts.

    Weights and noise maximise the evidence times a broad prior (type II maximum a posteriori). That is done for each of
    a few warps; the one is taken that predicts the better half of the values best, each left out in turn: the good ones
    matter, and a warp that suits the worst may not suit them.

    Parameters
    ----------
    kernel : Kernel
        Its parts.

    Attributes
    ----------
    warp : Warp
        Transformation of the costs that was chosen.
    weights : ndarray (parts,)
        Prior variances of the parts, in variances of the warped data.
    noise : float
        Variance of the measurement noise, in the same unit.
    center, scale : float
        Mean and deviation of the warped costs.
    t, known : ndarray (n,)
        Warped and standardised costs, and their known variances.
    theta : ndarray (parts + 1,)
        Log weights and log noise.
    found : dict of str to ndarray (parts + 1,)
        These of each warp, by its kind and place among those of the kind.

    References
    ----------
    MacKay 1992, "Bayesian interpolation". Rasmussen and Williams 2006, "Gaussian processes for machine learning".
    """

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel

    def fit(
        self,
        features: Features,
        stack: FloatArray,
        y: FloatArray,
        noise: FloatArray,
        learnt: IntArray | None = None,
        starts: Mapping[str, FloatArray] | None = None,
    ) -> None:
        """Find weights, noise and warp, and condition on the measurements.

        Parameters
        ----------
        features : dict
            Block name to features (n, columns) of the measured rows.
        stack : ndarray (parts, n, n)
            Scaled kernels of the parts on them.
        y : ndarray (n,)
            Costs.
        noise : ndarray (n,)
            Known standard deviations of the costs, 0 where unknown.
        learnt : ndarray of int, optional
            Positions of the rows that weights, noise and warp are found from; default: all. The posterior is
            conditioned on all rows.
        starts : mapping of str to ndarray (parts + 1,), optional
            `found` of a fit on like measurements, from which weights are sought: takes a third of the time.
        """
        some = np.arange(len(y)) if learnt is None else learnt
        chosen = stack if learnt is None else stack[np.ix_(np.arange(len(stack)), some, some)]
        self.learn(chosen, y, noise, some, warps(y), y[some] <= np.median(y[some]), starts=starts)
        self.condition(features, self._matrix(stack, self.theta, self.known))

    def learn(
        self,
        stack: FloatArray,
        y: FloatArray,
        noise: FloatArray,
        some: IntArray,
        candidates: Sequence[Warp],
        judged: BoolArray,
        centre: FloatArray | None = None,
        unit: float = 1.0,
        nugget: bool = True,
        handicap: float = 0.0,
        starts: Mapping[str, FloatArray] | None = None,
    ) -> None:
        """Find warp, weights and noise from some of the measurements.

        Parameters
        ----------
        stack : ndarray (parts, k, k)
            Scaled kernels of the parts on the rows that are learnt from.
        y : ndarray (n,)
            Values of all rows.
        noise : ndarray (n,)
            Their known standard deviations, 0 where unknown.
        some : ndarray of int (k,)
            Positions of the rows that are learnt from.
        candidates : sequence of Warp
            From which the one is taken that predicts best.
        judged : ndarray of bool (k,)
            The rows that are judged, each left out in turn.
        centre : ndarray (parts + 1,), optional
            Centre of the prior of the log weights and the log noise; default: equal shares.
        unit : float
            Takes the place of the values' deviation where they are all equal.
        nugget : bool
            Whether noise is learnt beside the known one.
        handicap : float
            By how much the log density of a warp with a pole must exceed that of one without.
        starts : mapping of str to ndarray (parts + 1,), optional
            `found` of a fit on like measurements, where the search for weights starts.
        """
        found = None
        self.found: dict[str, FloatArray] = {}
        kinds = [warp.kind for warp in candidates]
        for k, warp in enumerate(candidates):
            key = f"{warp.kind} {kinds[:k].count(warp.kind)}"
            start = None if starts is None else starts.get(key)
            t, slope = warp(y), warp.log_slope(y)
            mean, scale = float(t[some].mean()), float(t[some].std()) or unit
            slope -= math.log(scale)
            t, known = (t - mean) / scale, (noise * np.exp(slope)) ** 2
            tolerance = TOLERANCE if start is None else TOLERANCE_AGAIN
            theta = self.found[key] = self._likeliest(stack, t[some], known[some], centre, start, nugget, tolerance)
            matrix = self._matrix(stack, theta, known[some])
            density = self._left_out(matrix, t[some], slope[some], judged) - handicap * (warp.kind in POLES)
            if found is None or density > found[0]:
                found = (density, warp, mean, scale, t, known, theta)
        assert found is not None
        _, self.warp, self.center, self.scale, self.t, self.known, self.theta = found
        self.weights, self.noise = np.exp(self.theta[:-1]), float(np.exp(self.theta[-1]))

    def condition(self, features: Features, matrix: FloatArray, t: FloatArray | None = None) -> None:
        """Condition on the measurements, with weights that `learn` found or that were set.

        Parameters
        ----------
        features : dict
            Block name to features (n, columns) of the measured rows.
        matrix : ndarray (n, n)
            Covariance of the measurements, noise included.
        t : ndarray (n,), optional
            Their warped and standardised costs; default: those that `learn` was given.
        """
        if t is not None:
            self.t = t
        self._root = np.linalg.cholesky(matrix)
        self._alpha = cho_solve((self._root, True), self.t)
        linear = self.kernel.linear
        scales = np.array([self.kernel.scale[part.name] for part in self.kernel.curved])
        self._curved = self.weights[len(linear) :] * scales
        # linear parts together: prior covariance of the effects of each block, and with the measured rows
        self._prior: dict[str, FloatArray] = {}
        for weight, part in zip(self.weights, linear, strict=False):
            covariance = weight * self.kernel.scale[part.name] * (part.map @ part.map.T)
            self._prior[part.block] = self._prior.get(part.block, 0.0) + covariance
        self._seen = {block: covariance @ features[block].T for block, covariance in self._prior.items()}
        self._effects = {block: seen @ self._alpha for block, seen in self._seen.items()}

    @classmethod
    def _likeliest(
        cls,
        stack: FloatArray,
        t: FloatArray,
        known: FloatArray,
        centre: FloatArray | None = None,
        start: FloatArray | None = None,
        nugget: bool = True,
        tolerance: float = TOLERANCE,
    ) -> FloatArray:
        """Log weights and log noise (parts + 1,) by the evidence and the prior."""
        n, parts = len(t), len(stack)
        if centre is None:
            centre = equal_shares(parts)
        flat = stack.reshape(parts, n * n)

        def loss(theta: FloatArray) -> tuple[float, FloatArray]:
            matrix = cls._matrix(stack, theta, known)
            try:
                root = np.linalg.cholesky(matrix)
            except np.linalg.LinAlgError:
                return 1e10, np.zeros_like(theta)
            alpha = cho_solve((root, True), t, check_finite=False)
            away = (theta - centre) / PRIOR
            value = 0.5 * t @ alpha + np.log(np.diag(root)).sum() + 0.5 * (away**2).sum()
            # the inverse's lower triangle stands for both: the stack is symmetric
            half = dpotri(root.T, lower=0, overwrite_c=1)[0].T
            diagonal = np.diag(half).copy()
            half *= -2.0
            half[np.diag_indices(n)] = -diagonal
            half += np.outer(alpha, alpha)
            gradient = np.empty_like(theta)
            gradient[:-1] = -0.5 * np.exp(theta[:-1]) * (flat @ half.ravel())
            gradient[-1] = -0.5 * np.exp(theta[-1]) * (alpha @ alpha - diagonal.sum())
            return float(value), gradient + away / PRIOR

        bounds = [(-14.0, 4.0)] * parts + [(-14.0, 1.0 if nugget else -14.0)]
        first = centre if start is None else np.clip(start, -14.0, 4.0)
        if not nugget:
            first = np.append(first[:-1], -14.0)
        best = minimize(
            loss, first, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60, "ftol": tolerance}
        )
        return np.asarray(best.x)

    @staticmethod
    def _left_out(matrix: FloatArray, t: FloatArray, log_slope: FloatArray, judged: BoolArray) -> float:
        """Log predictive density of the judged values, each left out in turn (Sundararajan and Keerthi 2001)."""
        inverse = np.linalg.inv(matrix)
        variance = 1.0 / np.diag(inverse)
        miss = inverse @ t * variance
        density = -0.5 * (np.log(2.0 * np.pi * variance) + miss**2 / variance) + log_slope
        return float(density[judged].sum())

    @staticmethod
    def _matrix(stack: FloatArray, theta: FloatArray, known: FloatArray) -> FloatArray:
        matrix = np.tensordot(np.exp(theta[:-1]), stack, 1) + CONSTANT
        matrix[np.diag_indices_from(matrix)] += np.exp(theta[-1]) + known + JITTER
        return matrix

    # ------------------------------------------------------------------ in units of the data
    def natural(self, t: FloatArray) -> FloatArray:
        """Map standardised values back to costs.

        Parameters
        ----------
        t : ndarray
            Of any shape.

        Returns
        -------
        ndarray
            Costs, in the unit of the data.
        """
        return self.warp.inverse(self.center + self.scale * t)

    # ------------------------------------------------------------------ posterior
    def single_precision(self) -> StructuredGaussianProcess:
        """Convert to single precision: two to four times faster, the same to some 1e-4 deviations.

        Returns
        -------
        StructuredGaussianProcess
            For features in single precision.
        """
        out = copy(self)
        for name in ("_root", "_alpha", "_curved"):
            setattr(out, name, getattr(self, name).astype(np.float32))
        for name in ("_prior", "_seen", "_effects"):
            setattr(out, name, {block: part.astype(np.float32) for block, part in getattr(self, name).items()})
        return out

    def without(
        self, kernel: Kernel, kept: BoolArray, features: Features, there: IntArray
    ) -> StructuredGaussianProcess:
        """Leave out parts of the kernel, and condition on the measurements anew, with the weights of the others as they are.

        Parameters
        ----------
        kernel : Kernel
            That of the process, with the parts that are kept.
        kept : ndarray of bool (parts,)
            Which these are.
        features : dict
            Block name to features (k, columns) of measured rows, in double precision.
        there : ndarray of int (n,)
            Positions of this process's among them.

        Returns
        -------
        StructuredGaussianProcess
            For features in single precision.
        """
        out = copy(self)
        out.kernel, out.weights = kernel, self.weights[kept]
        if not kept.all():
            seen = {name: block[there] for name, block in features.items()}
            matrix = kernel.weighted(out.weights, seen, seen) + CONSTANT
            matrix[np.diag_indices_from(matrix)] += self.noise + self.known + JITTER
            out.condition(seen, matrix)
        return out.single_precision()

    @property
    def curved_weights(self) -> FloatArray:
        """Weights (curved parts,) of the curved kernels as `Kernel.curves` computes them, not scaled."""
        return self._curved

    def mean(self, features: Features, curves: FloatArray) -> FloatArray:
        """Compute the posterior mean.

        Parameters
        ----------
        features : dict
            Block name to features (k, columns).
        curves : ndarray (curved parts, k, n) or (k, n)
            Curved kernels of these with the measured rows, or their sum with `curved_weights`.

        Returns
        -------
        ndarray (k,)
            Standardised; see `natural`.
        """
        out = np.full(rows_of(features), CONSTANT * float(self._alpha.sum(dtype=np.float64)))
        for block, effects in self._effects.items():
            out += features[block] @ effects
        if curves.ndim == 2:
            out += curves @ self._alpha
            return out
        for weight, curve in zip(self._curved, curves, strict=True):
            out += curve @ (weight * self._alpha)
        return out

    def precision(self) -> FloatArray:
        """Compute the inverse of the covariance of the measurements.

        Returns
        -------
        ndarray (n, n)
            Its diagonal holds one over the variance of each measurement given the others, noise included.
        """
        return np.asarray(cho_solve((self._root, True), np.eye(len(self._root))))

    def left_out_errors(self, precision: FloatArray) -> FloatArray:
        """Compute the errors of measurements left out one by one, with the weights of all.

        Parameters
        ----------
        precision : ndarray (n, n)
            What `precision` gives.

        Returns
        -------
        ndarray (n,)
            Measured less predicted, standardised.

        References
        ----------
        Sundararajan and Keerthi 2001, "Predictive approaches for choosing hyperparameters in Gaussian processes".
        """
        return np.asarray(self._alpha / np.diag(precision))

    def without_each(self, features: Features, curves: FloatArray, precision: FloatArray) -> FloatArray:
        """Compute the posterior means without each measurement, with the weights of all.

        Parameters
        ----------
        features, curves
            As of `mean`.
        precision : ndarray (n, n)
            What `precision` gives.

        Returns
        -------
        ndarray (k, n)
            Standardised; see `natural`.
        """
        change = (self._cross(features, curves) @ precision) * self.left_out_errors(precision)
        return np.asarray(self.mean(features, curves)[:, None] - change)

    def bound(self, features: Features, curves: FloatArray, deviations: float) -> FloatArray:
        """Compute a bound some posterior deviations above the mean.

        Parameters
        ----------
        features : dict
            Block name to features (k, columns).
        curves : ndarray
            As of `mean`.
        deviations : float
            How many.

        Returns
        -------
        ndarray (k,)
            Standardised; see `natural`.
        """
        deviation = np.sqrt(self.variance(features, curves))
        return np.asarray(self.mean(features, curves) + deviations * deviation)

    def variance(self, features: Features, curves: FloatArray) -> FloatArray:
        """Compute the posterior variance of the noiseless function.

        Parameters
        ----------
        features : dict
            Block name to features (k, columns).
        curves : ndarray
            As of `mean`.

        Returns
        -------
        ndarray (k,)
            In variances of the warped data, at least 1e-12.
        """
        cross = self._cross(features, curves)
        seen = solve_triangular(self._root, cross.T, lower=True, check_finite=False)
        prior = CONSTANT + self._curved @ self.kernel.own_curves(features)
        for block, covariance in self._prior.items():
            prior += np.einsum("ij,ij->i", features[block] @ covariance, features[block])
        return np.asarray(np.maximum(prior - np.einsum("ij,ij->j", seen, seen), 1e-12))

    def joint(
        self, features: Features, curves: FloatArray, own: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Compute the joint posterior of the noiseless function.

        Parameters
        ----------
        features : dict
            Block name to features (k, columns).
        curves : ndarray (curved parts, k, n) or (k, n)
            Curved kernels of these with the measured rows, or their sum with `curved_weights`.
        own : ndarray (k, k), optional
            Sum of their curved kernels with each other with `curved_weights`, where it has been computed.

        Returns
        -------
        mean : ndarray (k,)
            Standardised; see `natural`.
        covariance : ndarray (k, k)
            Standardised.
        """
        cross = self._cross(features, curves)
        seen = solve_triangular(self._root, cross.T, lower=True, check_finite=False)
        if own is None:
            own = CurvedSums(self.kernel, features, [self._curved])(features)[0]
            assert own is not None
        total = CONSTANT - seen.T @ seen
        for block, covariance in self._prior.items():
            total += features[block] @ covariance @ features[block].T
        total += own
        return cross @ self._alpha, total

    def _cross(self, features: Features, curves: FloatArray) -> FloatArray:
        """Compute the prior covariance (k, n) with the measured ones."""
        cross = curves.copy() if curves.ndim == 2 else np.tensordot(self._curved, curves, 1)
        cross += cross.dtype.type(CONSTANT)
        for block, seen in self._seen.items():
            cross += features[block] @ seen
        return np.asarray(cross)


def equal_shares(parts: int) -> FloatArray:
    """Centre the prior of the log weights at an equal share of the variance each, and that of the log noise at `NOISE`.

    Parameters
    ----------
    parts : int
        Of the kernel.

    Returns
    -------
    ndarray (parts + 1,)
        Logarithms.
    """
    return np.append(np.full(parts, -math.log(max(parts, 1))), math.log(NOISE))
