"""Events: what happens once, at the beginning of one step."""

from __future__ import annotations

from pydantic import Field, PrivateAttr

from hwsearch.errors import TrainingError
from hwsearch.supernets.base import Supernet
from hwsearch.training.part import Part
from hwsearch.training.parts.run import Run


class SortChannels(Part):
    """Put what subnets cut in order of importance; the optimizer's momenta, which are in the old order, start anew.

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
            If the family cannot sort its channels.
        """
        if not can_sort(run.supernet):
            raise TrainingError(
                f"the strategy sorts channels by importance, which {type(run.supernet).__name__} cannot do.",
                hint="Turn the option 'sort' off, or choose another strategy.",
            )
        self._run = run

    @property
    def step(self) -> int:
        """The step at whose beginning it happens."""
        return round(self.at * self._run.steps)

    def act(self) -> None:
        """Do it."""
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
