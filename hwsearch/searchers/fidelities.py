"""Fidelities of measurements: what each level tells, and what it takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SearchError


@dataclass(frozen=True)
class Fidelities:
    """Levels that measurements may go to, and what each step takes.

    The last level is complete: what is delivered has been measured so. A level tells each objective with an error that is
    independent from one architecture to another; what all subnets share on the same images is no error between them, and
    belongs into the values that are told. Levels are nested: a further one has seen all that the ones before it saw.

    Attributes
    ----------
    noise : ndarray (l, m)
        Standard deviation by which what a level tells of an objective may differ from the complete value, in natural
        units; infinite where it tells nothing.
    seconds : ndarray (k, l)
        What it takes to bring each of k architectures from what is known of it to a level; infinite where it has been there.
    rest : ndarray (k, l)
        What it takes to complete it after that level.
    reached : ndarray of int (k,)
        The level that each has reached; -1: none.

    Raises
    ------
    SearchError
        If shapes do not match, a noise is negative, or a time is not positive.
    """

    noise: FloatArray
    seconds: FloatArray
    rest: FloatArray
    reached: IntArray

    def __post_init__(self) -> None:
        levels = len(self.noise)
        if self.noise.ndim != 2 or not levels or np.isnan(self.noise).any() or (self.noise < 0).any():
            raise SearchError(f"noise of shape {self.noise.shape} is not that of levels and objectives, 0 or more.")
        if self.seconds.shape != (len(self.reached), levels) or self.rest.shape != self.seconds.shape:
            raise SearchError(
                f"seconds have shape {self.seconds.shape} and {self.rest.shape} for {len(self.reached)} architectures and {levels} levels."
            )
        if not (self.seconds > 0).all() or not (self.rest >= 0).all():
            raise SearchError("the seconds of a level must be positive, and those after it 0 or more.")
