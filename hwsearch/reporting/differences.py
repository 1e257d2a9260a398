"""Write differences and their intervals: what one step along a front gains and costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from hwsearch.reporting.words import MISSING, decimals, finite


def signed(value: object, low: object, high: object, digits: int = 2, *, sign: float = 1.0) -> str:
    """Write a difference with its interval: ``+1.4 (+0.5 to +2.3)``.

    Parameters
    ----------
    value, low, high : object
        The difference and the ends of its interval; anything that is not a number counts as missing.
    digits : int
        Decimals.
    sign : float
        1, or -1 for the difference the other way round.

    Returns
    -------
    str
        The text, with minus signs; a dash where the value is missing.

    Examples
    --------
    >>> from hwsearch.reporting.differences import signed
    >>> signed(1.44, 0.5, 2.31, 1), signed(0.2, 0.1, 0.3, 1, sign=-1)
    ('+1.4 (+0.5 to +2.3)', '−0.2 (−0.3 to −0.1)')
    """
    if not finite(value):
        return MISSING
    ends = sorted(sign * float(end) for end in (low, high) if finite(end))
    inside = f" ({ends[0]:+.{digits}f} to {ends[1]:+.{digits}f})" if len(ends) == 2 else ""
    return f"{sign * float(value):+.{digits}f}{inside}".replace("-", "\N{MINUS SIGN}")


def difference_places(value: object, ends: Sequence[object]) -> int:
    """Choose the decimals of a difference: the first digit of its uncertainty, and of its own.

    Parameters
    ----------
    value : object
        The difference; anything that is not a number counts as missing.
    ends : sequence of object
        The ends of its interval.

    Returns
    -------
    int
        At most 4.

    Examples
    --------
    >>> from hwsearch.reporting.differences import difference_places
    >>> difference_places(0.036, (0.007, 0.064)), difference_places(0.012, (-0.1, 0.2))
    (2, 2)
    """
    if not finite(value):
        return 2
    widths = [abs(float(e) - float(value)) for e in ends if finite(e)]
    own = -math.floor(math.log10(abs(float(value)))) if value else 0
    return min(4, max(0, decimals(widths, [value]), own if widths else 0))


def trade_off_text(step: Mapping[str, object], unit: str, *, gained: bool = True) -> str:
    """Write what one step along a front gains in score and costs in latency.

    Parameters
    ----------
    step : mapping
        ``accuracy`` and ``latency_ms`` that the slower subnet has more, with their ``_low`` and ``_high``.
    unit : str
        Of the score.
    gained : bool
        Whether the step is to the slower subnet; else everything is the other way round.

    Returns
    -------
    str
        For example ``+1.4 (+0.5 to +2.3) points for +0.05 (+0.03 to +0.07) ms``.
    """
    sign = 1.0 if gained else -1.0
    cost = step.get("latency_ms")
    ends = (step.get("latency_low"), step.get("latency_high"))
    gain = signed(step.get("accuracy"), step.get("accuracy_low"), step.get("accuracy_high"), 1, sign=sign)
    return f"{gain} {unit} for {signed(cost, *ends, difference_places(cost, ends), sign=sign)} ms"
