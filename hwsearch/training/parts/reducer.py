"""Gradient reducers: the gradients of a step's subnets become one update."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import PrivateAttr
from torch import nn

from hwsearch.training.part import Part
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.run import Run


class Sum(Part):
    """Add the gradients up, then clip their norm; the default, and the base of other reducers.

    `torch` adds the gradients of successive backward passes by itself; a subclass looks at each of them in `add`, or
    exchanges them between processes in `finish`.
    """

    _run: Run = PrivateAttr()

    def prepare(self, run: Run) -> None:
        """Take what is known of the run.

        Parameters
        ----------
        run : Run
            The run.
        """
        self._run = run

    def add(self, draw: Draw, net: nn.Module) -> None:
        """Look at the gradients after the backward pass of one subnet; by default nothing.

        Parameters
        ----------
        draw : Draw
            The subnet.
        net : torch.nn.Module
            The supernet, with the sum of the gradients so far.
        """

    def finish(self, parameters: Iterable[nn.Parameter]) -> float:
        """End the sum: exchange it where there are several processes, then clip it.

        Parameters
        ----------
        parameters : iterable of torch.nn.Parameter
            All that is trained.

        Returns
        -------
        float
            The norm before clipping.
        """
        return float(nn.utils.clip_grad_norm_(list(parameters), self._run.config.clip))
