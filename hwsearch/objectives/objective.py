"""What is optimised: a metric, its direction, and perhaps a limit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwsearch.errors import LimitError, nearest
from hwsearch.objectives.limit import Limit, parse_limit
from hwsearch.objectives.names import DIRECTIONS, known_metrics, metric_name


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
