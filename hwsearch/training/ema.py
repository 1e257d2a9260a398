"""An exponential moving average of weights, which is often better than the last weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of the weights and statistics of a network.

    Parameters
    ----------
    net : torch.nn.Module
        The network; the average starts at its weights.
    decay : float
        Weight of the average against the new weights, near 1. In the first steps it is (1 + step) / (10 + step) where
        that is less, so that a short run does not keep its random start.
    """

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self._net = net
        self._average = {name: value.detach().clone() for name, value in net.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the network's weights into the average."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in self._net.state_dict().items():
            kept = self._average[name]
            if value.is_floating_point():
                kept.lerp_(value, 1 - decay)
            else:
                kept.copy_(value)
        self.steps += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average in the place of the weights for a while.

        Yields
        ------
        None
            Nothing; afterwards the weights are what they were.
        """
        last = {name: value.detach().clone() for name, value in self._net.state_dict().items()}
        self.apply()
        try:
            yield
        finally:
            self._put(last)

    def apply(self) -> None:
        """Put the average in the place of the weights for good."""
        self._put(self._average)

    @torch.no_grad()
    def _put(self, values: dict[str, Tensor]) -> None:
        for name, value in self._net.state_dict().items():
            value.copy_(values[name])

    def state_dict(self) -> dict[str, Any]:
        """Collect the average.

        Returns
        -------
        dict of str to object
            ``steps`` and ``average``.
        """
        return {"steps": self.steps, "average": self._average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up an average.

        Parameters
        ----------
        state : dict of str to object
            As `state_dict` collected it, of an equal network.
        """
        self.steps = state["steps"]
        for name, value in state["average"].items():
            self._average[name].copy_(value)
