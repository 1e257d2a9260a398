"""Hypotheses of how a new device behaves: weights of a kernel's parts, judged by the evidence of few measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_solve, solve_triangular

from predictors._typing import FloatArray
from predictors.posterior import JITTER

#: prior variance of the level of the log latency, in variances of the log latency: any level
LEVEL = 100.0
#: measurements that the sources' spread of log latency counts for: the prior of the scale is inverse gamma
SPREAD_ROWS = 4.0


@dataclass(frozen=True)
class Hypothesis:
    """One way in which latencies of a device may depend on the features.

    Attributes
    ----------
    name : str
        In words, such as ``as titan-rtx-b1 from the others``.
    weights : ndarray (parts,)
        Prior variances of the parts, summing to 1.
    noise : float
        Variance of the noise, in the same unit.
    sources : float
        Share of the variance that the sources explain, 0 to 1.
    """

    name: str
    weights: FloatArray
    noise: float
    sources: float


class Fitted(NamedTuple):
    """Posteriors of all hypotheses.

    Attributes
    ----------
    log_evidence : ndarray (hypotheses,)
        Of the measurements, the scale integrated out.
    scale : ndarray (hypotheses,)
        Posterior mean of the variance of the log latency.
    roots, alphas : ndarray (hypotheses, n, n), (hypotheses, n)
        Cholesky factors of the covariances, and their inverses times the measurements.
    freedom : float
        Degrees of freedom of the predictive t distributions.
    """

    log_evidence: FloatArray
    scale: FloatArray
    roots: FloatArray
    alphas: FloatArray
    freedom: float

    @property
    def weights(self) -> FloatArray:
        """(hypotheses,) posterior probabilities, with equal ones before."""
        shares = np.exp(self.log_evidence - self.log_evidence.max())
        return np.asarray(shares / shares.sum())


class Hypotheses:
    """Several hypotheses about one kernel.

    Parameters
    ----------
    each : sequence of Hypothesis
        At least one, of the same parts.
    spread : float
        Variance of the log latency, as the sources have it.
    """

    def __init__(self, each: Sequence[Hypothesis], spread: float) -> None:
        self.each, self.spread = list(each), spread
        self.weights = np.array([h.weights for h in each])
        self.noise = np.array([h.noise for h in each])

    def __len__(self) -> int:
        return len(self.each)

    def covariance(self, stack: FloatArray) -> FloatArray:
        """Compute the covariances under each hypothesis, without the level's.

        Parameters
        ----------
        stack : ndarray (parts, n, k)
            Scaled kernels.

        Returns
        -------
        ndarray (hypotheses, n, k)
            In variances of the log latency.
        """
        return np.tensordot(self.weights, stack, 1)

    def fit(self, stack: FloatArray, t: FloatArray, known: FloatArray) -> Fitted:
        """Condition each hypothesis on measurements.

        Parameters
        ----------
        stack : ndarray (parts, n, n)
            Scaled kernels of the measured rows.
        t : ndarray (n,)
            Log latencies, centred.
        known : ndarray (n,)
            Known variances of their noise.

        Returns
        -------
        Fitted
            What follows. The variance s of the log latency has an inverse gamma prior about that of the sources, so the
            evidence is a multivariate t density.

        References
        ----------
        Rasmussen and Williams 2006, "Gaussian processes for machine learning", section 5.4.1. O'Hagan 1978, "Curve fitting and
        optimal design for prediction", of the scale that is integrated out.
        """
        n = len(t)
        matrices = self.covariance(stack) + LEVEL
        diagonal = np.arange(n)
        matrices[:, diagonal, diagonal] += self.noise[:, None] + known / self.spread + JITTER
        roots = np.asarray(np.linalg.cholesky(matrices), dtype=np.float64)
        alphas = np.array([cho_solve((root, True), t) for root in roots])
        shape, rate = SPREAD_ROWS / 2, SPREAD_ROWS / 2 * self.spread
        misfit = rate + 0.5 * alphas @ t
        log_determinant = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
        evidence = -log_determinant - (shape + n / 2) * np.log(misfit)
        return Fitted(evidence, misfit / (shape + n / 2), roots, alphas, 2 * shape + n)

    def predict(self, found: Fitted, cross: FloatArray, own: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Predict values under each hypothesis.

        Parameters
        ----------
        found : Fitted
            Of `fit`.
        cross : ndarray (parts, k, n)
            Scaled kernels of k rows with the measured ones.
        own : ndarray (parts, k)
            Scaled kernels of each row with itself.

        Returns
        -------
        means, variances : ndarray (hypotheses, k)
            Of the centred log latency, without noise.
        """
        covariances = self.covariance(cross) + LEVEL
        prior = self.weights @ own + LEVEL
        means = np.einsum("hkn,hn->hk", covariances, found.alphas)
        seen = np.array([
            (solve_triangular(root, c.T, lower=True, check_finite=False) ** 2).sum(axis=0)
            for root, c in zip(found.roots, covariances, strict=True)
        ])  # fmt: skip
        return means, np.maximum(prior - seen, 1e-12) * found.scale[:, None]

    def joint(self, found: Fitted | None, pool: FloatArray, cross: FloatArray | None) -> FloatArray:
        """Average the covariance of some rows over the hypotheses.

        Parameters
        ----------
        found : Fitted or None
            Of `fit`; None before anything has been measured.
        pool : ndarray (parts, k, k)
            Scaled kernels of the rows.
        cross : ndarray (parts, k, n) or None
            Scaled kernels of these with the measured ones.

        Returns
        -------
        ndarray (k, k)
            In squares of the log latency.
        """
        if found is None or cross is None:
            return np.asarray(np.tensordot(self.weights.mean(axis=0), pool, 1) + LEVEL) * self.spread
        shares = found.weights
        total = np.zeros(pool.shape[1:])
        covariances = self.covariance(cross) + LEVEL
        for k in np.flatnonzero(shares > 1e-3 * shares.max()):
            seen = solve_triangular(found.roots[k], covariances[k].T, lower=True, check_finite=False)
            own = np.tensordot(self.weights[k], pool, 1) + LEVEL - seen.T @ seen
            total += shares[k] * found.scale[k] * own
        return total

    def mean_noise(self, found: Fitted | None) -> float:
        """Average the variance of the noise over the hypotheses.

        Parameters
        ----------
        found : Fitted or None
            Of `fit`; None before anything has been measured.

        Returns
        -------
        float
            In squares of the log latency.
        """
        if found is None:
            return float(self.noise.mean() * self.spread)
        return float(found.weights @ (self.noise * found.scale))


def general(names: Sequence[str], groups: Mapping[str, Sequence[str]], sources: Sequence[str]) -> list[Hypothesis]:
    """List general hypotheses: how much the sources explain, which parts the rest, and how large the noise is.

    Parameters
    ----------
    names : sequence of str
        Names of the parts.
    groups : mapping of str to sequence of str
        By name, parts that may explain what the sources do not.
    sources : sequence of str
        Parts on the sources' predictions; empty where there are none.

    Returns
    -------
    list of Hypothesis
        Of each share of the sources, group and noise.
    """
    place, found = {name: k for k, name in enumerate(names)}, []
    for share in (0.0, 0.3, 0.6, 0.9) if sources else (0.0,):
        for group, parts in groups.items():
            for noise in (0.003, 0.03):
                weights = np.zeros(len(names))
                weights[[place[p] for p in parts]] += (1 - share) / len(parts)
                if sources:
                    weights[[place[p] for p in sources]] += share / len(sources)
                text = f"sources {100 * share:.0f} %, {group}" if sources else group
                found.append(Hypothesis(text, weights, noise, share))
    return found
