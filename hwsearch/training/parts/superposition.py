"""All subnets at once: weights multiplied by how probable it is that a subnet uses them (TangleNAS)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import numpy as np
import torch
from pydantic import PrivateAttr
from torch import Tensor, nn
from torch.func import functional_call
from typing_extensions import override

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import TrainingError
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.weights.places import places
from hwsearch.tasks.data import Inputs
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.view import Slices

#: entries are told apart by whole numbers that float32 holds
MOST_WEIGHTS = 2**24


class Superposition(Slices):
    """In training mode the largest subnet runs with superposed weights; in evaluation mode the bound one with its slices.

    Each gene has logits alpha, one a value, and a = softmax(alpha). An entry of a weight is multiplied, for each gene, by the
    sum of a over the values at which a subnet uses the entry: for slices this is the superposition of all choices in one
    pass. Norms are multiplied like weights, so that a block that is left out with probability 1 leaves only its shortcut.
    """

    _alpha: nn.ParameterList = PrivateAttr()
    _masks: dict[str, dict[int, Tensor]] = PrivateAttr(default_factory=dict)
    _costs: list[Tensor] = PrivateAttr(default_factory=list)

    @override
    def prepare(self, run: Run) -> None:
        super().prepare(run)
        self._alpha = nn.ParameterList(torch.zeros(int(size), device=run.device) for size in run.space.sizes)
        self._masks = used_entries(run.supernet)
        self.use_cost(run.supernet.macs_array)

    def use_cost(self, cost: Callable[[IntArray], FloatArray]) -> None:
        """Take another cost than MACs, such as a predicted latency.

        Parameters
        ----------
        cost : callable
            Maps rows ``(n, genes)`` to costs ``(n,)``, positive.
        """
        top = self._run.space.sizes - 1
        whole = float(cost(top[None])[0])
        self._costs = []
        for gene, size in enumerate(self._run.space.sizes):
            rows = np.repeat(top[None], size, axis=0)
            rows[:, gene] = np.arange(size)
            saved = torch.tensor(np.asarray(cost(self._run.space.canonical(rows))) / whole - 1).float()
            self._costs.append(saved.to(self._run.device))

    @property
    @override
    def extra(self) -> nn.Module:
        return self._alpha

    @override
    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        yield from self._run.supernet.named_parameters()

    def architecture_parameters(self) -> list[nn.Parameter]:
        """List the logits, one tensor a gene.

        Returns
        -------
        list of torch.nn.Parameter
            Shape ``(values,)`` each.
        """
        return list(self._alpha)

    def expected_cost(self) -> Tensor:
        """Compute the expected cost over that of the largest subnet, to first order: savings of active genes are added.

        Returns
        -------
        Tensor
            A scalar with gradients to the logits.
        """
        choices = self._run.space.choices
        share = {c.name: alpha.softmax(0) for c, alpha in zip(choices, self._alpha, strict=True)}
        active: dict[str, Tensor] = {}
        one = torch.ones((), device=self._run.device)
        total = one
        for choice, cost in zip(choices, self._costs, strict=True):
            probability, when = one, choice.when
            if when is not None:
                parent = next(c for c in choices if c.name == when.name)
                chosen = [k for k, value in enumerate(parent.values) if value in when.values]
                probability = active[when.name] * share[when.name][chosen].sum()
            active[choice.name] = probability
            total = total + probability * (share[choice.name] * cost).sum()
        return total

    def choice(self) -> Architecture:
        """Get the architecture of each gene's most probable value.

        Returns
        -------
        Architecture
            The result of the search.
        """
        rows = np.array([[int(alpha.detach().argmax()) for alpha in self._alpha]])
        return self._run.space.from_array(rows)[0]

    @override
    def forward(self, inputs: Inputs) -> Tensor:
        net = self._run.supernet
        if not net.training:
            return super().forward(inputs)
        own = dict(net.named_parameters())
        shares = [alpha.softmax(0) for alpha in self._alpha]
        mixed = {}
        for name, masks in self._masks.items():
            factor = torch.ones((), device=own[name].device)
            for gene, mask in masks.items():  # (values, entries)
                one = (shares[gene] @ mask.flatten(1)).view(own[name].shape)
                factor = factor * one
            mixed[name] = own[name] * factor
        named = {place: mixed[name] for place, name in places(net).items() if name in mixed}
        net.activate(net.space.largest())
        given = inputs if isinstance(inputs, tuple) else (inputs,)
        output: Tensor = functional_call(net, named, given, tie_weights=False)
        return output


@torch.no_grad()
def used_entries(supernet: Supernet) -> dict[str, dict[int, Tensor]]:
    """Find, for each weight and each gene that cuts it, which entries a subnet uses at each value of the gene.

    The entries of a copy of the supernet are numbered, and the numbers looked for in the subnets that are cut from it.

    Parameters
    ----------
    supernet : Supernet
        A supernet whose subnets are slices; it is not changed.

    Returns
    -------
    dict of str to dict of int to Tensor
        Parameter → gene → 0 and 1 of shape ``(values, *shape)``, on the device of the supernet.

    Raises
    ------
    TrainingError
        If a subnet's weights are not slices, or there are too many to be numbered.
    """
    device = next(supernet.parameters()).device
    net, space = copy.deepcopy(supernet).cpu(), supernet.space
    own = dict(net.named_parameters())
    starts, total = {}, 0
    for name, parameter in own.items():
        starts[name] = total
        parameter.copy_(torch.arange(total, total + parameter.numel()).view(parameter.shape))
        total += parameter.numel()
    if total > MOST_WEIGHTS:
        raise TrainingError(
            f"superposition numbers the weights, and {type(supernet).__name__} has {total:,}, more than {MOST_WEIGHTS:,}.",
            hint="Use another strategy.",
        )

    def used(row: IntArray) -> Tensor:
        flags = torch.zeros(total)
        for parameter in net.subnet(space.from_array(row[None])[0]).parameters():
            numbers = parameter.flatten().double()
            if bool((numbers != numbers.round()).any()) or bool((numbers < 0).any() | (numbers >= total).any()):
                raise TrainingError(
                    f"a subnet of {type(supernet).__name__} has weights that are no slices of the shared ones, which "
                    "superposition needs.",
                    hint="Use another strategy, such as 'sandwich'.",
                )
            flags[numbers.long()] = 1
        return flags

    top = space.sizes - 1
    whole = used(top)
    found: dict[str, dict[int, Tensor]] = {}
    for gene, size in enumerate(space.sizes):
        rows = np.repeat(top[None], size, axis=0)
        rows[:, gene] = np.arange(size)
        flags = torch.stack([used(row) for row in rows]) if size > 1 else whole[None]
        for name, parameter in own.items():
            part = slice(starts[name], starts[name] + parameter.numel())
            if bool((flags[:, part] != whole[part]).any()):
                found.setdefault(name, {})[gene] = flags[:, part].view(-1, *parameter.shape).to(device)
    return found
