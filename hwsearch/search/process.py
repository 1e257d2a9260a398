"""Gaussian processes over architectures: one an objective, with a kernel of parts weighted by the evidence."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

from hwsearch.search.base import FloatArray, IntArray
from hwsearch.search.structure import Structure
from hwsearch.search.warp import Warp, warps

#: prior variance of the mean, in variances of the data
CONSTANT = 4.0
#: the log weights have a normal prior of this deviation about an equal share of the variance, the noise about 2 %
PRIOR, NOISE = 2.0, 0.02
JITTER = 1e-8


class Process:
    """The posterior of one objective, in costs (smaller is better).

    The kernel is a sum of the structure's parts; weights and noise maximise the evidence times a broad prior
    (type II maximum a posteriori; MacKay 1992), for each of a few warps, of which the likeliest is taken.
    """

    def __init__(self, structure: Structure) -> None:
        self.structure = structure

    def fit(self, features: dict[str, FloatArray], stack: FloatArray, y: FloatArray, noise: FloatArray) -> None:
        """features, stack : of the n measured rows; y : costs (n,); noise : (n,) known deviations, 0 where unknown"""
        found: tuple[float, Warp, FloatArray] | None = None
        for warp in warps(y):
            t = warp(y)
            mean, scale = float(t.mean()), float(t.std()) or 1.0
            slope = np.exp(warp.log_slope(y))
            known = (noise * slope / scale) ** 2
            theta, evidence = self._weights(stack, (t - mean) / scale, known)
            evidence = self._left_out(stack, theta, known, (t - mean) / scale, y, warp.log_slope(y) - math.log(scale))
            if found is None or evidence > found[0]:
                found = (evidence, warp, theta)
        assert found is not None
        self.evidence, self.warp, theta = found
        t = self.warp(y)
        self._mean, self._scale = float(t.mean()), float(t.std()) or 1.0
        self.weights, self.noise = np.exp(theta[:-1]), float(np.exp(theta[-1]))
        known = (noise * np.exp(self.warp.log_slope(y)) / self._scale) ** 2
        matrix = self._matrix(stack, theta, known)
        self._root = np.linalg.cholesky(matrix)
        self._t = (t - self._mean) / self._scale
        self._diag = known + self.noise
        self._features = features
        self.alpha = cho_solve((self._root, True), self._t)
        self.effects = self._effects(self.alpha)

    def _weights(self, stack: FloatArray, t: FloatArray, known: FloatArray) -> tuple[FloatArray, float]:
        """Log weights and log noise (parts + 1,), and the log evidence there."""
        n, parts = len(t), len(stack)
        centre = np.append(np.full(parts, -math.log(parts)), math.log(NOISE))
        flat = stack.reshape(parts, -1)

        def loss(theta: FloatArray) -> tuple[float, FloatArray]:
            matrix = self._matrix(stack, theta, known)
            try:
                root = np.linalg.cholesky(matrix)
            except np.linalg.LinAlgError:
                return 1e10, np.zeros_like(theta)
            inverse = cho_solve((root, True), np.eye(n))
            alpha = inverse @ t
            slope = np.outer(alpha, alpha) - inverse
            gradient = np.empty_like(theta)
            gradient[:-1] = -0.5 * np.exp(theta[:-1]) * (flat @ slope.ravel())
            gradient[-1] = -0.5 * np.exp(theta[-1]) * np.trace(slope)
            away = (theta - centre) / PRIOR
            value = 0.5 * t @ alpha + np.log(np.diag(root)).sum() + 0.5 * (away**2).sum()
            return float(value), gradient + away / PRIOR

        bounds = [(-14.0, 4.0)] * parts + [(-14.0, 1.0)]
        best = minimize(
            loss, centre, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60}
        )
        return best.x, -float(best.fun)

    def _left_out(self, stack, theta, known, t, y, log_slope):
        """Log density of the better half, each left out in turn."""
        inverse = np.linalg.inv(self._matrix(stack, theta, known))
        variance = 1.0 / np.diag(inverse)
        miss = inverse @ t * variance
        density = -0.5 * np.log(2 * np.pi * variance) - 0.5 * miss**2 / variance + log_slope
        return float(density[y <= np.median(y)].sum())

    @staticmethod
    def _matrix(stack: FloatArray, theta: FloatArray, known: FloatArray) -> FloatArray:
        matrix = np.tensordot(np.exp(theta[:-1]), stack, 1) + CONSTANT
        matrix[np.diag_indices_from(matrix)] += np.exp(theta[-1]) + known + JITTER
        return matrix

    def _effects(self, alpha: FloatArray) -> dict[str, FloatArray]:
        """Coefficients of the linear blocks for dual coefficients (n,)."""
        s, out = self.structure, {}
        for weight, part in zip(self.weights, s.linear, strict=False):
            seen = self._features[part.block].T @ alpha
            effect = weight * s.scale[part.name] * (part.map @ (part.map.T @ seen))
            out[part.block] = out.get(part.block, 0.0) + effect
        return out

    @property
    def curved_weights(self) -> FloatArray:
        return self.weights[len(self.structure.linear) :]

    # ------------------------------------------------------------------ in units of the data
    def natural(self, t: FloatArray) -> FloatArray:
        """Standardised values back to costs."""
        return self.warp.inverse(self._mean + self._scale * t)

    def standard(self, y: FloatArray) -> FloatArray:
        return (self.warp(y) - self._mean) / self._scale

    # ------------------------------------------------------------------ posterior
    def mean(self, features: dict[str, FloatArray], curves: list[FloatArray]) -> FloatArray:
        """Posterior mean (k,), standardised; curves : of these features with the measured ones."""
        return self._linear(features, self.effects, self.alpha) + _dot(curves, self.curved_weights, self.alpha)

    @staticmethod
    def _linear(features: dict[str, FloatArray], effects: dict[str, FloatArray], alpha: FloatArray) -> FloatArray:
        out = np.full(len(next(iter(features.values()))), CONSTANT * alpha.sum())
        for block, effect in effects.items():
            out += features[block] @ effect
        return out

    def cross(self, stack: FloatArray) -> FloatArray:
        return np.tensordot(self.weights, stack, 1) + CONSTANT

    def deviation(self, cross: FloatArray, diagonal: FloatArray) -> FloatArray:
        """Posterior deviation (k,), standardised; cross : (k, n), diagonal : (parts, k)"""
        seen = solve_triangular(self._root, cross.T, lower=True, check_finite=False)
        return np.sqrt(np.maximum(CONSTANT + self.weights @ diagonal - (seen**2).sum(axis=0), 1e-12))

    def joint(self, cross: FloatArray, own: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Posterior mean (k,) and covariance (k, k), standardised; own : (k, k) prior covariance without the constant"""
        seen = solve_triangular(self._root, cross.T, lower=True, check_finite=False)
        return cross @ self.alpha, own + CONSTANT - seen.T @ seen

    def draw(self, rng: np.random.Generator) -> Callable[[dict[str, FloatArray], list[FloatArray]], FloatArray]:
        """A function drawn from the posterior: features and curves to standardised values (k,).

        A draw of the prior, corrected by what it has wrong at the measured rows (Matheron's rule; Wilson et al. 2020,
        arXiv 2002.09309).
        """
        s = self.structure
        level = math.sqrt(CONSTANT) * rng.standard_normal()
        prior: dict[str, FloatArray] = {}
        for weight, part in zip(self.weights, s.linear, strict=False):
            effect = math.sqrt(weight * s.scale[part.name]) * (part.map @ rng.standard_normal(part.map.shape[1]))
            prior[part.block] = prior.get(part.block, 0.0) + effect
        functions = [s.draw(part, rng) for part in s.curved]
        roots = np.sqrt(self.curved_weights)

        def before(features: dict[str, FloatArray]) -> FloatArray:
            out = np.full(len(features["genes"]), level)
            for block, effect in prior.items():
                out += features[block] @ effect
            for root, function in zip(roots, functions, strict=True):
                if root > 0.01:
                    out += root * function(features)
            return out

        residual = self._t - before(self._features) - np.sqrt(self._diag) * rng.standard_normal(len(self._t))
        alpha = cho_solve((self._root, True), residual)
        effects = self._effects(alpha)

        def function(features: dict[str, FloatArray], curves: list[FloatArray]) -> FloatArray:
            after = self._linear(features, effects, alpha) + _dot(curves, self.curved_weights, alpha)
            return before(features) + after

        return function


def _dot(curves: list[FloatArray], weights: FloatArray, alpha: FloatArray) -> FloatArray:
    out = 0.0
    for weight, curve in zip(weights, curves, strict=True):
        out = out + curve @ (weight * alpha)
    return np.asarray(out)
