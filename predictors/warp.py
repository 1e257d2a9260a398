"""Warp measured quantities monotonically, so that they are closer to a Gaussian process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from predictors._typing import FloatArray

#: distances of the pole from the best value, as shares of the distance of the median from it
GAPS = (0.1, 0.5, 2.5)


@dataclass(frozen=True)
class Warp:
    """An increasing transformation of costs y to t and back.

    Attributes
    ----------
    kind : str
        ``plain`` t = y, ``log`` t = log y, ``gap`` t = log(y - pole).
    pole : float
        Below the best value, in the unit of y.

    Examples
    --------
    >>> warp = Warp("gap", pole=1.0)
    >>> warp.inverse(warp(np.array([2.0, 5.0]))).round(9).tolist()
    [2.0, 5.0]
    """

    kind: str
    pole: float = 0.0

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
        return np.zeros(len(y)) if self.kind == "plain" else -np.log(np.maximum(y - self.pole, 1e-300))


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
