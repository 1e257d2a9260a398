"""Ranges of a training's settings, declared as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real

from hwsearch.errors import TrainingError


@dataclass(frozen=True)
class Range:
    """The numbers that a setting may have.

    Parameters
    ----------
    low, high : float
        Its ends.
    whole : bool
        Whether only whole numbers are.
    above, below : bool
        Whether the lower, and the upper end are left out.
    optional : bool
        Whether None may stand for a default.
    """

    low: float
    high: float
    whole: bool = False
    above: bool = False
    below: bool = False
    optional: bool = False

    def holds(self, value: object) -> bool:
        """Tell whether a value is one of them.

        Parameters
        ----------
        value : object
            Anything.

        Returns
        -------
        bool
            False for what is no number, NaN, and truth values.
        """
        if value is None:
            return self.optional
        if isinstance(value, bool) or not isinstance(value, Integral if self.whole else Real):
            return False
        number = float(value)
        over = number > self.low if self.above else number >= self.low
        under = number < self.high if self.below else number <= self.high
        return over and under

    def __str__(self) -> str:
        kind = "whole number" if self.whole else "number"
        ends = (
            f"{'above' if self.above else 'from'} {self.low:g} {'and below' if self.below else 'up to'} {self.high:g}"
        )
        return f"a {kind} {ends}"


#: of steps, of examples in each, of seeds, of learning rates, of shares, and of what is at least 0
STEPS = Range(1, 1e9, whole=True)
EXAMPLES = Range(2, 100_000, whole=True)
SEED = Range(0, 2**63 - 1, whole=True)
RATE = Range(0, 10, above=True, below=True)
SHARE = Range(0, 1)


def check_ranges(config: object, ranges: Mapping[str, Range]) -> None:
    """Check the settings of a training.

    Parameters
    ----------
    config : object
        Has them as attributes.
    ranges : mapping of str to Range
        By setting.

    Raises
    ------
    TrainingError
        If one is out of its range, or no number; names it.
    """
    for name, allowed in ranges.items():
        value = getattr(config, name)
        if not allowed.holds(value):
            raise TrainingError(f"{name} = {repr(value)[:40]} is not valid: give {allowed}.")
