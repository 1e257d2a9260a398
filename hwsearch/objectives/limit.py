"""Limits on metrics: what they say, how they are written, and the error when none can be met."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwsearch._typing import BoolArray, FloatArray
from hwsearch.errors import LimitError, nearest
from hwsearch.objectives.names import DEVICE_METRICS, SCORE_METRICS, UNITS, known_direction, metric_name


@dataclass(frozen=True)
class Limit:
    """A bound on a metric.

    Attributes
    ----------
    op : {"<=", ">="}
        Upper or lower bound.
    value : float
        The bound in the metric's unit, or a share of the largest subnet's value when `relative`.
    relative : bool
        Whether `value` is a share.

    Examples
    --------
    >>> from hwsearch.objectives import Limit
    >>> Limit("<=", 2.0).met([1.5, 2.0, 2.5]).tolist()
    [True, True, False]
    >>> str(Limit("<=", 0.6, relative=True).resolve(20.0))
    '<= 12'
    """

    op: str
    value: float
    relative: bool = False

    def resolve(self, largest: float | None) -> Limit:
        """Turn a share into an absolute limit.

        Parameters
        ----------
        largest : float or None
            The largest subnet's value, in the metric's unit; None if it is not known.

        Returns
        -------
        Limit
            The absolute limit; the limit itself if it is absolute already.

        Raises
        ------
        LimitError
            If the limit is a share and `largest` is None.
        """
        if not self.relative:
            return self
        if largest is None:
            raise LimitError(f"the limit '{self}' needs the largest subnet's value, which has not been measured.")
        return Limit(self.op, self.value * largest)

    def met(self, values: FloatArray) -> BoolArray:
        """Tell which values satisfy the (absolute) limit.

        Parameters
        ----------
        values : array_like of float, shape (n,)
            Values in the metric's unit; NaN satisfies no limit.

        Returns
        -------
        ndarray of bool, shape (n,)
            True where a value is within the limit, or exactly at it.
        """
        values = np.asarray(values, dtype=np.float64)
        return values <= self.value if self.op == "<=" else values >= self.value

    def excludes(self, other: Limit) -> bool:
        """Tell whether no value can meet both limits.

        Parameters
        ----------
        other : Limit
            Another limit on the same metric.

        Returns
        -------
        bool
            True if the two contradict each other; False where that is unknown, as for a share and a number.
        """
        low, high = (self, other) if self.op == ">=" else (other, self)
        return low.op == ">=" and high.op == "<=" and low.relative == high.relative and low.value > high.value

    def __str__(self) -> str:
        return f"{self.op} {100 * self.value:g} %" if self.relative else f"{self.op} {self.value:g}"


#: signs that mean the same, and how they are written here
SIGNS = {"\N{LESS-THAN OR EQUAL TO}": "<=", "\N{LESS-THAN OR SLANTED EQUAL TO}": "<=", "\N{LESS-THAN OVER EQUAL TO}": "<=", "=<": "<=",
    "\N{GREATER-THAN OR EQUAL TO}": ">=", "\N{GREATER-THAN OR SLANTED EQUAL TO}": ">=", "\N{GREATER-THAN OVER EQUAL TO}": ">=", "=>": ">="}  # fmt: skip
#: metrics that are limited on one side only; a range of MACs or parameters is usual
ONE_SIDED = (*SCORE_METRICS, *DEVICE_METRICS)

_LIMIT = re.compile(
    r"^\s*(?P<metric>[A-Za-z_]\w*)?\s*(?P<op><=|>=|<|>|=|==)\s*(?P<value>[-+.\deE]+)\s*(?P<unit>[^\s\d]*)\s*$"
)


def parse_limit(text: str, metric: str | None = None, *, any_side: bool = False) -> tuple[str, Limit]:
    """Read a limit on a metric.

    Parameters
    ----------
    text : str
        For example ``latency_ms<=2``, ``<= 12 ms``, ``accuracy>=80``, or ``<= 60 %``: a percentage of anything but
        accuracy is a share of the largest subnet's value.
    metric : str, optional
        The metric of a text that does not name one; one that does must name the same.
    any_side : bool
        Take also what is probably a mistake: an accuracy that may be a fraction, and a limit on the side that is better.

    Returns
    -------
    (str, Limit)
        The metric's full name, and the limit in the metric's own unit.

    Raises
    ------
    LimitError
        If the text is not a limit, names no metric or another one, its number or unit cannot be read, it can be read in two
        ways, or it is on the wrong side.

    Examples
    --------
    >>> from hwsearch.objectives import parse_limit
    >>> parse_limit("latency <= 500 us")
    ('latency_ms', Limit(op='<=', value=0.5, relative=False))
    >>> parse_limit("<= 60 %", "macs")
    ('macs', Limit(op='<=', value=0.6, relative=True))
    """
    if not isinstance(text, str):
        raise LimitError(f"{text!r} is not a limit.", hint="Give a text such as 'latency_ms<=2'.")
    plain = unicodedata.normalize("NFKC", text).replace("\N{MINUS SIGN}", "-")
    for sign, written in SIGNS.items():
        plain = plain.replace(sign, written)
    match = _LIMIT.match(plain)
    if match is None or match["op"] not in ("<=", ">="):
        raise LimitError(
            f"{text!r} is not a limit.", hint="Write METRIC<=NUMBER or METRIC>=NUMBER, as in 'latency_ms<=2'."
        )
    name = metric_name(match["metric"] or metric or "")
    if not name:
        raise LimitError(f"the limit {text!r} does not name its metric.", hint=f"Write 'latency_ms{text.strip()}'.")
    if metric is not None and name != metric_name(metric):
        raise LimitError(f"the limit {text!r} is on {name!r}, not on {metric_name(metric)!r}.")
    try:
        value = float(match["value"])
    except ValueError:
        raise LimitError(f"{match['value']!r} in limit {text!r} is not a number.") from None
    if not math.isfinite(value):
        raise LimitError(f"{match['value']!r} in limit {text!r} is too large for a number.")
    unit = match["unit"].lower()
    if unit == "%" and name not in SCORE_METRICS:
        return name, Limit(match["op"], value / 100, relative=True)
    if not any_side:
        _reject_unclear(text, name, match["op"], value, unit)
    units = UNITS.get(name, {"": 1.0})
    if unit not in units:
        raise LimitError(
            f"unit {match['unit']!r} in limit {text!r} does not fit {name!r}.",
            hint=nearest(unit, [u for u in units if u]),
        )
    return name, Limit(match["op"], value * units[unit])


def _reject_unclear(text: str, name: str, op: str, value: float, unit: str) -> None:
    """Refuse a limit that may mean something else than it says."""
    if name in SCORE_METRICS and not unit and 0 < value <= 1:
        raise LimitError(
            f"the limit {text!r} may mean {value:g} % or {100 * value:g} %: accuracies are percent.",
            hint=f"Write '{name}>={100 * value:g}' or '{name}>={value:g} %'.",
        )
    if name in ONE_SIDED and (op == ">=") == (known_direction(name) == "min"):
        better, other = ("less", "<=") if op == ">=" else ("more", ">=")
        raise LimitError(
            f"the limit {text!r} would keep only what is worse: of {name} {better} is better.",
            hint=f"Write '{name}{other}{value:g}{unit and ' ' + unit}'.",
        )


def unreachable_error(
    asked: str, limit: Limit, values: FloatArray, met: Sequence[str], retry: str, what: str = "measured"
) -> LimitError:
    """Make the error for a limit that no subnet meets.

    It names the nearest value that can be reached, and suggests a limit, rounded to three digits, that can be met.

    Parameters
    ----------
    asked : str
        The limit in words.
    limit : Limit
        The absolute limit.
    values : ndarray of float, shape (n,)
        Values that do not meet it, at least one of them not NaN.
    met : sequence of str
        Limits asked for before, in words.
    retry : str
        The limit to try, without its number.
    what : str
        What the values are: the best of them is called the lowest or highest `what`.

    Returns
    -------
    LimitError
        The error, to be raised by the caller.
    """
    lowest = limit.op == "<="
    best = float(np.nanmin(values) if lowest else np.nanmax(values))
    # at three digits, rounded to the side that can be met
    unit = 10.0 ** (math.floor(math.log10(abs(best))) - 2) if best else 1.0
    rounded = (math.ceil if lowest else math.floor)(best / unit) * unit
    possible = rounded >= best if lowest else rounded <= best
    under = f" under {' and '.join(met)}" if met else ""
    return LimitError(
        f"No measured subnet meets {asked}{under}: the {'lowest' if lowest else 'highest'} {what} is {best:g}.",
        hint=f'Try "{retry} {rounded if possible else best:.12g}".',
    )
