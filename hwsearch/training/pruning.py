"""Prune a supernet to one network in one training run, and tell what freezing its gates cost."""

from __future__ import annotations

import json
from dataclasses import dataclass

from torch import Tensor, nn
from typing_extensions import override

from hwsearch._files import json_with, write_file
from hwsearch._json import JsonObject
from hwsearch.errors import TrainingError
from hwsearch.spaces import Architecture
from hwsearch.tasks.data import Data, Inputs
from hwsearch.training.parts.gates import Gates
from hwsearch.training.strategies.consensus import FreezeGates, GatedNetwork
from hwsearch.training.trainer import Trainer

#: what the gates were before they were frozen
FREEZE = "freeze.json"
IS_FREEZE = json_with("gated", "frozen", "disagreement")


@dataclass(frozen=True)
class Pruned:
    """The result of a pruning run.

    Attributes
    ----------
    arch : Architecture
        The pruned network.
    disagreement : float
        Mean of share × (1 - share) over the gates, on training examples, right before they were frozen.
    gated, frozen : float
        Score right before, on held-out examples, with the gates that each example has; and with the architecture's.
    cost, largest, least : float
        Cost of the architecture, of all gates open, and of all closed.
    """

    arch: Architecture
    disagreement: float
    gated: float
    frozen: float
    cost: float
    largest: float
    least: float


class GatedModule(nn.Module):
    """A gated supernet as a network that a task can score.

    Parameters
    ----------
    gates : Gates
        The gates.
    net : nn.Module
        Their supernet.
    """

    def __init__(self, gates: Gates, net: nn.Module) -> None:
        super().__init__()
        self.gates, self.net = gates, net

    @override
    def forward(self, *inputs: Tensor) -> Tensor:
        given: Inputs = inputs[0] if len(inputs) == 1 else inputs
        output: Tensor = self.gates(given)
        return output


def prune_network(trainer: Trainer, held_out: Data) -> Pruned:
    """Train under gates to the end; the same call takes an interrupted run up again.

    The trainer's supernet ends with the trained weights; its subnet of the architecture is the pruned network.

    Parameters
    ----------
    trainer : Trainer
        With strategy `hwsearch.training.strategies.consensus.Consensus`.
    held_out : Data
        Examples on which the cost of freezing is told; nothing is chosen by them.

    Returns
    -------
    Pruned
        The architecture and what is known of the gates.

    Raises
    ------
    TrainingError
        If the trainer has another strategy, or as of `Trainer.run`.
    KeyboardInterrupt
        After Ctrl-C, once the step is done and saved.
    """
    view, events = trainer.recipe.view, trainer.recipe.events
    freezing = next((e for e in events if isinstance(e, FreezeGates)), None)
    if not isinstance(view, GatedNetwork) or freezing is None:
        raise TrainingError(f"strategy {type(trainer.strategy).__name__} has no gates to prune by.")
    trainer.run(stop_at=freezing.step)
    record = trainer.folder / FREEZE
    if trainer.step == freezing.step:
        write_file(record, json.dumps(_freezing(trainer, view, held_out)).encode(), IS_FREEZE)
    trainer.run()
    found = json.loads(record.read_text(encoding="utf-8"))
    net = trainer.supernet
    arch = net.space.architecture(found["genes"])
    cost = float(view.cost(net.space.to_array([arch]))[0])
    figures = {k: float(found[k]) for k in ("disagreement", "gated", "frozen")}
    return Pruned(arch, cost=cost, largest=view.cost.largest, least=view.cost.least, **figures)


def _freezing(trainer: Trainer, view: GatedNetwork, held_out: Data) -> JsonObject:
    """Score the network with gates that read the example, and with frozen ones; both with the same statistics."""
    net, task = trainer.supernet, trainer.task
    arch, apart = view.consensus()
    module = GatedModule(view.gates, net)
    size = net.input_size(net.space.largest())
    training = net.training
    gated = task.evaluate(module, held_out, size).value
    view.gates.freeze(arch)
    frozen = task.evaluate(module, held_out, size).value
    view.gates.freeze(None)
    net.train(training)
    return {"genes": arch.to_dict(), "disagreement": apart, "gated": gated, "frozen": frozen}
