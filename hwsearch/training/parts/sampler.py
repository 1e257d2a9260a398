"""Which subnets a step trains."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from pydantic import Field, PrivateAttr
from typing_extensions import override

from hwsearch.spaces import Architecture
from hwsearch.training.part import Part
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.feedback import Seen
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.run import Run


class SubnetSampler(Part):
    """Chooses the subnets of each step; a subclass may adapt to feedback."""

    _run: Run = PrivateAttr()

    def prepare(self, run: Run) -> None:
        """Take what is known of the run, and subscribe to feedback.

        Parameters
        ----------
        run : Run
            The run.

        Raises
        ------
        TrainingError
            If the supernet cannot be served.
        """
        self._run = run

    @abstractmethod
    def sample(self, now: Moment, rng: np.random.Generator) -> list[Draw]:
        """Choose the subnets of a step, a teacher first.

        Parameters
        ----------
        now : Moment
            The step.
        rng : numpy.random.Generator
            Source of all randomness.

        Returns
        -------
        list of Draw
            At least one.
        """

    def update(self, seen: Sequence[Seen]) -> None:
        """Learn from the passes of one step; by default nothing.

        Parameters
        ----------
        seen : sequence of Seen
            The passes.
        """

    def probes(self) -> list[Architecture]:
        """List the subnets whose loss on the probe examples is wanted, where `probe_loss` is subscribed to.

        Returns
        -------
        list of Architecture
            None by default.
        """
        return []


class UniformSampler(SubnetSampler):
    """Subnets whose genes are uniform and independent.

    Attributes
    ----------
    draws : int
        Subnets a step.
    """

    draws: int = Field(1, ge=1)

    @override
    def sample(self, now: Moment, rng: np.random.Generator) -> list[Draw]:
        return [Draw(arch) for arch in self._run.space.sample(self.draws, rng, distinct=False)]


class OneSampler(SubnetSampler):
    """One and the same subnet in every step.

    Attributes
    ----------
    which : {"largest", "smallest"}
        The end of the space.
    """

    which: str = Field("largest", pattern="^(largest|smallest)$")

    @override
    def sample(self, now: Moment, rng: np.random.Generator) -> list[Draw]:
        space = self._run.space
        return [Draw(space.largest() if self.which == "largest" else space.smallest(), self.which, "teacher")]


class SandwichSampler(SubnetSampler):
    """The largest subnet, which teaches; then the smallest and some random ones, which learn from it.

    Attributes
    ----------
    random : int
        Random subnets a step.
    weight : float
        Factor of the students' gradients, against 1 for the teacher's.
    factor : str, optional
        Name of a value of the schedule by which the students' gradients are multiplied as well.

    References
    ----------
    Yu and Huang, "Universally slimmable networks and improved training techniques", 2019, arXiv 1903.05134.
    """

    random: int = Field(2, ge=0)
    weight: float = Field(1.0, gt=0)
    factor: str | None = None

    @override
    def sample(self, now: Moment, rng: np.random.Generator) -> list[Draw]:
        space = self._run.space
        scale = self.weight * (now.values[self.factor] if self.factor else 1.0)
        ends = [Draw(space.largest(), "largest", "teacher"), Draw(space.smallest(), "smallest", "student", scale)]
        drawn = space.sample(self.random, rng, distinct=False)
        return [*ends, *(Draw(arch, "random", "student", scale) for arch in drawn)]


class After(SubnetSampler):
    """One sampler in the first share of the run, another one after it.

    Attributes
    ----------
    share : float
        Share of the steps at which `then` takes over.
    before, then : SubnetSampler
        The samplers.
    """

    share: float = Field(ge=0, le=1)
    before: SubnetSampler
    then: SubnetSampler
    _current: SubnetSampler | None = PrivateAttr(None)

    @override
    def prepare(self, run: Run) -> None:
        super().prepare(run)
        self.before.prepare(run)
        self.then.prepare(run)

    @override
    def sample(self, now: Moment, rng: np.random.Generator) -> list[Draw]:
        self._current = self.before if now.progress < self.share else self.then
        return self._current.sample(now, rng)

    @override
    def update(self, seen: Sequence[Seen]) -> None:
        if self._current is not None:
            self._current.update(seen)

    @override
    def probes(self) -> list[Architecture]:
        return [] if self._current is None else self._current.probes()
