"""Gradient reducers: the gradients of a step's subnets become one update."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from pydantic import PrivateAttr
from torch import Tensor, nn

from hwsearch.training.part import Part
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.run import Run


class Sum(Part):
    """Add the gradients up, then clip their norm; the default, and the base of other reducers.

    `torch` adds the gradients of successive backward passes by itself; a subclass looks at each of them in `add`. Gradients
    of ghost batches are put aside, one flat row each (`keep`), and added over all processes once a step, in `finish`.
    """

    _run: Run = PrivateAttr()
    _rows: list[Tensor] = PrivateAttr(default_factory=list)
    _trained: dict[str, nn.Parameter] = PrivateAttr(default_factory=dict)
    _moving: Sequence[tuple[Tensor, Tensor]] = PrivateAttr(default=())

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

    @property
    def trained(self) -> list[str]:
        """Names of the parameters whose gradients are kept."""
        return list(self._trained)

    def keep(
        self,
        named: Iterable[tuple[str, nn.Parameter]],
        moving: Sequence[tuple[Tensor, Tensor]],
        *,
        first: bool,
    ) -> None:
        """Put the gradients of one ghost batch aside, and clear them.

        Parameters
        ----------
        named : iterable of (str, torch.nn.Parameter)
            All that is trained. Those without a gradient are without one in all ghost batches of a step.
        moving : sequence of (Tensor, Tensor)
            Buffers with what they were before the step; how far they have moved is averaged like a gradient.
        first : bool
            Whether this is the first ghost batch of the step in this process.
        """
        if first:
            self._rows, self._moving = [], moving
            self._trained = {}
        gradients = {name: p for name, p in named if p.grad is not None}
        flat = [p.grad.reshape(-1) for p in gradients.values() if p.grad is not None]
        row = torch.cat([*flat, *((now - before).reshape(-1) for now, before in moving)])
        for parameter in gradients.values():
            parameter.grad = None
        self._trained = gradients
        if self._rows and self._run.ranks.world == 1:
            self._rows[0] += row  # the order of the sum is that of the ghost batches, also over several processes
        else:
            self._rows.append(row)

    def finish(
        self, parameters: Iterable[nn.Parameter], *, step: int = 0, unscale: Callable[[], None] = lambda: None
    ) -> float:
        """End the sum: add the rows that were kept over all processes, then clip.

        Parameters
        ----------
        parameters : iterable of torch.nn.Parameter
            All that is trained.
        step : int
            The step, for messages.
        unscale : callable
            Undoes the scaling of losses (fp16), between sum and clipping.

        Returns
        -------
        float
            The norm before clipping.

        Raises
        ------
        RankError
            If another process is silent.
        """
        if self._rows:
            self._exchange(step)
        unscale()
        return float(nn.utils.clip_grad_norm_(list(parameters), self._run.config.clip))

    @torch.no_grad()
    def _exchange(self, step: int) -> None:
        total = self._run.ranks.sum_in_order(torch.stack(self._rows), step) / self._run.ghosts
        self._rows, place = [], 0
        for parameter in self._trained.values():
            parameter.grad = torch.empty_like(parameter)  # in the weight's memory format
            parameter.grad.copy_(total[place : place + parameter.numel()].view(parameter.shape))
            place += parameter.numel()
        for buffer, before in self._moving:
            buffer.copy_(before + total[place : place + buffer.numel()].view(buffer.shape))
            place += buffer.numel()
