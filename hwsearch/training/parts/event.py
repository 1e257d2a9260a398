"""Events: what happens once, at the beginning of one step."""

from __future__ import annotations

from abc import abstractmethod

from pydantic import Field, PrivateAttr
from typing_extensions import override

from hwsearch.errors import TrainingError
from hwsearch.supernets.base import Supernet
from hwsearch.training.part import Part
from hwsearch.training.parts.run import Run


class Event(Part):
    """A change of the weights at one step; the optimizer's momenta, which are of the weights before, start anew.

    Attributes
    ----------
    at : float
        Share of the run at which it happens.
    """

    at: float = Field(ge=0, le=1)
    _run: Run = PrivateAttr()

    def prepare(self, run: Run) -> None:
        """Take what is known of the run.

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

    @property
    def step(self) -> int:
        """The step at whose beginning it happens."""
        return round(self.at * self._run.steps)

    @abstractmethod
    def act(self) -> None:
        """Do it."""


class SortChannels(Event):
    """Put what subnets cut in order of importance.

    Attributes
    ----------
    at : float
        Share of the run at which it happens.
    """

    @override
    def prepare(self, run: Run) -> None:
        if not can_sort(run.supernet):
            raise TrainingError(
                f"the strategy sorts channels by importance, which {type(run.supernet).__name__} cannot do.",
                hint="Turn the option 'sort' off, or choose another strategy.",
            )
        super().prepare(run)

    @override
    def act(self) -> None:
        self._run.supernet.sort_channels()


def can_sort(supernet: Supernet) -> bool:
    """Tell whether a family can put its channels in order of importance.

    Parameters
    ----------
    supernet : Supernet
        The supernet.

    Returns
    -------
    bool
        Whether `Supernet.sort_channels` is implemented.
    """
    return type(supernet).sort_channels is not Supernet.sort_channels
