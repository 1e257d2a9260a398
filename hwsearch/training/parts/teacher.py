"""A teacher that is not one of the step's subnets."""

from __future__ import annotations

import copy
from typing import Any

import torch
from pydantic import PrivateAttr
from typing_extensions import override

from hwsearch.supernets.base import Supernet
from hwsearch.training.part import Part
from hwsearch.training.parts.batch import Batch
from hwsearch.training.parts.loss import Outputs
from hwsearch.training.parts.run import Run


class FrozenLargest(Part):
    """The largest subnet as it was at one step, in evaluation mode; before that step there is no teacher.

    Attributes
    ----------
    at : float
        Share of the run at which it is copied.
    """

    at: float = 0.25
    _run: Run = PrivateAttr()
    _net: Supernet | None = PrivateAttr(None)

    def prepare(self, run: Run) -> None:
        """Take what is known of the run.

        Parameters
        ----------
        run : Run
            The run.
        """
        self._run = run

    def advance(self, step: int) -> None:
        """Copy the supernet when its step has come.

        Parameters
        ----------
        step : int
            The step that begins.
        """
        if step == round(self.at * self._run.steps):
            self._net = self._copy()

    def outputs(self, batch: Batch) -> Outputs | None:
        """Run the teacher.

        Parameters
        ----------
        batch : Batch
            The examples.

        Returns
        -------
        Outputs or None
            Its outputs; None before it exists.
        """
        if self._net is None:
            return None
        with torch.no_grad():
            inputs = batch.inputs if isinstance(batch.inputs, tuple) else (batch.inputs,)
            return Outputs(self._net(*inputs))

    @override
    def state_dict(self) -> dict[str, Any]:
        return {} if self._net is None else {"net": self._net.state_dict()}

    @override
    def load_state_dict(self, state: dict[str, Any]) -> None:
        if "net" in state:
            self._net = self._copy()
            self._net.load_state_dict(state["net"])

    def _copy(self) -> Supernet:
        net = copy.deepcopy(self._run.supernet).eval()
        net.zero_grad(set_to_none=True)
        net.activate(net.space.largest())
        return net.requires_grad_(False)
