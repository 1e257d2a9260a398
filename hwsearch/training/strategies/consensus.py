"""Consensus by polarization: one pruned network in one training run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Self

import torch
from pydantic import Field, PrivateAttr
from torch import Tensor, nn
from typing_extensions import override

from hwsearch._typing import FloatArray, IntArray
from hwsearch.spaces import Architecture
from hwsearch.tasks.data import Inputs
from hwsearch.training.parts.batch import Batch
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.event import Event
from hwsearch.training.parts.gate_cost import GateCost
from hwsearch.training.parts.gates import Gates, disagreement, prove_gates
from hwsearch.training.parts.loss import Labels, Outputs, StepLoss
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.recipe import Recipe
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.sampler import OneSampler
from hwsearch.training.parts.schedule import WarmupCosine
from hwsearch.training.parts.view import Slices
from hwsearch.training.strategies.base import Strategy

#: training examples on which gates are read when they are frozen
WATCHED = 1024
#: purpose of the generators that draw them, and the architectures of the proof
WATCH_RNG, PROOF_RNG = 41, 43


class GatedNetwork(Slices):
    """The largest subnet under gates; in a frozen state it computes one subnet.

    Attributes
    ----------
    limit : float
        The most that the pruned network may cost.
    metric : str
        What a cost is.
    """

    limit: float
    metric: str
    _gates: Gates = PrivateAttr()
    _cost: GateCost = PrivateAttr()
    _costs: Callable[[IntArray], FloatArray] | None = PrivateAttr(None)

    def use_cost(self, cost: Callable[[IntArray], FloatArray] | None) -> None:
        """Take another cost than MACs; before `prepare`.

        Parameters
        ----------
        cost : callable or None
            Maps canonical rows ``(n, genes)`` to costs ``(n,)``; None for MACs.
        """
        self._costs = cost

    @override
    def prepare(self, run: Run) -> None:
        super().prepare(run)
        inputs, _ = next(run.data.head(2).batches(run.size, 2))
        device = next(run.supernet.parameters()).device
        inputs = inputs.to(device) if isinstance(inputs, Tensor) else tuple(i.to(device) for i in inputs)
        self._gates = Gates(run.supernet, inputs, run.config.seed)
        prove_gates(self._gates, run.supernet, inputs, run.rng(PROOF_RNG))
        self._cost = GateCost(self._gates, run.space, self._costs or run.supernet.macs_array, self.limit, self.metric)

    @property
    def gates(self) -> Gates:
        """The gates."""
        return self._gates

    @property
    def cost(self) -> GateCost:
        """Cost of networks under the gates."""
        return self._cost

    @property
    @override
    def extra(self) -> nn.Module:
        return self._gates

    @override
    def forward(self, inputs: Inputs) -> Tensor:
        output: Tensor = self._gates(inputs)
        return output

    def watch(self) -> tuple[list[FloatArray], list[FloatArray]]:
        """Read the gates on training examples without augmentation, as `Gates.watch` does.

        Returns
        -------
        shares, levels : list of FloatArray
            Shape ``(gates,)`` a site.
        """
        run = self._run
        n = min(WATCHED, len(run.data))
        chosen = run.data.take(run.rng(WATCH_RNG).permutation(len(run.data))[:n])
        return self._gates.watch(chosen.batches(run.size, min(n, 128)))

    def consensus(self) -> tuple[Architecture, float]:
        """Choose the architecture that examples agree on, within the limit.

        Returns
        -------
        arch : Architecture
            The one that is decided, or else the most probable one within the limit; the same for the same weights.
        disagreement : float
            How far the examples are from agreeing, as `hwsearch.training.parts.gates.disagreement` says.
        """
        shares, levels = self.watch()
        opened = self._gates.agreed.tolist()
        if opened[0] < 0:
            return self._cost.choose(levels), disagreement(shares)
        agreed = [torch.arange(len(share))[None] < n for share, n in zip(shares, opened, strict=True)]
        return self._run.space.from_array(self._gates.rows(agreed))[0], disagreement(shares)


class GateEvent(Event):
    """State of the gates at the beginning of one step."""

    _view: GatedNetwork = PrivateAttr()

    def of(self, view: GatedNetwork) -> Self:
        """Name the gates.

        Parameters
        ----------
        view : GatedNetwork
            The gated network.

        Returns
        -------
        GateEvent
            This event.
        """
        self._view = view
        return self


class DecideGates(GateEvent):
    """Decide which architecture within the limit the examples are to agree on: the one that they now agree on most."""

    @override
    def act(self) -> None:
        self._view.gates.agree(self._view.consensus()[0])


class FreezeGates(GateEvent):
    """Fix the gates to the architecture that the examples agree on."""

    @override
    def act(self) -> None:
        self._view.gates.freeze(self._view.consensus()[0])


class GateSchedule(WarmupCosine):
    """The default learning rate, a cost target that falls, and a polarization that rises later.

    Attributes
    ----------
    descent : float
        Share of the run in which the cost target falls linearly to the limit.
    start, end : float
        Shares of the run between which polarization rises linearly from 0.
    polarization : float
        Where it ends.
    """

    descent: float = Field(0.3, ge=0, le=1)
    start: float = Field(0.3, ge=0, le=1)
    end: float = Field(0.7, ge=0, le=1)
    polarization: float = Field(1.0, ge=0)

    @override
    def values(self, step: int) -> Mapping[str, float]:
        now = (step + 1) / self._run.steps
        risen = min(1.0, max(0.0, (now - self.start) / max(self.end - self.start, 1e-9)))
        return {
            "descent": min(1.0, now / max(self.descent, 1e-9)),
            "polarization": self.polarization * risen,
        }


class GateLoss(StepLoss):
    """The loss on the targets, the squared distance from the cost target, and the polarization of the gates.

    Attributes
    ----------
    target : float
        Weight of the squared distance, of costs as shares of the largest network's.
    smoothing : float
        Label smoothing.
    """

    target: float = Field(20.0, ge=0)
    smoothing: float = Field(0.0, ge=0, lt=1)
    _view: GatedNetwork = PrivateAttr()
    _labels: Labels = PrivateAttr()

    def of(self, view: GatedNetwork) -> GateLoss:
        """Name the gates.

        Parameters
        ----------
        view : GatedNetwork
            The gated network.

        Returns
        -------
        GateLoss
            This loss.
        """
        self._view = view
        return self

    @override
    def prepare(self, run: Run) -> None:
        super().prepare(run)
        self._labels = Labels(smoothing=self.smoothing)
        self._labels.prepare(run)

    @override
    def __call__(self, out: Outputs, batch: Batch, draw: Draw, teacher: Outputs | None, now: Moment) -> Tensor:
        loss = self._labels(out, batch, draw, teacher, now)
        gates, cost = self._view.gates, self._view.cost
        if int(gates.frozen[0]) >= 0:
            return loss
        if int(gates.agreed[0]) >= 0:
            return loss + now.values["polarization"] * distance(gates.hard, gates.agreed.tolist())
        share = cost.limit / cost.largest
        target = 1 + now.values["descent"] * (share - 1)
        loss = loss + self.target * (cost.expected(gates.hard) - target) ** 2
        return loss + now.values["polarization"] * polarization(gates.hard)


def polarization(hard: Sequence[Tensor]) -> Tensor:
    """Compute the polarization of a batch: 0 where all examples agree on every gate.

    Parameters
    ----------
    hard : sequence of Tensor
        Gates, shape ``(b, gates)`` a site.

    Returns
    -------
    Tensor
        Sum over the sites of the mean of share × (1 - share), share being that of the open gates; a scalar.
    """
    total = hard[0].new_zeros(())
    for gate in hard:
        share = gate.mean(0)
        total = total + (share * (1 - share)).mean()
    return total


def distance(hard: Sequence[Tensor], agreed: Sequence[int]) -> Tensor:
    """Compute how far a batch is from agreeing on an architecture: 0 where all examples do.

    Parameters
    ----------
    hard : sequence of Tensor
        Gates, shape ``(b, gates)`` a site.
    agreed : sequence of int
        How many gates of each site are to be open.

    Returns
    -------
    Tensor
        Sum over the sites of the mean squared difference between the share of the open gates and 0 or 1; a scalar.
    """
    total = hard[0].new_zeros(())
    for gate, opened in zip(hard, agreed, strict=True):
        wanted = (torch.arange(gate.shape[1], device=gate.device) < opened).to(gate.dtype)
        total = total + (gate.mean(0) - wanted).square().mean()
    return total


class Consensus(Strategy):
    """Train the largest subnet under gates that examples must agree on; then freeze the gates.

    Gates read pooled features of each example, and open blocks and groups of channels with straight-through gradients. The loss
    holds the mean cost to a target, which falls to the limit. Polarization pulls each gate to the same answer for all
    examples; it rises after the first 30 % of the run, since gates that agree earlier do so at random. In the last share of
    the run the gates are frozen, and the pruned network's weights settle. The result is `GatedNetwork.consensus` of the
    recipe's view, an architecture of the supernet's space, and the supernet's weights.

    The exact loss is a reconstruction from the paper's description, and gates are ordered: those of a gene share one level, so
    that every state is an architecture of a space that keeps the first blocks and channels.

    Attributes
    ----------
    limit : float
        The most that the pruned network may cost.
    metric : str
        What a cost is, for messages.
    target : float
        Weight of the distance from the cost target.
    polarization : float
        Weight of the polarization at its height; 0 turns it off.
    ramp_start, ramp_end : float
        Shares of the run between which it rises.
    freeze : float
        Share of the run at which gates are frozen.
    label_smoothing : float
        Label smoothing.

    References
    ----------
    Zhi, Babbar, Liu, Sun, Silavong, Shi, Moran, "Learning a consensus sub-network with polarization regularization and one
    pass training", 2023, arXiv 2302.10798.
    """

    limit: float = Field(gt=0)
    metric: str = "macs"
    target: float = Field(20.0, ge=0)
    polarization: float = Field(8.0, ge=0)
    ramp_start: float = Field(0.3, ge=0, le=1)
    ramp_end: float = Field(0.6, ge=0, le=1)
    decide: float = Field(0.5, ge=0, le=1)
    freeze: float = Field(0.85, gt=0, le=1)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    _cost: Callable[[IntArray], FloatArray] | None = PrivateAttr(None)

    def use_cost(self, cost: Callable[[IntArray], FloatArray]) -> Consensus:
        """Take another cost than MACs, such as milliseconds.

        Parameters
        ----------
        cost : callable
            Maps canonical rows ``(n, genes)`` to costs ``(n,)``, positive.

        Returns
        -------
        Consensus
            This strategy.
        """
        self._cost = cost
        return self

    @override
    def recipe(self, run: Run) -> Recipe:
        view = GatedNetwork(limit=self.limit, metric=self.metric)
        view.use_cost(self._cost)
        decided = (DecideGates(at=self.decide).of(view),) if self.polarization else ()
        return Recipe(
            OneSampler(which="largest"),
            GateLoss(target=self.target, smoothing=self.label_smoothing).of(view),
            GateSchedule(
                descent=self.ramp_start, start=self.ramp_start, end=self.ramp_end, polarization=self.polarization
            ),
            view=view,
            events=(*decided, FreezeGates(at=self.freeze).of(view)),
        )
