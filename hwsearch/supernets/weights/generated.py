"""A supernet whose weights a generator makes from the architecture; widths that were never trained are choices of it."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from typing_extensions import override

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import CheckpointError
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.supernets.base import Part, Supernet
from hwsearch.supernets.kernels import active
from hwsearch.supernets.kernels.masked import MaskedKernels
from hwsearch.supernets.weights.generator import (
    GeneratorCard,
    GeneratorError,
    GeneratorSettings,
    Hypernetwork,
)
from hwsearch.supernets.weights.places import places
from hwsearch.tasks.data import Data

#: prefix of the generator's tensors in a weight file; the others have the network's own names
PREFIX = "generator."
#: the card, as bytes of JSON, among the tensors of a weight file
CARD_TENSOR = f"{PREFIX}card"


class GeneratedSupernet(Supernet):
    """A supernet that computes with generated weights: those of a subnet are slices of what H makes for its architecture.

    The network's own parameters are θ0, under their own names; H's lie beside them under ``generator.``. A subnet that is cut is a
    plain module, and H is no part of it.

    Parameters
    ----------
    net : Supernet
        The supernet whose convolutions and linear layers get generated weights; it becomes part of this one.
    settings : GeneratorSettings
        The settings.
    seed : int
        Seed of H's first weights.
    trained : dict of str to list of float, optional
        Values of each gene that are trained; by default all of the space.

    Attributes
    ----------
    net : Supernet
        The supernet itself, which computes with θ0 alone.
    generator : Hypernetwork
        H.
    card : GeneratorCard
        What it is, by the review's five axes.

    Raises
    ------
    GeneratorError
        If the network has layers with weights other than convolutions, linear layers and norms; with their names.
    """

    def __init__(
        self,
        net: Supernet,
        settings: GeneratorSettings = GeneratorSettings(),
        seed: int = 0,
        trained: Mapping[str, list[float]] | None = None,
    ) -> None:
        super().__init__()
        self.space, self.classes = net.space, net.classes
        parameters = dict(net.named_parameters())
        #: names of the weights that are generated, with their numbers
        self.sizes = {name: parameters[name].numel() for name in _generated(net, settings)}
        genes = _largest(net.space)
        self.net = net
        self.generator = Hypernetwork(len(genes), list(self.sizes.values()), settings, seed)
        self.generator.to(next(net.parameters()).device)
        self._arch: Architecture | None = None
        if not settings.residual:
            for name in self.sizes:
                parameters[name].data.zero_()
                parameters[name].requires_grad_(False)
        own = sum(p.numel() for p in self.generator.parameters())
        stored = own + sum(p.numel() for p in parameters.values() if p.requires_grad)
        values = {c.name: [float(v) for v in c.values] for c in net.space.choices} if trained is None else dict(trained)
        self.card = GeneratorCard(settings, genes, values, sum(self.sizes.values()), own, stored)
        self.register_buffer("card_bytes", _bytes(self.card))
        self.register_state_dict_post_hook(_without_prefix)
        self.register_load_state_dict_pre_hook(_with_prefix)

    # ------------------------------------------------------------------ weights
    def condition(self, arch: Architecture) -> Tensor:
        """Describe an architecture to H: each gene's value as a share of its largest, 0 where the gene is inactive.

        Parameters
        ----------
        arch : Architecture
            An architecture of `space`, whether its widths were trained or not.

        Returns
        -------
        Tensor
            Shape ``(genes,)``, in [0, 1].

        Raises
        ------
        SpaceError
            If it is of another space.
        """
        self.space.check_space(arch)
        shares = [float(arch[g]) / top if g in arch and top else 0.0 for g, top in self.card.genes.items()]
        return torch.tensor(shares, device=next(self.generator.parameters()).device)

    def weights(self, condition: Tensor) -> dict[str, Tensor]:
        """Generate the whole weights for a condition.

        Parameters
        ----------
        condition : Tensor
            Numbers in [0, 1], shape ``(genes,)``.

        Returns
        -------
        dict of str to Tensor
            By the names of the network's parameters, with gradients to H and θ0.

        Raises
        ------
        GeneratorError
            If a number is outside [0, 1], or none.
        """
        flat = self.generator(condition).split(list(self.sizes.values()))
        own = dict(self.net.named_parameters())
        return {name: own[name] + made.view(own[name].shape) for name, made in zip(self.sizes, flat, strict=True)}

    @override
    def activate(self, arch: Architecture) -> None:
        self.net.activate(arch)
        self._arch = arch

    @override
    def forward(self, *inputs: Tensor) -> Tensor:
        if isinstance(active(), MaskedKernels):
            raise GeneratorError(
                "masked kernels keep graphs of weights that stay where they are, and these are generated anew.",
                hint="Use --kernels eager.",
            )
        made = self.weights(self.condition(self._arch or self.space.largest()))
        named = {place: made[name] for place, name in places(self.net).items() if name in made}
        output: Tensor = functional_call(self.net, named, inputs, tie_weights=False)
        return output

    @override
    @torch.no_grad()
    def subnet(self, arch: Architecture) -> nn.Module:
        net = copy.deepcopy(self.net)
        own = dict(net.named_parameters())
        for name, weight in self.weights(self.condition(arch)).items():
            own[name].copy_(weight)
            own[name].requires_grad_(True)
        return copy.deepcopy(net.subnet(arch))

    # ------------------------------------------------------------------ what the network itself knows
    @override
    def input_shape(self, arch: Architecture) -> tuple[int, ...]:
        return self.net.input_shape(arch)

    @override
    def input_size(self, arch: Architecture) -> int:
        return self.net.input_size(arch)

    @override
    def parts(self, arch: Architecture, net: nn.Module) -> list[Part]:
        return self.net.parts(arch, net)

    @override
    def macs_array(self, rows: IntArray) -> FloatArray:
        return self.net.macs_array(rows)

    @override
    def params_array(self, rows: IntArray) -> FloatArray:
        return self.net.params_array(rows)

    @override
    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        return self.net.cost_features(rows)

    @override
    def check_data(self, data: Data, split: str) -> None:
        self.net.check_data(data, split)

    @override
    def structure(self) -> str:
        return self.net.structure()

    @override
    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        own = {k: v for k, v in state.items() if k.startswith(PREFIX)}
        return {**self.net.rename({k: v for k, v in state.items() if k not in own}), **own}

    @override
    def after_loading(self) -> None:
        self.net.after_loading()


def with_generator(net: Supernet, settings: GeneratorSettings, seed: int = 0) -> GeneratedSupernet:
    """Give a supernet a generator of weights, whose θ0 is what the supernet has; one that has a generator goes on with it.

    Parameters
    ----------
    net : Supernet
        The supernet; it becomes part of the result.
    settings : GeneratorSettings
        The settings.
    seed : int
        Seed of H's first weights.

    Returns
    -------
    GeneratedSupernet
        The supernet with its generator; all values of its genes count as trained.

    Raises
    ------
    GeneratorError
        If the network cannot be served, or has a generator of other settings.
    """
    if not isinstance(net, GeneratedSupernet):
        return GeneratedSupernet(net, settings, seed).train(net.training)
    if net.card.settings != settings:
        there, asked = dataclasses.asdict(net.card.settings), dataclasses.asdict(settings)
        other = [f"{k}={there[k]!r}, asked {asked[k]!r}" for k in there if there[k] != asked[k]]
        raise GeneratorError(
            f"the weights have a generator with other settings ({'; '.join(other)}).",
            hint="Give the same settings, or start from other weights.",
        )
    values = {c.name: {float(v) for v in c.values} for c in net.space.choices}
    trained = {g: sorted({*known, *values[g]}) for g, known in net.card.trained.items()}
    if trained == net.card.trained:
        return net
    found = GeneratedSupernet(net.net, settings, seed, trained)
    found.generator = net.generator
    return found.train(net.training)


def restored(net: Supernet, state: Mapping[str, Tensor], source: str) -> Supernet:
    """Give a supernet the generator that a weight file has, its weights not yet loaded; one without stays as it is.

    Parameters
    ----------
    net : Supernet
        The supernet of the file; its space may have values of genes that were never trained.
    state : mapping of str to Tensor
        The file's tensors.
    source : str
        Where they come from, for messages.

    Returns
    -------
    Supernet
        The network that the file's weights are loaded into.

    Raises
    ------
    CheckpointError
        If the file's generator is of another search space, or damaged.
    GeneratorError
        If the file's generator cannot serve the network.
    """
    if CARD_TENSOR not in state or isinstance(net, GeneratedSupernet):
        return net
    card = card_of(state, source)
    genes = _largest(net.space)
    if card.genes != genes:
        odd = sorted({*card.genes.items()} ^ {*genes.items()})
        raise CheckpointError(
            f"{source}: its generator is of another search space than {net.space.name!r}: "
            + ", ".join(f"{gene} (largest {top:g})" for gene, top in odd[:4])
            + (" is" if len(odd) == 1 else " are")
            + " not in both.",
            hint="Give the network that it was trained with; its genes may have more values, but the same names and largest values.",
        )
    found = GeneratedSupernet(net, card.settings, trained=card.trained)
    if found.card != card:
        raise CheckpointError(
            f"{source}: its generator makes {card.generated:,} weights, and the network {net.space.name!r} has "
            f"{found.card.generated:,} of them.",
            hint="Give the network that it was trained with.",
        )
    return found


def card_of(state: Mapping[str, Tensor], source: str) -> GeneratorCard:
    """Read the card of the generator of a weight file.

    Parameters
    ----------
    state : mapping of str to Tensor
        The file's tensors.
    source : str
        Where they come from, for messages.

    Returns
    -------
    GeneratorCard
        The card.

    Raises
    ------
    CheckpointError
        If there is none, or it cannot be read.
    """
    held = state.get(CARD_TENSOR)
    if held is None or held.dtype != torch.uint8 or held.ndim != 1:
        raise CheckpointError(f"{source} has no card of a generator.")
    try:
        return GeneratorCard.from_dict(json.loads(bytes(held.cpu().numpy())), source)
    except (GeneratorError, ValueError) as error:
        raise CheckpointError(f"{source}: the card of its generator cannot be read: {error}.") from error


def _largest(space: SearchSpace) -> dict[str, float]:
    """Name the genes of a condition with their largest values; raise `GeneratorError` where values are no numbers."""
    for choice in space.choices:
        if not all(isinstance(v, int | float) and v >= 0 for v in choice.values):
            raise GeneratorError(
                f"gene {choice.name!r} of space {space.name!r} has values that are no shares of a largest one.",
                hint="A generator is conditioned on numbers of at least 0.",
            )
    return {c.name: float(max(c.values)) for c in space.choices}


def _generated(net: Supernet, settings: GeneratorSettings) -> list[str]:
    """List the parameters that are generated; kernel transforms and, but for `settings.norms`, norms stay shared."""
    names = {id(p): n for n, p in net.named_parameters()}
    found: list[str] = []
    odd: list[str] = []
    for path, module in net.named_modules():
        own = {n: p for n, p in module.named_parameters(recurse=False) if not n.endswith("_matrix")}
        if isinstance(module, _ConvNd | nn.Linear) and set(own) <= {"weight", "bias"}:
            found += [names[id(p)] for p in own.values()]
        elif isinstance(module, _BatchNorm | nn.LayerNorm | nn.GroupNorm):
            found += [names[id(p)] for p in own.values()] if settings.norms else []
        elif own:
            odd.append(f"{path or 'the network'} ({type(module).__name__})")
    if odd or not found:
        layers = f"it has weights in {', '.join(odd[:4])}{' …' if len(odd) > 4 else ''}" if odd else "it has none"
        raise GeneratorError(
            f"a generator cannot serve {type(net).__name__}: {layers}.",
            hint="It makes weights of convolutions and linear layers, with norms between them.",
        )
    return list(dict.fromkeys(found))


def _bytes(card: GeneratorCard) -> Tensor:
    return torch.from_numpy(
        np.frombuffer(json.dumps(dataclasses.asdict(card), sort_keys=True).encode(), np.uint8).copy()
    )


def _without_prefix(net: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for key in [k for k in state if k.startswith(prefix)]:
        name = key.removeprefix(prefix)
        new = CARD_TENSOR if name == "card_bytes" else name.removeprefix("net.")
        state[prefix + new] = state.pop(key)


def _with_prefix(net: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for key in [k for k in state if k.startswith(prefix)]:
        name = key.removeprefix(prefix)
        new = "card_bytes" if name == CARD_TENSOR else name if name.startswith(PREFIX) else f"net.{name}"
        state[prefix + new] = state.pop(key)
