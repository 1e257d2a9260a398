"""Gates on blocks and channel groups that read the example, and can be frozen to one architecture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import TrainingError
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.gates import DepthGates, GateSite
from hwsearch.tasks.data import Inputs, forward

#: distance between the thresholds of two gates of a gene, and how far above the last one levels begin
SPACING, MARGIN = 2.0, 2.0
#: factor of the linear layers: gates learn so much faster than the weights
GAIN = 3.0
#: largest difference between gated and cut networks, as a share of the largest output
TOLERANCE = 1e-4


class Gates(nn.Module):
    """The gates of a supernet: for each gene one linear layer on pooled features gives a level, which opens gates.

    Gate k of a gene is open for an example where its level is above the k-th threshold. Thresholds ascend, so the open gates of
    a gene always are the first ones, as the slices of a search space want it: an example's open gates are an architecture.
    The forward value is 0 or 1, and the gradient that of sigmoid(level - threshold) (straight-through).

    Parameters
    ----------
    supernet : Supernet
        The network; it is not changed.
    inputs : Inputs
        A few examples, from which the numbers of features are found.
    seed : int
        Seed of the initial weights.

    Attributes
    ----------
    sites : list of GateSite
        Where the gates are.
    genes : tuple of int
        Position of each site's gene in the search space.
    frozen : Tensor
        Number of open gates of each site, shape ``(sites,)``; -1 while they read the example.
    agreed : Tensor
        Number of gates of each site, shape ``(sites,)``, that all examples are to open; -1 while that is undecided.
    soft, hard : list of Tensor
        Of the last pass, shape ``(b, gates)`` a site: sigmoids; and zeros and ones that have the gradient of the sigmoids.
    above : list of Tensor
        Of the last pass, shape ``(b, gates)`` a site: levels above the thresholds, the log-odds of the gates.

    Raises
    ------
    TrainingError
        If no gene of the space has gates, or gated and cut networks differ.
    SupernetError
        If the family has no places for gates.

    References
    ----------
    Bengio, Léonard, Courville, "Estimating or propagating gradients through stochastic neurons", 2013, arXiv 1308.3432.
    """

    frozen: Tensor
    agreed: Tensor

    def __init__(self, supernet: Supernet, inputs: Inputs, seed: int) -> None:
        super().__init__()
        self.sites: list[GateSite] = supernet.gate_sites()
        names = list(supernet.space.names)
        if not self.sites:
            raise TrainingError(
                f"search space {supernet.space.name!r} has no depth and no width of several values, only "
                f"{', '.join(names)}: nothing can be gated.",
                hint="Declare a Depth or a Width (docs/how-to/declare.md), or search in place of pruning.",
            )
        self.genes = tuple(names.index(site.gene) for site in self.sites)
        self.soft: list[Tensor] = []
        self.hard: list[Tensor] = []
        self.above: list[Tensor] = []
        self._net = [supernet]  # in a list, so that its weights are not the gates' own
        for name in ("frozen", "agreed"):
            self.register_buffer(name, torch.full((len(self.sites),), -1, dtype=torch.long))
        sizes = self._features(supernet, inputs)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.levels = nn.ModuleList(nn.Linear(n, 1) for n in sizes)
        with torch.no_grad():
            for site, layer in zip(self.sites, self.levels, strict=True):
                layer.weight.mul_(1 / GAIN)  # type: ignore[operator, union-attr]
                layer.bias.fill_((SPACING * (site.count - 1) + MARGIN) / GAIN)  # type: ignore[operator, union-attr]
        for k, site in enumerate(self.sites):
            self.register_buffer(f"thresholds_{k}", SPACING * torch.arange(site.count), persistent=False)
        self.to(next(supernet.parameters()).device)

    # ------------------------------------------------------------------ one pass
    @contextmanager
    def attached(self) -> Iterator[None]:
        """Gate the supernet's forward pass within a block; its weights and modules stay as they are.

        Yields
        ------
        None
            Nothing; `soft` and `hard` hold the gates of the last pass.
        """
        self.soft, self.hard, self.above = ([torch.empty(0)] * len(self.sites) for _ in range(3))
        handles = []
        for k, site in enumerate(self.sites):  # masks first: gates read what is left
            if not isinstance(site, DepthGates):
                handles += [m.register_forward_pre_hook(self._mask(k, m)) for m in site.consumers]
        handles += [s.reader.register_forward_pre_hook(self._read(k)) for k, s in enumerate(self.sites)]
        for k, site in enumerate(self.sites):
            if isinstance(site, DepthGates):
                for i, blocks in enumerate(site.blocks):
                    handles += [m.register_forward_hook(self._skip(k, i)) for m in blocks]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @override
    def forward(self, inputs: Inputs) -> Tensor:
        """Run the gated network, all other genes at their largest values.

        Parameters
        ----------
        inputs : Inputs
            Inputs of the largest subnet.

        Returns
        -------
        Tensor
            Its outputs.
        """
        net = self._net[0]
        net.activate(net.space.largest())
        with self.attached():
            return forward(net, inputs)

    def _read(self, k: int) -> Callable[[nn.Module, Any], None]:
        def read(module: nn.Module, args: Any) -> None:
            x: Tensor = args[0]
            thresholds = getattr(self, f"thresholds_{k}")
            if (fixed := int(self.frozen[k])) >= 0:
                row = (torch.arange(len(thresholds), device=x.device) < fixed).to(x.dtype)
                self.soft[k] = self.hard[k] = row.expand(len(x), -1)
                self.above[k] = 2 * self.hard[k] - 1
                return
            level = GAIN * self.levels[k](_pooled(x)) - thresholds
            self.above[k] = level.detach()
            self.soft[k] = soft = level.sigmoid()
            self.hard[k] = (level > 0).to(soft.dtype) + soft - soft.detach()

        return read

    def _mask(self, k: int, module: nn.Module) -> Callable[[nn.Module, Any], Any]:
        bounds = self.sites[k].bounds  # type: ignore[union-attr]
        groups = torch.tensor([b - a for a, b in pairwise(bounds)])
        axis = -1 if isinstance(module, nn.Linear) else 1

        def mask(module: nn.Module, args: Any) -> Any:
            x, gates = args[0], self.hard[k]
            if not len(gates):
                raise TrainingError(f"the channels of gene {self.sites[k].gene!r} are read before they are made.")
            open_NC = gates.repeat_interleave(groups.to(x.device), dim=1)
            open_NC = torch.cat([open_NC.new_ones(len(x), bounds[0]), open_NC], 1)
            shape = [len(x)] + [1] * (x.ndim - 1)
            shape[axis] = -1
            return (x * open_NC.view(shape), *args[1:])

        return mask

    def _skip(self, k: int, i: int) -> Callable[[nn.Module, Any, Tensor], Tensor]:
        def skip(module: nn.Module, args: Any, output: Tensor) -> Tensor:
            x = args[0]
            gate = self.hard[k][:, i].view(-1, *[1] * (output.ndim - 1))
            return x + gate * (output - x)

        return skip

    @torch.no_grad()
    def _features(self, net: Supernet, inputs: Inputs) -> list[int]:
        """Find how many pooled features each reader has."""
        sizes = [0] * len(self.sites)

        def note(k: int) -> Callable[[nn.Module, Any], None]:
            return lambda module, args: sizes.__setitem__(k, _pooled(args[0]).shape[1])

        handles = [site.reader.register_forward_pre_hook(note(k)) for k, site in enumerate(self.sites)]
        training = net.training
        try:
            net.activate(net.space.largest())
            forward(net.eval(), inputs)
        finally:
            net.train(training)
            for handle in handles:
                handle.remove()
        return sizes

    # ------------------------------------------------------------------ gates and architectures
    def rows(self, gates: Sequence[Tensor]) -> IntArray:
        """Convert the gates of examples to architectures.

        Parameters
        ----------
        gates : sequence of Tensor
            Zeros and ones, shape ``(b, gates)`` a site.

        Returns
        -------
        IntArray
            Encoded architectures, shape ``(b, genes)``, canonical; genes without gates have their largest values.
        """
        space = self._net[0].space
        rows = np.repeat((space.sizes - 1)[None], len(gates[0]), axis=0)
        for gene, one in zip(self.genes, gates, strict=True):
            rows[:, gene] = one.detach().float().round().sum(1).long().cpu().numpy()
        return space.canonical(rows)

    def freeze(self, arch: Architecture | None) -> None:
        """Fix all gates to one architecture, whatever the example.

        Parameters
        ----------
        arch : Architecture or None
            An architecture whose genes without gates have their largest values; None lets gates read the example again.
        """
        self.frozen.copy_(self._opened(arch))

    def agree(self, arch: Architecture) -> None:
        """Decide the architecture that all examples are to agree on.

        Parameters
        ----------
        arch : Architecture
            As of `freeze`.
        """
        self.agreed.copy_(self._opened(arch))

    def _opened(self, arch: Architecture | None) -> Tensor:
        """Count the open gates of each site."""
        if arch is None:
            return torch.full_like(self.frozen, -1)
        choices = {c.name: c for c in self._net[0].space.choices}
        opened = [
            choices[s.gene].values.index(arch[s.gene]) if s.gene in arch else s.count  # inactive: of no effect
            for s in self.sites
        ]
        return torch.tensor(opened)

    @torch.no_grad()
    def watch(self, batches: Iterator[tuple[Inputs, Tensor]]) -> tuple[list[FloatArray], list[FloatArray]]:
        """Collect the gates of many examples, in evaluation mode.

        Parameters
        ----------
        batches : iterator
            Inputs and targets, as `hwsearch.tasks.data.Data.batches` gives them.

        Returns
        -------
        shares, levels : list of FloatArray
            Shape ``(gates,)`` a site: share of the examples for which each gate is open; mean level above its threshold.
        """
        net, device = self._net[0], self.frozen.device
        training = net.training
        net.eval()
        opened: list[list[Tensor]] = [[] for _ in self.sites]
        above: list[list[Tensor]] = [[] for _ in self.sites]
        try:
            for inputs, _ in batches:
                self(inputs.to(device) if isinstance(inputs, Tensor) else tuple(i.to(device) for i in inputs))
                for k in range(len(self.sites)):
                    opened[k].append(self.hard[k].round())
                    above[k].append(self.above[k])
        finally:
            net.train(training)
        mean = lambda parts: np.asarray(torch.cat(parts).double().mean(0).cpu().numpy())  # noqa: E731
        return [mean(p) for p in opened], [mean(p) for p in above]


def _pooled(x: Tensor) -> Tensor:
    """Average over everything but examples and channels: (N, C)."""
    if x.ndim == 4:
        return x.mean((2, 3))
    return x.mean(tuple(range(1, x.ndim - 1))) if x.ndim > 2 else x


def disagreement(shares: Sequence[FloatArray]) -> float:
    """Compute how far the examples are from agreeing on each gate.

    Parameters
    ----------
    shares : sequence of FloatArray
        Share of the examples for which each gate is open, shape ``(gates,)`` a site.

    Returns
    -------
    float
        Mean of share × (1 - share) over all gates, from 0 (they agree) to 0.25.

    Examples
    --------
    >>> disagreement([np.array([1.0, 0.5]), np.array([0.0, 0.0])])
    0.0625
    """
    every = np.concatenate(list(shares))
    return float((every * (1 - every)).mean())


@torch.no_grad()
def prove_gates(gates: Gates, supernet: Supernet, inputs: Inputs, rng: np.random.Generator, draws: int = 4) -> None:
    """Check that frozen gates compute what the cut subnets do: all closed, each gene closed alone, and some drawn.

    Parameters
    ----------
    gates : Gates
        The gates; they end as they were.
    supernet : Supernet
        Their network.
    inputs : Inputs
        A few examples.
    rng : numpy.random.Generator
        Draws architectures.
    draws : int
        How many.

    Raises
    ------
    TrainingError
        If they differ: with the gene, where it is one.
    """
    space, kept, training = supernet.space, gates.frozen.clone(), supernet.training
    supernet.eval()
    try:
        for name, arch in _proved(gates, space, rng, draws):
            gates.freeze(arch)
            gated = gates(inputs)
            cut = forward(supernet.subnet(arch).to(gated.device).eval(), inputs)
            difference = float((gated - cut).abs().max() / cut.abs().max().clamp(min=1e-12))
            if not difference <= TOLERANCE:
                raise TrainingError(
                    f"{name} cannot be gated: gated and cut network differ by {difference:.2g} of the largest output.",
                    hint="A norm over the channels, or work outside the blocks of a stage, sees what a gate closes. "
                    "Declare another layer.",
                )
    finally:
        gates.frozen.copy_(kept)
        supernet.train(training)


def _proved(
    gates: Gates, space: SearchSpace, rng: np.random.Generator, draws: int
) -> Iterator[tuple[str, Architecture]]:
    top = space.sizes - 1
    for site, gene in zip(gates.sites, gates.genes, strict=True):
        row = top.copy()
        row[gene] = 0
        yield f"gene {site.gene!r}", space.from_array(space.canonical(row[None]))[0]
    for draw in range(draws + 1):
        row = top.copy()
        for gene in gates.genes:
            row[gene] = rng.integers(0, top[gene] + 1) if draw else 0
        yield f"search space {space.name!r}", space.from_array(space.canonical(row[None]))[0]
