"""Operator tables: which kernels a search space can ask for, what each takes, and whether their sum is the whole."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray

#: wholes that a correction is fitted on
FITTED = 30


# ---------------------------------------------------------------------- sums and wholes
def sums(ms: Mapping[str, float], counts: Sequence[Mapping[str, int]]) -> FloatArray:
    """(n,) sum of the operators of each architecture in ms; NaN where one is not in the table."""
    return np.array([sum(ms.get(s, math.nan) * times for s, times in found.items()) for found in counts])


def linear_correction(x: FloatArray, whole: FloatArray, fitted: NDArray[np.int64]) -> tuple[float, float]:
    """(offset, slope) of whole ≈ offset + slope · x by least squares of relative errors over the rows `fitted`."""
    design = np.column_stack([np.ones(len(fitted)), x[fitted]]) / whole[fitted, None]
    offset, slope = np.linalg.lstsq(design, np.ones(len(fitted)), rcond=None)[0]
    return float(offset), float(slope)


def agreement(x: FloatArray, whole: FloatArray, rng: np.random.Generator, *, fitted: int = FITTED) -> JsonObject:
    """How well x (n,) tells wholes (n,): Spearman over all; MAPE of the rest after a correction fitted on `fitted` of them.

    Half are fitted on where there are fewer than twice as many; None with fewer than six.
    """
    n = len(whole)
    if n < 6:
        return {"wholes": n, "rank": None, "mape_pct": None, "fitted": 0, "offset_ms": None, "slope": None}
    chosen = rng.permutation(n)[: min(fitted, n // 2)]
    offset, slope = linear_correction(x, whole, chosen)
    rest = np.setdiff1d(np.arange(n), chosen)
    error = np.abs((offset + slope * x[rest]) / whole[rest] - 1)
    return {
        "wholes": n,
        "rank": float(spearmanr(x, whole)[0]),
        "mape_pct": float(100 * error.mean()),
        "fitted": len(chosen),
        "offset_ms": offset,
        "slope": slope,
    }
