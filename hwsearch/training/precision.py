"""Number formats of the passes: fp32 everywhere, bf16 and fp16 on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor

from hwsearch.errors import TrainingError


class Precision:
    """Autocast, and the scaling of losses that fp16 needs.

    Parameters
    ----------
    kind : {"fp32", "bf16", "fp16"}
        The format.
    device : torch.device
        Where the network is.

    Raises
    ------
    TrainingError
        If the format is not fp32 and the network is on the CPU, where others are slower (bf16: 0.6 times as fast here).
    """

    def __init__(self, kind: Literal["fp32", "bf16", "fp16"], device: torch.device) -> None:
        if kind != "fp32" and device.type == "cpu":
            raise TrainingError(
                f"precision {kind!r} is for a GPU, and the supernet is on the CPU, where it is slower.",
                hint="Leave precision out, or train on a GPU (--device cuda).",
            )
        self.autocast: Callable[[], AbstractContextManager[object]] = nullcontext
        if kind != "fp32":
            dtype = torch.bfloat16 if kind == "bf16" else torch.float16
            self.autocast = lambda: torch.autocast(device.type, dtype)
        self._scaler = torch.amp.GradScaler(device.type) if kind == "fp16" else None

    def scaled(self, loss: Tensor) -> Tensor:
        """Scale a loss so that its gradients do not vanish in fp16.

        Parameters
        ----------
        loss : Tensor
            A scalar.

        Returns
        -------
        Tensor
            The loss itself but for fp16.
        """
        return loss if self._scaler is None else self._scaler.scale(loss)

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Undo the scaling in the gradients, before they are clipped.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            Holds the parameters.
        """
        if self._scaler is not None:
            self._scaler.unscale_(optimizer)

    @property
    def overflows(self) -> bool:
        """Whether single gradients may overflow, upon which the scale is halved and the update left out."""
        return self._scaler is not None

    def update(self, optimizer: torch.optim.Optimizer) -> bool:
        """Update the weights, unless a scaled gradient overflowed.

        Parameters
        ----------
        optimizer : torch.optim.Optimizer
            The optimizer.

        Returns
        -------
        bool
            Whether they were; where not, the norms of the step's gradients mean nothing.
        """
        if self._scaler is None:
            optimizer.step()
            return True
        before = self._scaler.get_scale()
        self._scaler.step(optimizer)
        self._scaler.update()
        return self._scaler.get_scale() >= before

    def state_dict(self) -> dict[str, Any]:
        """Collect the scale.

        Returns
        -------
        dict of str to object
            Empty but for fp16.
        """
        return {} if self._scaler is None else self._scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a scale.

        Parameters
        ----------
        state : dict of str to object
            As `state_dict` collected it.
        """
        if self._scaler is not None:
            self._scaler.load_state_dict(state)
