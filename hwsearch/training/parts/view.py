"""Parameter views: a subnet's weights from the shared ones."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from pydantic import PrivateAttr
from torch import Tensor, nn

from hwsearch.spaces import Architecture
from hwsearch.tasks.data import Inputs, forward
from hwsearch.training.part import Part
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.run import Run


class Slices(Part):
    """A subnet's weights are slices of the supernet's; the default, and the base of other views.

    Another view may own further parameters (`extra`) and compute the weights of a subnet in its `forward`.
    """

    _run: Run = PrivateAttr()
    _arch: Architecture | None = PrivateAttr(None)

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
    def extra(self) -> nn.Module | None:
        """Parameters of the view's own, saved with the run; None where there are none."""
        return None

    def begin(self, now: Moment) -> None:
        """Take note of the step whose passes follow; by default nothing.

        Parameters
        ----------
        now : Moment
            The step.
        """

    def bind(self, arch: Architecture) -> None:
        """Use one architecture in the following passes.

        Parameters
        ----------
        arch : Architecture
            An architecture of the run's space.
        """
        self._arch = arch
        self._run.supernet.activate(arch)

    def forward(self, inputs: Inputs) -> Tensor:
        """Run the architecture of `bind`.

        Parameters
        ----------
        inputs : Inputs
            At the input size of that architecture.

        Returns
        -------
        Tensor
            Its outputs.
        """
        return forward(self._run.supernet, inputs)

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """List everything that the weights' optimizer trains.

        Yields
        ------
        tuple of (str, torch.nn.Parameter)
            The supernet's parameters, then the view's own.
        """
        yield from self._run.supernet.named_parameters()
        if self.extra is not None:
            yield from self.extra.named_parameters("extra")

    def materialise(self, arch: Architecture) -> nn.Module:
        """Cut out one architecture as a plain network, for export.

        Parameters
        ----------
        arch : Architecture
            An architecture of the run's space.

        Returns
        -------
        torch.nn.Module
            Static, with weights of its own; its outputs equal those of `forward` to 1e-5.
        """
        return copy.deepcopy(self._run.supernet.subnet(arch))
