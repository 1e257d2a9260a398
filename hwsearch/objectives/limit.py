"""What is optimised: a metric, its direction, and perhaps a limit."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsearch.errors import LimitError, nearest
from hwsearch.objectives.names import UNITS, metric_name


@dataclass(frozen=True)
class Limit:
    """A bound on a metric.

    op : ``<=`` or ``>=``
    value : in the metric's unit, or a share of the largest subnet's value when `relative`
    """

    op: str
    value: float
    relative: bool = False

    def resolve(self, largest: float | None) -> Limit:
        """The absolute limit, given the largest subnet's value."""
        if not self.relative:
            return self
        if largest is None:
            raise LimitError(f"the limit '{self}' needs the largest subnet's value, which has not been measured.")
        return Limit(self.op, self.value * largest)

    def met(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which values (n,) satisfy the (absolute) limit; NaN does not."""
        values = np.asarray(values, dtype=np.float64)
        return values <= self.value if self.op == "<=" else values >= self.value

    def excludes(self, other: Limit) -> bool:
        """Whether no value meets both limits; unknown, hence False, of a share and a number."""
        low, high = (self, other) if self.op == ">=" else (other, self)
        return low.op == ">=" and high.op == "<=" and low.relative == high.relative and low.value > high.value

    def __str__(self) -> str:
        return f"{self.op} {100 * self.value:g} %" if self.relative else f"{self.op} {self.value:g}"


_LIMIT = re.compile(
    r"^\s*(?P<metric>[A-Za-z_]\w*)?\s*(?P<op><=|>=|<|>|=|==)\s*(?P<value>[-+.\deE]+)\s*(?P<unit>[^\s\d]*)\s*$"
)


def parse_limit(text: str, metric: str | None = None) -> tuple[str, Limit]:
    """(metric, limit) of texts such as ``latency_ms<=2``, ``<= 12 ms``, ``<= 60 %`` (of the largest), ``accuracy>=80``.

    A percentage of anything but accuracy is a share of the largest subnet's value.
    """
    match = _LIMIT.match(text)
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
    unit = match["unit"].lower()
    if unit == "%" and name != "accuracy":
        return name, Limit(match["op"], value / 100, relative=True)
    units = UNITS.get(name, {"": 1.0})
    if unit not in units:
        raise LimitError(
            f"unit {match['unit']!r} in limit {text!r} does not fit {name!r}.",
            hint=nearest(unit, [u for u in units if u]),
        )
    return name, Limit(match["op"], value * units[unit])
