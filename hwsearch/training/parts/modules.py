"""Cut a supernet into modules that are trained apart, each within a small network that stands still elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from weakref import WeakKeyDictionary

import numpy as np
import torch
from pydantic import Field, PrivateAttr
from torch import Tensor, nn
from typing_extensions import override

from hwsearch._typing import IntArray
from hwsearch.errors import TrainingError
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.supernets.base import Supernet
from hwsearch.tasks.data import Inputs
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.run import Run
from hwsearch.training.parts.sampler import SubnetSampler
from hwsearch.training.parts.usage import LESS, entries_used
from hwsearch.training.parts.view import Slices


@dataclass(frozen=True)
class Cut:
    """A supernet in contiguous modules, in the order of its parameters.

    Attributes
    ----------
    space : SearchSpace
        The whole space.
    parameters : tuple of tuple of str
        Names of the parameters of each module.
    genes : tuple of tuple of str
        Genes of each module: those that change nothing of another one.
    held : tuple of str
        Genes that change several modules, or no weight at all, such as a resolution: held at their largest value while
        modules are trained, so that all parameters of a module's border are used.
    """

    space: SearchSpace
    parameters: tuple[tuple[str, ...], ...]
    genes: tuple[tuple[str, ...], ...]
    held: tuple[str, ...]

    def hybrid(self, module: int, rows: IntArray) -> IntArray:
        """Replace all genes outside a module by those of the meta network.

        Parameters
        ----------
        module : int
            The module, from 1; 0 replaces all.
        rows : IntArray
            Rows of genes, shape ``(n, genes)``; they are not changed.

        Returns
        -------
        IntArray
            Rows of hybrid networks, shape ``(n, genes)``.
        """
        names = list(self.space.names)
        found = np.zeros_like(rows)
        for gene in self.held:
            found[:, names.index(gene)] = self.space.sizes[names.index(gene)] - 1
        for gene in self.genes[module - 1] if module else ():
            found[:, names.index(gene)] = rows[:, names.index(gene)]
        return found

    @cached_property
    def meta(self) -> Architecture:
        """The meta network: the smallest subnet, with the genes that are held at their largest value."""
        return self.space.from_array(self.hybrid(0, np.zeros((1, len(self.space.sizes)), dtype=np.int64)))[0]


#: examples whose gradients tell which parameters a gene changes
EXAMPLES = 8
#: what was found before, since the trainers of all modules of a supernet ask for it
_SPANS: WeakKeyDictionary[Supernet, dict[str, tuple[int, int]]] = WeakKeyDictionary()


def cut_into_modules(run: Run, modules: int) -> Cut:
    """Cut a supernet into modules so that the most genes stay within one, and each has about as many.

    Which parameters a gene changes is seen on a copy with other weights, so the cut depends on the network and not on what
    it has learnt: every process finds the same one.

    Parameters
    ----------
    run : Run
        The run; its supernet does not change.
    modules : int
        How many; each has at least one gene of its own.

    Returns
    -------
    Cut
        The modules.

    Raises
    ------
    TrainingError
        If the network cannot be cut into so many.
    """
    if run.supernet not in _SPANS:
        _SPANS[run.supernet] = _spans(run)
    spans = _SPANS[run.supernet]
    names = [name for name, _ in run.supernet.named_parameters()]
    sizes = [p.numel() for p in run.supernet.parameters()]
    most = _most(list(spans.values()))
    bounds = _bounds(list(spans.values()), sizes, modules) if modules <= most else None
    if bounds is None:
        raise TrainingError(
            f"modules={modules}: this supernet can be cut into {most} module{'s' * (most != 1)} with a gene of its own.",
            hint=f"Set modules to {most} or less." if most > 1 else "Use another strategy.",
        )
    pairs = list(pairwise(bounds))
    genes = tuple(tuple(g for g, (low, high) in spans.items() if a <= low and high < b) for a, b in pairs)
    inside = {gene for group in genes for gene in group}
    held = tuple(gene for gene in run.space.names if gene not in inside)
    return Cut(run.space, tuple(tuple(names[a:b]) for a, b in pairs), genes, held)


def _spans(run: Run) -> dict[str, tuple[int, int]]:
    """Positions of the first and the last parameter that each gene changes; genes that change none are left out."""
    net = copy.deepcopy(run.supernet).train()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in net.parameters():  # no scale may be zero, as it is at the start of many trainings
            noise = torch.randn(p.shape, generator=generator)
            p.copy_(noise / max(1, noise[0].numel()) ** 0.5 if p.ndim > 1 else 1 + 0.1 * noise)
    place = {name: k for k, (name, _) in enumerate(net.named_parameters())}
    top = run.space.sizes - 1
    with torch.random.fork_rng(devices=[]):  # of dropout
        torch.manual_seed(0)
        return _changed(run, net, place, top)


def _changed(run: Run, net: Supernet, place: dict[str, int], top: IntArray) -> dict[str, tuple[int, int]]:
    whole = entries_used(run, top, net, EXAMPLES)
    found = {}
    for gene, size in enumerate(run.space.sizes):
        if size == 1:
            continue
        row = top.copy()
        row[gene] = 0
        less = entries_used(run, row, net, EXAMPLES)
        touched = [
            place[n]
            for n in whole.keys() | less.keys()
            if min(whole.get(n, 0), less.get(n, 0)) < (1 - LESS) * max(whole.get(n, 0), less.get(n, 0))
        ]
        if touched:
            found[run.space.names[gene]] = (min(touched), max(touched))
    return found


def _most(spans: Sequence[tuple[int, int]]) -> int:
    """Count the most spans of which no two overlap: so many modules can have one each."""
    count, end = 0, -1
    for low, high in sorted(spans, key=lambda span: span[1]):
        if low > end:
            count, end = count + 1, high
    return count


def _bounds(spans: Sequence[tuple[int, int]], sizes: Sequence[int], modules: int) -> list[int] | None:
    """Choose where modules begin and end: the most spans within one, then equal numbers of them, then of parameters."""
    places = sorted({0, len(sizes), *(low for low, _ in spans if low)})
    summed = np.concatenate([[0], np.cumsum(sizes)])
    best: dict[int, tuple[tuple[int, int, int], list[int]]] = {0: ((0, 0, 0), [0])}
    for number in range(1, modules + 1):
        reached: dict[int, tuple[tuple[int, int, int], list[int]]] = {}
        for end in places if number < modules else [len(sizes)]:
            for start, (cost, path) in best.items():
                free = sum(start <= low and high < end for low, high in spans) if start < end else 0
                if not free:
                    continue
                weight = int(summed[end] - summed[start])
                total = (cost[0] - free, cost[1] + free**2, cost[2] + weight**2)
                if end not in reached or total < reached[end][0]:
                    reached[end] = (total, [*path, end])
        best = reached
    return best[len(sizes)][1] if len(sizes) in best else None


class HybridSampler(SubnetSampler):
    """The meta network alone, or networks that are free in one module and the meta network elsewhere.

    Attributes
    ----------
    module : int
        The module, from 1; 0 is the meta network.
    random : int
        Random subnets a step, besides the module's largest and smallest.
    """

    module: int = Field(ge=0)
    random: int = Field(2, ge=0)
    _cut: Cut = PrivateAttr()

    def use(self, cut: Cut) -> HybridSampler:
        """Take the modules.

        Parameters
        ----------
        cut : Cut
            Of the supernet that is trained.

        Returns
        -------
        HybridSampler
            This sampler.
        """
        self._cut = cut
        return self

    @override
    def sample(self, now: Moment, rng: np.random.Generator) -> list[Draw]:
        cut, space = self._cut, self._run.space
        if self.module == 0:
            return [Draw(cut.meta, "meta")]
        rows = np.stack([space.sizes - 1, np.zeros_like(space.sizes), *space.sample_array(self.random, rng)])
        archs = space.from_array(cut.hybrid(self.module, rows))
        return [Draw(archs[0], "largest"), Draw(archs[1], "smallest"), *(Draw(arch) for arch in archs[2:])]


class OneModule(Slices):
    """Only the parameters and batch norms of one module are trained; the rest stands still, its norms in evaluation mode.

    Attributes
    ----------
    first, last : str
        The module's first and last parameter.
    held : tuple of str
        Genes that are held.
    """

    first: str
    last: str
    held: tuple[str, ...] = ()
    _names: frozenset[str] = PrivateAttr(frozenset())
    _norms: list[nn.Module] = PrivateAttr(default_factory=list)
    _frozen: list[nn.Parameter] = PrivateAttr(default_factory=list)

    @override
    def prepare(self, run: Run) -> None:
        super().prepare(run)
        order = [name for name, _ in run.supernet.named_parameters()]
        self._names = frozenset(order[order.index(self.first) : order.index(self.last) + 1])
        self._frozen = [p for name, p in run.supernet.named_parameters() if name not in self._names]
        state = set(self.module_names(run.supernet))
        norms = {
            m
            for prefix, m in run.supernet.named_modules()
            if hasattr(m, "running_mean") and f"{prefix}.running_mean".lstrip(".") not in state
        }
        owner = {id(p): norm for norm in norms for p in norm.parameters()}

        def only_a_norm(m: nn.Module) -> bool:  # kernels ask such a container for its mode
            found = {owner.get(id(p)) for p in m.parameters()}
            return len(found) == 1 and None not in found

        self._norms = [m for m in run.supernet.modules() if m in norms or only_a_norm(m)]

    def module_names(self, net: Supernet) -> list[str]:
        """List what of a supernet's state belongs to the module: its parameters, and the buffers of their layers.

        Parameters
        ----------
        net : Supernet
            A supernet with the same names.

        Returns
        -------
        list of str
            Names of parameters and buffers.
        """
        found, inside = [], False
        for prefix, layer in net.named_modules(remove_duplicate=False):
            own = [f"{prefix}.{n}".lstrip(".") for n, _ in layer.named_parameters(recurse=False)]
            found += [name for name in own if name in self._names]
            if own:  # a layer without parameters, such as a norm that has only statistics, goes with the one before
                inside = any(name in self._names for name in own)
            if inside:
                found += [f"{prefix}.{n}".lstrip(".") for n, _ in layer.named_buffers(recurse=False)]
        return list(dict.fromkeys(found))

    @override
    def bind(self, arch: Architecture) -> None:
        super().bind(arch)
        for norm in self._norms:
            norm.eval()

    @override
    def forward(self, inputs: Inputs) -> Tensor:
        with self._standing():
            return super().forward(inputs)

    @contextmanager
    def _standing(self) -> Iterator[None]:
        """Keep what stands still out of the graph of this pass."""
        asked = [p.requires_grad for p in self._frozen]
        try:
            for p in self._frozen:
                p.requires_grad_(False)
            yield
        finally:
            for p, wanted in zip(self._frozen, asked, strict=True):
                p.requires_grad_(wanted)

    @override
    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        yield from ((n, p) for n, p in self._run.supernet.named_parameters() if n in self._names)
