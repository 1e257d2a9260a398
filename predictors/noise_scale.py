"""Scale of known noise: how much of what is said of measurements is in them."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_solve

from predictors._typing import FloatArray
from predictors.posterior import StructuredGaussianProcess

#: factors of the standard deviations that are tried, until the log likelihood falls
SCALES = tuple(2.0 ** (-k / 2) for k in range(13))
#: by how much the log likelihood of a factor must exceed that of 1
HANDICAP = 4.0
#: of factors whose log likelihood is this close to the largest one, the largest is taken: to be too narrow is worse than to be too wide
TIE = 1.0
#: logarithm of a variance that is none
NONE = -30.0


def noise_scale(
    stack: FloatArray, t: FloatArray, known: FloatArray, theta: FloatArray, centre: FloatArray | None = None
) -> float:
    """Find the factor, at most 1, by which known standard deviations are too large.

    What is said of the noise may hold for another comparison than that of the rows: the error of a latency that another day would find
    is larger than that among rows timed together. The likelihood tells: too large a noise cannot explain why the rows agree so well. Weights
    and the learnt noise are found anew for each factor. Noise that is said to be too small needs no factor, since more is learnt beside it.

    Parameters
    ----------
    stack : ndarray (parts, n, n)
        Scaled kernels of the parts on the rows.
    t : ndarray (n,)
        Warped and standardised values.
    known : ndarray (n,)
        Their known variances.
    theta : ndarray (parts + 1,)
        Log weights and log noise found with these.
    centre : ndarray (parts + 1,), optional
        Centre of their prior; default: equal shares.

    Returns
    -------
    float
        1 unless the log likelihood of another one is larger by more than `HANDICAP`.

    References
    ----------
    MacKay 1992, "Bayesian interpolation": the evidence for a noise level.
    """
    if not known.any():
        return 1.0
    # the prior of the learnt noise keeps it away from 0, and the given one alone may be the best
    honest = max(log_likelihood(stack, t, known, np.append(theta[:-1], noise)) for noise in (theta[-1], NONE))
    found = [honest]
    for scale in SCALES[1:]:
        theta = StructuredGaussianProcess._likeliest(stack, t, known * scale**2, centre, theta)
        found.append(log_likelihood(stack, t, known * scale**2, theta))
        if max(found[-2:]) < max(found):
            break
    best = max(found)
    if best <= honest + HANDICAP:
        return 1.0
    return next(scale for scale, value in zip(SCALES, found, strict=False) if value >= best - TIE)


def log_likelihood(stack: FloatArray, t: FloatArray, known: FloatArray, theta: FloatArray) -> float:
    """Compute the log likelihood of rows by weights and noise, but for a constant.

    Parameters
    ----------
    stack, t, known, theta
        As of `noise_scale`.

    Returns
    -------
    float
        Without the prior of weights and noise, which would prefer some factors to others.
    """
    root = np.linalg.cholesky(StructuredGaussianProcess._matrix(stack, theta, known))
    return -0.5 * float(t @ cho_solve((root, True), t)) - float(np.log(np.diag(root)).sum())
