"""Objectives: a metric with its direction, its device, and perhaps a limit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hwsearch._typing import FloatArray
from hwsearch.errors import LimitError, nearest
from hwsearch.objectives.limit import Limit, parse_limit
from hwsearch.objectives.names import known_direction, known_metrics, metric_name


@dataclass(frozen=True)
class Objective:
    """A metric to minimise or maximise, perhaps on a device and under a limit.

    Attributes
    ----------
    metric : str
        Name of the metric; short names such as ``latency`` are expanded.
    direction : {"min", "max"}
        Whether smaller or larger is better; that of a known metric by default.
    device : str, optional
        The device that the metric is measured on.
    limit : Limit, optional
        A bound that the metric must respect.
    probability : float, optional
        The probability, in (0.5, 1), with which the limit must be met (a chance constraint). None means that the
        measured value must meet it, whatever its interval.

    Raises
    ------
    LimitError
        If the direction is missing or unknown, or the probability has no limit or is out of range.

    References
    ----------
    Charnes and Cooper, "Chance-constrained programming", 1959, doi 10.1287/mnsc.6.1.73.

    Examples
    --------
    >>> from hwsearch.objectives import Objective
    >>> Objective("latency", device="edge-box").name
    'latency_ms@edge-box'
    >>> Objective.parse("max accuracy").sign
    -1.0
    """

    metric: str
    direction: str = ""
    device: str | None = None
    limit: Limit | None = None
    probability: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "metric", metric_name(self.metric))
        direction = self.direction or known_direction(self.metric)
        if direction not in ("min", "max"):
            raise LimitError(
                f"objective {self.metric!r} has no direction.",
                hint=f"Write 'min METRIC' or 'max METRIC'. {nearest(self.metric, known_metrics())}",
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
        """Column name of the objective: ``metric``, or ``metric@device``."""
        return f"{self.metric}@{self.device}" if self.device else self.metric

    @property
    def sign(self) -> float:
        """Factor that turns values into costs to be minimised: 1 for ``min``, -1 for ``max``."""
        return -1.0 if self.direction == "max" else 1.0

    def with_limit(self, limit: Limit | None) -> Objective:
        """Replace the limit.

        Parameters
        ----------
        limit : Limit or None
            The new limit; None removes limit and probability.

        Returns
        -------
        Objective
            A changed copy.
        """
        return replace(self, limit=limit, probability=self.probability if limit else None)

    def at_least(self, value: float) -> Objective:
        """Ask for a value or better.

        Parameters
        ----------
        value : float
            The value to reach, in the metric's unit.

        Returns
        -------
        Objective
            A copy with the limit at `value` and without a probability; the objective itself where its own limit asks
            for more, or bounds the other side.
        """
        wanted = Limit("<=" if self.direction == "min" else ">=", value)
        own = self.limit
        if own is not None and (own.op != wanted.op or self.sign * own.value <= self.sign * value):
            return self
        return replace(self, limit=wanted, probability=None)

    @classmethod
    def parse(cls, text: str) -> Objective:
        """Read an objective.

        Parameters
        ----------
        text : str
            For example ``max accuracy``, ``latency_ms``, ``latency_ms <= 2``, ``latency_ms@edge-box <= 2 ms``.

        Returns
        -------
        Objective
            The objective.

        Raises
        ------
        LimitError
            If the direction is not known, or the limit cannot be read.

        Examples
        --------
        >>> from hwsearch.objectives import Objective
        >>> objective = Objective.parse("latency@edge-box <= 500 us")
        >>> objective.name, str(objective.limit)
        ('latency_ms@edge-box', '<= 0.5')
        """
        words = text.split(maxsplit=1)
        direction, rest = (words[0], words[1]) if len(words) == 2 and words[0] in ("min", "max") else ("", text)
        bound = re.search(r"[<>=]", rest)
        named, condition = (rest[: bound.start()], rest[bound.start() :]) if bound else (rest, "")
        metric, _, device = named.strip().partition("@")
        limit = parse_limit(metric + condition, any_side=True)[1] if bound else None
        return cls(metric, direction, device or None, limit)


def signs(objectives: Sequence[Objective]) -> FloatArray:
    """Get the factors that turn values into costs to be minimised.

    Parameters
    ----------
    objectives : sequence of Objective
        The m objectives.

    Returns
    -------
    ndarray of float, shape (m,)
        1 for objectives to be minimised, -1 for those to be maximised.
    """
    return np.array([o.sign for o in objectives])
