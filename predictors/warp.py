"""Warp measured quantities monotonically, so that they are closer to a Gaussian process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from predictors._typing import FloatArray
from predictors.errors import PredictorError

#: kinds of warps, and those with a pole that is chosen
KINDS, POLES = ("plain", "log", "gap", "ceiling"), ("gap", "ceiling")
#: distances of the pole from the best value, as shares of the distance of the median from it
GAPS = (0.1, 0.5, 2.5)


@dataclass(frozen=True)
class Warp:
    """An increasing transformation of costs y to t and back.

    Attributes
    ----------
    kind : str
        ``plain`` t = y, ``log`` t = log y, ``gap`` t = log(y - pole), ``ceiling`` t = -log(pole - y).
    pole : float
        Below the smallest value, of a ceiling above the largest one, in the unit of y.

    Examples
    --------
    >>> warp = Warp("gap", pole=1.0)
    >>> warp.inverse(warp(np.array([2.0, 5.0]))).round(9).tolist()
    [2.0, 5.0]
    """

    kind: str
    pole: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise PredictorError(f"{self.kind!r} is no kind of warp.", hint=f"Use one of {', '.join(KINDS)}.")

    def __call__(self, y: FloatArray) -> FloatArray:
        """Warp costs.

        Parameters
        ----------
        y : ndarray
            Of any shape.

        Returns
        -------
        ndarray
            Warped values t.
        """
        if self.kind == "plain":
            return y
        if self.kind == "ceiling":
            return -np.log(np.maximum(self.pole - y, 1e-300))
        return np.log(np.maximum(y - self.pole, 1e-300))

    def inverse(self, t: FloatArray) -> FloatArray:
        """Map warped values back.

        Parameters
        ----------
        t : ndarray
            Of any shape.

        Returns
        -------
        ndarray
            Costs y.
        """
        if self.kind == "ceiling":
            return self.pole - np.exp(np.minimum(-t, 600.0))
        return t if self.kind == "plain" else self.pole + np.exp(np.minimum(t, 600.0))

    def log_slope(self, y: FloatArray) -> FloatArray:
        """Compute the logarithm of the slope dt/dy.

        Parameters
        ----------
        y : ndarray (n,)
            Costs.

        Returns
        -------
        ndarray (n,)
        """
        if self.kind == "plain":
            return np.zeros(len(y))
        return -np.log(np.maximum(abs(y - self.pole), 1e-300))

    def deviation(self, t: FloatArray, spread: FloatArray) -> FloatArray:
        """Compute the standard deviation of y where t is normal.

        Parameters
        ----------
        t : ndarray
            Means.
        spread : ndarray
            Standard deviations of t.

        Returns
        -------
        ndarray
            In the unit of y; of the lognormal distribution but where the warp is plain.
        """
        if self.kind == "plain":
            return spread
        variance = np.minimum(spread**2, 200.0)
        return np.abs(self.inverse(t) - self.pole) * np.exp(variance / 2) * np.sqrt(np.expm1(variance))


def warps(y: FloatArray) -> list[Warp]:
    """List the warps that suit some costs.

    Parameters
    ----------
    y : ndarray (n,)
        Measured costs.

    Returns
    -------
    list of Warp
        ``plain``; ``log`` where all costs are positive; ``gap`` with a pole for each of `GAPS` where costs vary.
    """
    found = [Warp("plain")]
    if y.min() > 0:
        found.append(Warp("log"))
    gap = float(np.median(y) - y.min())
    if gap > 0:
        found += [Warp("gap", float(y.min() - share * gap)) for share in GAPS]
    return found


def two_sided_warps(y: FloatArray) -> list[Warp]:
    """List the warps that suit values of which neither the small nor the large ones are better.

    Parameters
    ----------
    y : ndarray (n,)
        Measured values.

    Returns
    -------
    list of Warp
        Those of `warps`; ``ceiling`` with a pole for each of `GAPS` where values vary.
    """
    gap = float(y.max() - np.median(y))
    return warps(y) + ([Warp("ceiling", float(y.max() + share * gap)) for share in GAPS] if gap > 0 else [])
