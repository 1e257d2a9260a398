"""Sums of operators, and how well they tell the latency of whole networks."""

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
    """Sum the operators of each architecture.

    Parameters
    ----------
    ms : mapping of str to float
        Latency of each signature, ms.
    counts : sequence of mapping
        How often each architecture executes a signature.

    Returns
    -------
    numpy.ndarray
        Shape (n,), ms; NaN where a signature is not in the table.

    Examples
    --------
    >>> sums({"a": 0.5}, [{"a": 3}, {"b": 1}])
    array([1.5, nan])
    """
    return np.array([sum(ms.get(s, math.nan) * times for s, times in found.items()) for found in counts])


def linear_correction(x: FloatArray, whole: FloatArray, fitted: NDArray[np.int64]) -> tuple[float, float]:
    """Fit whole ≈ offset + slope · sum by least squares of relative errors.

    Parameters
    ----------
    x, whole : numpy.ndarray
        Shape (n,): sums and measured latencies, ms.
    fitted : numpy.ndarray
        Rows to be fitted on.

    Returns
    -------
    offset, slope : float
        In ms, and without unit.
    """
    design = np.column_stack([np.ones(len(fitted)), x[fitted]]) / whole[fitted, None]
    offset, slope = np.linalg.lstsq(design, np.ones(len(fitted)), rcond=None)[0]
    return float(offset), float(slope)


def agreement(x: FloatArray, whole: FloatArray, rng: np.random.Generator, *, fitted: int = FITTED) -> JsonObject:
    """Judge how well sums of operators tell measured latencies.

    Parameters
    ----------
    x, whole : numpy.ndarray
        Shape (n,): sums and measured latencies, ms.
    rng : numpy.random.Generator
        Draws the rows that a correction is fitted on.
    fitted : int
        How many of them; half where there are fewer than twice as many.

    Returns
    -------
    dict
        ``rank`` (Spearman over all), ``mape_pct`` (of the rest after the correction), ``offset_ms``, ``slope`` and counts;
        None for all figures with fewer than six wholes.
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
