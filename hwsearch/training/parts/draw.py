"""One subnet of a step, and the part that it plays there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hwsearch.spaces import Architecture

#: teaches the students of its step, learns from the teacher, or neither
Role = Literal["teacher", "student", "plain"]


@dataclass(frozen=True)
class Draw:
    """One subnet of a step.

    Attributes
    ----------
    arch : Architecture
        The subnet.
    name : str
        What its loss is called in the log; the last one of a name counts.
    role : {"teacher", "student", "plain"}
        Whose outputs it learns from, or who learns from its.
    scale : float
        Factor of its gradient.
    cell : int
        Number of the part of the space that it was drawn from, where a sampler has several.
    """

    arch: Architecture
    name: str = "random"
    role: Role = "plain"
    scale: float = 1.0
    cell: int = 0
