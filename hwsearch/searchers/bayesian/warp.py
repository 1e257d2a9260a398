"""Monotone transformations under which a measured quantity is closer to a Gaussian process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsearch._typing import FloatArray

#: distances of the pole from the best value, as shares of the distance of the median from it
GAPS = (0.1, 0.5, 2.5)


@dataclass(frozen=True)
class Warp:
    """Costs y (n,) to t and back; increasing.

    kind : ``plain`` t = y, ``log`` t = log y, ``gap`` t = log(y - pole), with the pole below the best value
    """

    kind: str
    pole: float = 0.0

    def __call__(self, y: FloatArray) -> FloatArray:
        if self.kind == "plain":
            return y
        return np.log(np.maximum(y - self.pole, 1e-300))

    def inverse(self, t: FloatArray) -> FloatArray:
        return t if self.kind == "plain" else self.pole + np.exp(np.minimum(t, 600.0))

    def log_slope(self, y: FloatArray) -> FloatArray:
        """Log dt/dy (n,)."""
        return np.zeros(len(y)) if self.kind == "plain" else -np.log(np.maximum(y - self.pole, 1e-300))


def warps(y: FloatArray) -> list[Warp]:
    """The candidates for costs y (n,)."""
    found = [Warp("plain")]
    if y.min() > 0:
        found.append(Warp("log"))
    gap = float(np.median(y) - y.min())
    if gap > 0:
        found += [Warp("gap", float(y.min() - share * gap)) for share in GAPS]
    return found
