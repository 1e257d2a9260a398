"""A training as a list of its parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hwsearch._json import JsonObject
from hwsearch.training.part import Part
from hwsearch.training.parts.data import DataSampler, Shuffled
from hwsearch.training.parts.event import Event
from hwsearch.training.parts.loss import Labels, StepLoss
from hwsearch.training.parts.reducer import Sum
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.sampler import SubnetSampler
from hwsearch.training.parts.schedule import Schedule, WarmupCosine
from hwsearch.training.parts.search import ArchitectureSearch
from hwsearch.training.parts.teacher import FrozenLargest
from hwsearch.training.parts.view import Slices


@dataclass(frozen=True)
class Recipe:
    """The parts of a training, as a strategy returns them, most of them defaults.

    Attributes
    ----------
    sampler : SubnetSampler
        Which subnets a step trains.
    loss : StepLoss
        What each of them learns from.
    schedule : Schedule
        Learning rate, phases and further values.
    data : DataSampler
        Which examples a step trains on.
    reducer : Sum
        How gradients become one update.
    view : Slices
        How a subnet's weights follow from the shared ones.
    teacher : FrozenLargest, optional
        A teacher that is not one of the step's subnets.
    events : tuple of Event
        What happens once.
    search : ArchitectureSearch, optional
        A search by gradients beside the training of the weights; its view is a `Superposition`.
    """

    sampler: SubnetSampler
    loss: StepLoss = field(default_factory=Labels)
    schedule: Schedule = field(default_factory=WarmupCosine)
    data: DataSampler = field(default_factory=Shuffled)
    reducer: Sum = field(default_factory=Sum)
    view: Slices = field(default_factory=Slices)
    teacher: FrozenLargest | None = None
    events: tuple[Event, ...] = ()
    search: ArchitectureSearch | None = None

    def parts(self) -> Iterator[tuple[str, Part]]:
        """List the parts that there are, by name.

        Yields
        ------
        tuple of (str, Part)
            Name and part; events have a number.
        """
        for name in ("schedule", "data", "sampler", "loss", "reducer", "view"):
            yield name, getattr(self, name)
        if self.teacher is not None:
            yield "teacher", self.teacher
        if self.search is not None:
            yield "search", self.search
        for number, event in enumerate(self.events):
            yield f"event-{number}", event

    def prepare(self, run: Run) -> None:
        """Tell every part what is known of the run; a part that cannot serve it refuses here, before training.

        Parameters
        ----------
        run : Run
            The run.

        Raises
        ------
        TrainingError
            If a part cannot serve the supernet, the task or the data.
        """
        for _, part in self.parts():
            part.prepare(run)  # type: ignore[attr-defined]

    def identity(self) -> JsonObject:
        """Describe the parts and their settings.

        Returns
        -------
        dict of str to object
            Name → `Part.identity`.
        """
        return {name: part.identity() for name, part in self.parts()}
