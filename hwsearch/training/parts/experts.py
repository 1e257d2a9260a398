"""Weights as mixtures of experts that a router of the architecture mixes (Mixture-of-Supernets)."""

from __future__ import annotations

import copy
from typing import Literal

import torch
from pydantic import Field, PrivateAttr
from torch import Tensor, nn
from torch.func import functional_call
from typing_extensions import override

from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.weights.places import places
from hwsearch.tasks.data import Inputs
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.view import Slices

#: purpose of the generator of the experts' first weights
EXPERT_RNG = 17
#: experts differ at first by noise of this share of their weights' deviation
NOISE = 0.01


class Experts(nn.Module):
    """Further copies of a supernet's weights, and the router that mixes them.

    Parameters
    ----------
    supernet : Supernet
        Its weights are the first expert.
    count : int
        Experts, the first included.
    granularity : {"layer", "neuron"}
        Whether a weight is mixed as a whole, or each of its output neurons by itself.
    hidden : int
        Units of the router.
    seed : int
        Seed of the experts' noise and of the router.
    """

    def __init__(
        self, supernet: Supernet, count: int, granularity: Literal["layer", "neuron"], hidden: int, seed: int
    ) -> None:
        super().__init__()
        self.count = count
        generator = torch.Generator().manual_seed(seed)
        self.mixed: dict[str, int] = {}
        self.copies = nn.ParameterDict()
        for name, weight in supernet.named_parameters():
            if weight.ndim >= 2 and not name.endswith("_matrix"):
                self.mixed[name] = len(weight) if granularity == "neuron" else 1
                for k in range(1, count):
                    noise = torch.randn(weight.shape, generator=generator) * (NOISE * float(weight.detach().std()))
                    self.copies[_key(name, k)] = nn.Parameter(weight.detach().clone() + noise.to(weight))
        genes, outputs = len(supernet.space.choices), count * sum(self.mixed.values())
        first, last = nn.Linear(genes, hidden), nn.Linear(hidden, outputs)
        with torch.no_grad():
            first.weight.copy_(torch.randn(first.weight.shape, generator=generator) / genes**0.5)
            first.bias.zero_()
            last.weight.zero_()  # all experts count the same at first
            last.bias.zero_()
        self.router = nn.Sequential(first, nn.ReLU(), last)

    def weights(self, supernet: Supernet, arch: Architecture) -> dict[str, Tensor]:
        """Mix the weights for one architecture.

        Parameters
        ----------
        supernet : Supernet
            Has the first expert.
        arch : Architecture
            The router's input.

        Returns
        -------
        dict of str to Tensor
            Whole weights by name, with gradients to experts and router.
        """
        own = dict(supernet.named_parameters())
        device = next(iter(own.values())).device
        logits = self.router(encoded(supernet.space, arch).to(device)).view(-1, self.count)
        shares = logits.softmax(1).split(list(self.mixed.values()))
        found = {}
        for (name, _), share in zip(self.mixed.items(), shares, strict=True):
            column = share.view(-1, self.count, *[1] * (own[name].ndim - 1))
            mixed = column[:, 0] * own[name]
            for k in range(1, self.count):
                mixed = mixed + column[:, k] * self.copies[_key(name, k)]
            found[name] = mixed
        return found


class ExpertMix(Slices):
    """A subnet's weights are slices of a mixture of experts; a router of the architecture mixes them.

    Attributes
    ----------
    experts : int
        Copies of the weights.
    granularity : {"layer", "neuron"}
        Whether a weight is mixed as a whole, or each of its output neurons by itself.
    hidden : int
        Units of the router.

    References
    ----------
    Jawahar et al., "Mixture-of-supernets: improving weight-sharing supernet training with architecture-routed
    mixture-of-experts", 2024, arXiv 2306.04845.
    """

    experts: int = Field(2, ge=2)
    granularity: Literal["layer", "neuron"] = "layer"
    hidden: int = Field(128, ge=1)
    _module: Experts = PrivateAttr()

    @override
    def prepare(self, run: Run) -> None:
        super().prepare(run)
        seed = int(run.rng(EXPERT_RNG).integers(2**31))
        self._module = Experts(run.supernet, self.experts, self.granularity, self.hidden, seed)
        self._module.to(next(run.supernet.parameters()).device)

    @property
    @override
    def extra(self) -> nn.Module:
        return self._module

    @override
    def forward(self, inputs: Inputs) -> Tensor:
        assert self._arch is not None, "`bind` comes first"
        net = self._run.supernet
        given = inputs if isinstance(inputs, tuple) else (inputs,)
        mixed = self._module.weights(net, self._arch)
        named = {place: mixed[name] for place, name in places(net).items() if name in mixed}
        output: Tensor = functional_call(net, named, given, tie_weights=False)
        return output

    @override
    @torch.no_grad()
    def materialise(self, arch: Architecture) -> nn.Module:
        net = copy.deepcopy(self._run.supernet)
        own = dict(net.named_parameters())
        for name, weight in self._module.weights(self._run.supernet, arch).items():
            own[name].copy_(weight)
        return copy.deepcopy(net.subnet(arch))


def encoded(space: SearchSpace, arch: Architecture) -> Tensor:
    """Describe an architecture to a router: each gene as a number from 0 to 1, 0 where it is inactive.

    Parameters
    ----------
    space : SearchSpace
        Its space.
    arch : Architecture
        The architecture.

    Returns
    -------
    Tensor
        Shape ``(genes,)``.
    """
    row = space.to_array([arch])[0]
    return torch.tensor([(k + 1) / size if k >= 0 else 0.0 for k, size in zip(row, space.sizes, strict=True)]).float()


def _key(name: str, k: int) -> str:
    return f"{name.replace('.', '/')}#{k}"
