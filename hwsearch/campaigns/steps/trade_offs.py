"""Trade-offs along a front: what the next slower member gains, and what it costs, as differences of neighbours with their intervals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from hwsearch.accuracy import Z95
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.intervals import score_error
from hwsearch.campaigns.jobs.accuracy import recorded_score
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.purpose import VALIDATE
from hwsearch.campaigns.split import Split
from hwsearch.store import Measurement


def trade_offs(campaign: Campaign, known: Known, front: pd.DataFrame) -> list[dict[str, Any]]:
    """Compare the neighbours along a device's front, sorted by latency.

    Parameters
    ----------
    campaign : Campaign
        Whose kind of score.
    known : Known
        What the store holds: the records of the scores on the test data.
    front : pandas.DataFrame
        Columns ``arch_id``, ``latency_ms`` and the ends of its ratio's interval, ``latency_ms_ratio_low`` and ``_high``.

    Returns
    -------
    list of dict
        One a pair: ``faster`` and ``slower`` (ids), and what the slower one has more: ``accuracy``, ``accuracy_low`` and
        ``accuracy_high`` in the score's unit (paired over the test examples), ``latency_ms``, ``latency_low`` and
        ``latency_high`` in ms. Ends are those of a 95 % interval for the accuracy, of the protocol's for the latency; NaN
        where unknown.
    """
    if not {"latency_ms", "latency_ms_ratio_low", "latency_ms_ratio_high"} <= set(front.columns):
        return []
    rows = front.sort_values("latency_ms", kind="stable").to_dict("records")
    scores = known.accuracy(Split.TEST, VALIDATE)
    found = []
    for fast, slow in itertools.pairwise(rows):
        gain, error = _gain(campaign, scores.get(fast["arch_id"]), scores.get(slow["arch_id"]))
        low, high = difference_ends(_ends(fast), _ends(slow))
        found.append(
            {
                "faster": fast["arch_id"],
                "slower": slow["arch_id"],
                "accuracy": gain,
                "accuracy_low": gain - Z95 * error,
                "accuracy_high": gain + Z95 * error,
                "latency_ms": float(slow["latency_ms"]) - float(fast["latency_ms"]),
                "latency_low": low,
                "latency_high": high,
            }
        )
    return found


def neighbours(pairs: list[dict[str, Any]], arch_id: str) -> dict[str, dict[str, Any] | None]:
    """Find what the next slower and the next faster member of a front differ by.

    Parameters
    ----------
    pairs : list of dict
        Of `trade_offs`.
    arch_id : str
        A member of the front.

    Returns
    -------
    dict of str to dict or None
        ``slower`` and ``faster``: the pair that the member makes with that neighbour; None at the ends of the front.
    """
    return {
        "slower": next((p for p in pairs if p["faster"] == arch_id), None),
        "faster": next((p for p in pairs if p["slower"] == arch_id), None),
    }


def difference_ends(first: tuple[float, float, float], second: tuple[float, float, float]) -> tuple[float, float]:
    """Compute the interval of a difference from the intervals of its parts, by the method of variance estimates recovery.

    Parameters
    ----------
    first, second : tuple of float
        Value, low and high end, of independent errors, in one unit.

    Returns
    -------
    low, high : float
        Ends of the interval of second minus first.

    References
    ----------
    G. Y. Zou, A. Donner (2008). "Construction of confidence limits about effect measures: a general approach." Statistics in
    Medicine 27, 1693. doi:10.1002/sim.3095

    Examples
    --------
    >>> difference_ends((1.0, 0.7, 1.2), (2.0, 1.6, 2.9))
    (0.5527864045000421, 1.9486832980505138)
    """
    (a, a_low, a_high), (b, b_low, b_high) = first, second
    return b - a - math.hypot(b - b_low, a_high - a), b - a + math.hypot(b_high - b, a - a_low)


def _gain(campaign: Campaign, first: Measurement | None, second: Measurement | None) -> tuple[float, float]:
    """Return by how much the second score is higher, and the standard error: paired where the records are known."""
    if first is None or second is None or first.value is None or second.value is None:
        return math.nan, math.nan
    if first.record and second.record:
        return recorded_score(campaign, second).difference(recorded_score(campaign, first))
    return second.value - first.value, math.hypot(score_error(first), score_error(second))


def _ends(row: Mapping[Hashable, Any]) -> tuple[float, float, float]:
    keys = ("latency_ms", "latency_ms_ratio_low", "latency_ms_ratio_high")
    value, low, high = (float(row[k]) if row[k] is not None else math.nan for k in keys)
    return value, low, high
