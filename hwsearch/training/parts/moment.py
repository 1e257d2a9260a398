"""A moment of a run: which step, its learning rate, and what else a schedule says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Moment:
    """One step as its schedule describes it.

    Attributes
    ----------
    step : int
        The step, from 0.
    steps : int
        Steps of the whole run.
    per_epoch : int
        Steps of one epoch.
    lr : float
        Learning rate of the weights.
    phase : str
        Name of the phase; empty where there is only one.
    values : mapping of str to float
        Further quantities that change over the run, such as ``epsilon`` or ``tau``.

    Examples
    --------
    >>> now = Moment(step=30, steps=120, per_epoch=20, lr=0.1)
    >>> now.progress, now.epoch, now.within
    (0.25, 1, 10)
    """

    step: int
    steps: int
    per_epoch: int
    lr: float
    phase: str = ""
    values: Mapping[str, float] = field(default_factory=dict)

    @property
    def progress(self) -> float:
        """Share of all steps that are done, from 0 to below 1."""
        return self.step / self.steps

    @property
    def epoch(self) -> int:
        """The epoch, from 0."""
        return self.step // self.per_epoch

    @property
    def within(self) -> int:
        """Steps of this epoch that are done."""
        return self.step % self.per_epoch
