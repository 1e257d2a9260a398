"""Claims: each is a function that tells figures by name, each with an aim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.frame import Run


@dataclass(frozen=True)
class Figure:
    """One figure of a claim.

    Attributes
    ----------
    value : float
        What was found, the mean where it was found several times.
    std : float
        Standard deviation over `n`; NaN of one.
    n : int
        How often it was found: seeds, or other repetitions.
    aim : str
        What was asked for, such as ``<= 15``; empty where it is only told.
    note : str
        Anything more.
    rows : pandas.DataFrame, optional
        What lies behind it, for a plot of its own: text columns name the bars, the first column of numbers is drawn.
    """

    value: float
    std: float = float("nan")
    n: int = 1
    aim: str = ""
    note: str = ""
    rows: pd.DataFrame | None = None

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None where there is none."""
        if not self.aim:
            return None
        op, _, bound = self.aim.partition(" ")
        limit = float(bound)
        return {
            "<=": self.value <= limit,
            ">=": self.value >= limit,
            ">": self.value > limit,
            "=": self.value == limit,
        }[op]


#: claims: what each function tells, by the names of its figures
CLAIMS: dict[tuple[str, ...], Callable[[Run], dict[str, Figure]]] = {}


def claim(*names: str) -> Callable[[Callable[[Run], dict[str, Figure]]], Callable[[Run], dict[str, Figure]]]:
    """Register a claim under the names of its figures, ``GROUP.NAME`` each."""

    def register(function: Callable[[Run], dict[str, Figure]]) -> Callable[[Run], dict[str, Figure]]:
        taken = {name for known in CLAIMS for name in known}
        assert not taken & set(names) and all("." in name for name in names), names
        CLAIMS[names] = function
        return function

    return register


def spread(values: list[float]) -> tuple[float, float]:
    """Mean and standard deviation."""
    return float(np.mean(values)), float(np.std(values, ddof=1))
