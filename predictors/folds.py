"""Predict each measurement from the others, in folds, with weights found anew for each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve

from predictors._typing import FloatArray, IntArray
from predictors.kernel import Kernel
from predictors.kernel_parts import Features
from predictors.posterior import CONSTANT, JITTER, StructuredGaussianProcess

#: rows of which the kernels of all parts are held, so that they are computed once for all folds
STACKED = 700


def predict_folds(
    kernel: Kernel,
    features: Features,
    t: FloatArray,
    known: FloatArray,
    group: NDArray[np.intp],
    some: IntArray,
    centre: FloatArray,
    start: FloatArray,
    nugget: bool,
) -> tuple[FloatArray, FloatArray]:
    """Predict each row from the rows of other groups, with weights found anew for each group.

    Parameters
    ----------
    kernel : Kernel
        Its parts.
    features : dict
        Block name to features (n, columns).
    t, known : ndarray (n,)
        Warped and standardised values, and their known variances.
    group : ndarray of int (n,)
        The group of each row.
    some : ndarray of int (k,)
        Positions of the rows that weights are found from.
    centre, start : ndarray (parts + 1,)
        Centre of the prior of the logarithms, and where the search for them starts.
    nugget : bool
        Whether noise is learnt beside the known one.

    Returns
    -------
    mean : ndarray (n,)
        Standardised and warped.
    variance : ndarray (n,)
        Of a measurement, noise included.
    """
    every = kernel.stack(features, features) if len(t) <= STACKED else None
    if every is None:
        chosen = {name: block[some] for name, block in features.items()}
        stack = kernel.stack(chosen, chosen)
    else:
        stack = every[:, some[:, None], some]
    mean, variance = np.zeros(len(t)), np.ones(len(t))
    for fold in np.unique(group):
        inside, outside = np.flatnonzero(group != fold), np.flatnonzero(group == fold)
        at = np.flatnonzero(group[some] != fold)
        if not len(at):
            continue
        learnt = stack[:, at[:, None], at]
        theta = StructuredGaussianProcess._likeliest(learnt, t[some[at]], known[some[at]], centre, start, nugget)
        weights, noise = np.exp(theta[:-1]), float(np.exp(theta[-1]))
        if every is not None:
            whole = np.tensordot(weights, every, 1) + CONSTANT
        else:
            whole = kernel.weighted(weights, features, features) + CONSTANT
        matrix = whole[np.ix_(inside, inside)]
        matrix[np.diag_indices_from(matrix)] += noise + known[inside] + JITTER
        cross = whole[np.ix_(outside, inside)]
        solved = cho_solve((np.linalg.cholesky(matrix), True), np.column_stack([t[inside], cross.T]))
        mean[outside] = cross @ solved[:, 0]
        own = np.diag(whole)[outside] - np.einsum("ij,ji->i", cross, solved[:, 1:])
        variance[outside] = np.maximum(own, 1e-12) + noise + known[outside]
    return mean, variance
