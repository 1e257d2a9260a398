"""What is optimised: a metric, its direction, and perhaps a limit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwsearch.errors import LimitError, nearest
from hwsearch.plugins import entry_points

#: directions of the metrics the engine knows; others must say theirs
DIRECTIONS = {
    "accuracy": "max",
    "latency_ms": "min",
    "macs": "min",
    "params": "min",
    "model_size_mib": "min",
    "peak_memory_mib": "min",
    "energy_mj": "min",
}

#: how many of the metric's own unit one of these is
UNITS = {
    "accuracy": {"": 1.0, "%": 1.0, "pt": 1.0},
    "latency_ms": {"": 1.0, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1.0, "s": 1e3},
    "macs": {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9},
    "params": {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9},
    "model_size_mib": {"": 1.0, "kib": 1 / 1024, "mib": 1.0, "mb": 1e6 / 2**20},
    "peak_memory_mib": {"": 1.0, "kib": 1 / 1024, "mib": 1.0, "gib": 1024.0},
    "energy_mj": {"": 1.0, "mj": 1.0, "j": 1e3},
}

#: metrics that are measured on a device, and so belong to one, with their units
DEVICE_METRICS = {"latency_ms": "ms", "peak_memory_mib": "MiB", "energy_mj": "mJ"}

ALIASES = {"latency": "latency_ms", "top1": "accuracy", "size": "model_size_mib", "model_size": "model_size_mib"}
ALIASES |= {"peak_memory": "peak_memory_mib", "energy": "energy_mj"}


def known_metrics() -> dict[str, str]:
    """Direction by name of every metric: the built-in ones and those of entry points (`hwsearch.objectives`)."""
    found = dict(DIRECTIONS)
    for point in entry_points(group="hwsearch.objectives"):
        if point.name not in found:
            found[point.name] = str(point.load().direction)
    return found


def metric_name(name: str) -> str:
    """The full name of a metric: ``latency`` → ``latency_ms``."""
    return ALIASES.get(name, name)


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


@dataclass(frozen=True)
class Objective:
    """A metric, its direction, the device it belongs to (or None), and an optional limit.

    probability : with which the limit must be met (a chance constraint; Charnes and Cooper 1959); None: the measured
        value must meet it, whatever its interval
    """

    metric: str
    direction: str = ""
    device: str | None = None
    limit: Limit | None = None
    probability: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "metric", metric_name(self.metric))
        direction = self.direction or DIRECTIONS.get(self.metric) or known_metrics().get(self.metric, "")
        if direction not in ("min", "max"):
            raise LimitError(
                f"objective {self.metric!r} has no direction.",
                hint=f"Write 'min METRIC' or 'max METRIC'. {nearest(self.metric, DIRECTIONS)}",
            )
        object.__setattr__(self, "direction", direction)
        if self.probability is not None:
            if self.limit is None:
                raise LimitError(
                    f"objective {self.metric!r} has a probability and no limit that it could be of.",
                    hint="Give a limit too, such as '<= 12 ms', or leave probability out.",
                )
            if not 0.5 < self.probability < 1:
                raise LimitError(
                    f"probability {self.probability:g} of objective {self.metric!r} is not between 0.5 and 1.",
                    hint="0.95 is usual.",
                )

    @property
    def name(self) -> str:
        """The column name: the metric, with its device if it has one."""
        return f"{self.metric}@{self.device}" if self.device else self.metric

    @property
    def sign(self) -> float:
        """Multiply values by this to have smaller mean better."""
        return -1.0 if self.direction == "max" else 1.0

    def with_limit(self, limit: Limit | None) -> Objective:
        """With another limit; a probability goes with the limit."""
        return replace(self, limit=limit, probability=self.probability if limit else None)

    def at_least(self, value: float) -> Objective:
        """With a limit that asks for `value` or better, unless the own limit asks for more, or bounds the other side."""
        wanted = Limit("<=" if self.direction == "min" else ">=", value)
        own = self.limit
        if own is not None and (own.op != wanted.op or self.sign * own.value <= self.sign * value):
            return self
        return replace(self, limit=wanted, probability=None)

    @classmethod
    def parse(cls, text: str) -> Objective:
        """An objective from ``max accuracy``, ``latency_ms``, ``latency_ms <= 2``, ``latency_ms@edge-box <= 2 ms``."""
        words = text.split(maxsplit=1)
        direction, rest = (words[0], words[1]) if len(words) == 2 and words[0] in ("min", "max") else ("", text)
        bound = re.search(r"[<>=]", rest)
        named, condition = (rest[: bound.start()], rest[bound.start() :]) if bound else (rest, "")
        metric, _, device = named.strip().partition("@")
        limit = parse_limit(metric + condition)[1] if bound else None
        return cls(metric, direction, device or None, limit)


def signs(objectives: Sequence[Objective]) -> NDArray[np.float64]:
    """(m,) factors that turn values (n, m) into costs to be minimised."""
    return np.array([o.sign for o in objectives])
