"""Parts of a kernel: linear and curved ones, and what they are made of."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from predictors._typing import FloatArray

#: blocks of features by name, (n, columns) each
Features = dict[str, FloatArray]


@dataclass(frozen=True)
class Linear:
    """A part of a kernel that is linear in a block of features: effects with prior covariance map @ map.T.

    Attributes
    ----------
    name : str
        Of the part.
    block : str
        Which features.
    map : ndarray (columns of the block, q)
        Root of the effects' covariance.
    """

    name: str
    block: str
    map: FloatArray


@dataclass(frozen=True)
class Curved:
    """A part of a kernel that is not linear in a block of features.

    Attributes
    ----------
    name : str
        Of the part.
    block : str
        Which features.
    kind : str
        ``rbf`` exp(-d²/scale), ``rough`` exp(-d/scale), ``pairs`` (x·y)², with d the distance of two rows x and y.
    scale : float
        Length scale, in units of d² or d.
    """

    name: str
    block: str
    kind: str
    scale: float = 1.0


def rows_of(features: Features) -> int:
    """Count the rows of some features.

    Parameters
    ----------
    features : dict
        Block name to features (n, columns).

    Returns
    -------
    int
        n.
    """
    return len(next(iter(features.values())))


def membership(keys: Sequence[Hashable]) -> FloatArray:
    """Compute which of the distinct keys each one is.

    Parameters
    ----------
    keys : sequence of hashable (n,)
        Such as genes' kinds.

    Returns
    -------
    ndarray (n, kinds)
        Zeros and ones; kinds in the order of their first place.
    """
    place = {key: k for k, key in enumerate(dict.fromkeys(keys))}
    out = np.zeros((len(keys), len(place)))
    out[np.arange(len(keys)), [place[key] for key in keys]] = 1.0
    return out


def root(covariance: FloatArray) -> FloatArray:
    """Find a matrix whose product with its transpose is the covariance.

    Parameters
    ----------
    covariance : ndarray (n, n)
        Symmetric; negative eigenvalues count as 0.

    Returns
    -------
    ndarray (n, n)
    """
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def inverse(variance: float) -> float:
    """Invert a variance.

    Parameters
    ----------
    variance : float
        0 or more.

    Returns
    -------
    float
        0 where there is next to none.
    """
    return 1.0 / variance if variance > 1e-10 else 0.0


def covariance_root(covariance: FloatArray) -> FloatArray:
    """Compute a Cholesky factor, with as much added to the diagonal as it takes.

    Parameters
    ----------
    covariance : ndarray (k, k)
        Symmetric.

    Returns
    -------
    ndarray (k, k)
        Lower triangle.
    """
    jitter = 1e-8 * (1.0 + float(np.diag(covariance).max(initial=0.0)))
    while True:
        try:
            return np.asarray(np.linalg.cholesky(covariance + jitter * np.eye(len(covariance))))
        except np.linalg.LinAlgError:
            jitter *= 10.0
