"""The supernet of a declared network."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, fx, nn
from typing_extensions import override

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SupernetError
from hwsearch.spaces import Architecture, Choice, SearchSpace, When
from hwsearch.supernets.base import Supernet, with_logs
from hwsearch.supernets.checkpoint.loading import Uninitialised
from hwsearch.supernets.declared.conditions import Conditions, conditions_of, weakest_conditions
from hwsearch.supernets.declared.costs import NetworkCosts
from hwsearch.supernets.declared.declaration import Declaration
from hwsearch.supernets.declared.depths import declared_depths
from hwsearch.supernets.declared.fusing import norm_activations
from hwsearch.supernets.declared.kernels import declared_kernels
from hwsearch.supernets.declared.matching import match_modules
from hwsearch.supernets.declared.proof import check_smallest
from hwsearch.supernets.declared.tracing import trace_network
from hwsearch.supernets.declared.widths import declared_widths, has_own_width
from hwsearch.supernets.gates import DepthGates, GateSite, WidthGates
from hwsearch.supernets.layers.containers import ElasticModuleList, ElasticSequential
from hwsearch.supernets.layers.ordering import sort_by_importance
from hwsearch.supernets.layers.sliced.activation import HANDED, HandedActivation
from hwsearch.supernets.layers.sliced.kinds import SLICED, SlicedLayer
from hwsearch.supernets.layers.sliced.norm import SlicedBatchNorm2d, SlicedGroupNorm


class ElasticModule(Supernet):
    """A weight-sharing supernet of a declared network; its state dict has the network's own names.

    Made by `hwsearch.supernets.declared.elastic`, which also proves it.

    Parameters
    ----------
    model : nn.Module
        The largest network; it is copied, not changed.
    declaration : mapping
        Names of modules → what may vary.
    input_shape : tuple of int, default (3, 224, 224)
        Shape of one input, without the batch axis.
    name : str, optional
        Name of the search space; by default the model's class.
    resolutions : sequence of int, optional
        Sides of square images among which gene ``r`` chooses.

    Raises
    ------
    SupernetError
        If the declaration fits no module or cannot be carried out.

    References
    ----------
    Cai, Gan, Wang, Zhang, Han, 2020, Once-for-All, arXiv 1908.09791.
    Yu et al., 2019, Slimmable Neural Networks, arXiv 1812.08928.
    """

    def __init__(
        self,
        model: nn.Module,
        declaration: Declaration,
        *,
        input_shape: tuple[int, ...] = (3, 224, 224),
        name: str | None = None,
        resolutions: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.sides = tuple(sorted(set(resolutions or ())))
        if self.sides and (len(input_shape) != 3 or input_shape[1] != input_shape[2]):
            raise SupernetError(f"resolutions are sides of square images, but the input shape is {input_shape}.")
        self._shape = (input_shape[0], self.sides[-1], self.sides[-1]) if self.sides else tuple(input_shape)
        shapes: list[tuple[int, ...]] = [(input_shape[0], s, s) for s in self.sides[::-1]] or [self._shape]
        found = trace_network(model, shapes)
        self.classes = found.output[1]
        modules = dict(model.named_modules())
        matched = match_modules(modules, declaration)
        self._spans = declared_depths(found, modules, matched)
        self._kernels = declared_kernels(found, modules, matched)
        genes, self._counts = declared_widths(found, modules, matched)
        #: layer → (gene of its input width, gene of its output width), None where it is not elastic
        self._axes = {
            n: (genes.get(found.groups.root(i)), genes.get(found.groups.root(o))) for n, (i, o) in found.axes.items()
        }
        self._layers: dict[str, SlicedLayer] = {}
        self._containers: dict[str, ElasticSequential | ElasticModuleList] = {}
        self._full_inputs = {n: found.groups.size(i) for n, (i, _) in found.axes.items()}
        self._activations: list[HandedActivation] = []
        pairs = list(norm_activations(found, modules, {s.path for s in self._spans}))
        self.model = self._elastic_copy(model, modules, pairs)
        self.register_state_dict_post_hook(_without_prefix)
        self.register_load_state_dict_pre_hook(_with_prefix)
        self._check_names(model)
        self.space = self._search_space(name or type(model).__name__.lower(), modules)
        self._costs = NetworkCosts(
            found,
            self._spans,
            {n: layer.axes for n, layer in self._layers.items()},
            self._axes,
            self._counts,
            self._kernels,
            {n: p.numel() for n, p in self.model.named_parameters()},
        )
        check_smallest(self, shapes)

    # ------------------------------------------------------------------ building
    def _elastic_copy(
        self, model: nn.Module, modules: Mapping[str, nn.Module], pairs: Sequence[tuple[str, str]]
    ) -> nn.Module:
        """Copy the model, with elastic layers and containers in the place of plain ones; `pairs` of norm and activation."""
        memo: dict[int, Any] = {}
        for name, axes in self._axes.items():
            if any(axes) or name in self._kernels:
                with Uninitialised():
                    layer = SLICED[type(modules[name])](copy.deepcopy(modules[name]))  # type: ignore[arg-type]
                memo[id(modules[name])] = self._layers[name] = layer
        for name, activation in pairs:
            norm, plain = self._layers.get(name), modules[activation]
            if isinstance(norm, SlicedBatchNorm2d):
                if id(plain) not in memo:
                    memo[id(plain)] = handed = HANDED[type(plain)](plain)
                    self._activations.append(handed)
                norm.hand_to(memo[id(plain)])
        copied = copy.deepcopy(model, memo)
        paths = {id(memo[id(modules[s.path])]): s.path for s in self._spans}

        def swap(module: nn.Module) -> nn.Module:
            if id(module) not in paths:
                return module
            kind = ElasticSequential if isinstance(module, nn.Sequential) else ElasticModuleList
            self._containers[paths[id(module)]] = container = kind(module)
            return container

        return _swapped(copied, swap)

    def _check_names(self, model: nn.Module) -> None:
        """Refuse weights of two names that would be cut under one of them only."""
        first: dict[int, str] = {}
        for name, parameter in model.named_parameters(remove_duplicate=False):
            other = first.setdefault(id(parameter), name)
            cut = {_owner(other), _owner(name)} & set(self._layers)
            if other != name and (cut or conditions_of(self._spans, other) != conditions_of(self._spans, name)):
                raise SupernetError(f"{other!r} and {name!r} are one weight, which cannot be cut in one place only.")

    def _search_space(self, name: str, modules: Mapping[str, nn.Module]) -> SearchSpace:
        choices = [Choice("r", self.sides)] if self.sides else []

        def add(gene: str, values: tuple[Any, ...], conditions: Conditions) -> None:
            when = None
            if conditions:
                parent, index = conditions[-1]
                when = When(parent, next(c for c in choices if c.name == parent).values[index:])
            choices.append(Choice(gene, values, when))

        for span in self._spans:
            add(span.gene, span.values, conditions_of(self._spans, span.path))
        for layer, sides in self._kernels.items():
            add(f"kernel[{layer}]", sides, conditions_of(self._spans, layer))
        for gene, counts in self._counts.items():
            makers = [n for n, (_, out) in self._axes.items() if out == gene and has_own_width(modules[n])]
            add(gene, tuple(counts), weakest_conditions({n: conditions_of(self._spans, n) for n in makers}, gene))
        if not choices:
            raise SupernetError("the declaration is empty and there are no resolutions: nothing may vary.")
        return SearchSpace(name, choices)

    # ------------------------------------------------------------------ the contract of a supernet
    @override
    def input_shape(self, arch: Architecture) -> tuple[int, ...]:
        if not self.sides:
            return self._shape
        side = arch.integer("r")
        return (self._shape[0], side, side)

    def structure(self) -> str:
        """Write the traced programs of the largest and the smallest subnet, and the choices.

        Returns
        -------
        str
            Equal for networks with equal code.
        """
        subnets = [self.subnet(a) for a in (self.space.largest(), self.space.smallest())]
        programs = [f"{fx.symbolic_trace(s).code}{s!r}" for s in subnets]
        return "\n".join([*programs, self.space.to_json()])

    def _genes(self, arch: Architecture) -> dict[str, Any]:
        """List all genes of `arch`; inactive ones at their largest value."""
        self.space.check_space(arch)
        if not set(arch) <= set(self.space.names):
            self.space.architecture(arch)  # raises the error that says which gene it is
        return {c.name: arch[c.name] if c.name in arch else c.values[-1] for c in self.space.choices}

    def _chosen(self, name: str, genes: Mapping[str, Any]) -> dict[str, int]:
        """Choose the outputs in use and the crop of an elastic layer."""
        layer, out, chosen = self._layers[name], self._axes[name][1], {}
        if out and has_own_width(layer):
            chosen["outputs"] = self._counts[out][genes[out]]
        if name in self._kernels:
            chosen["crop"] = (layer.kernel_size[0] - genes[f"kernel[{name}]"]) // 2  # type: ignore[union-attr, operator, index]
        return chosen

    def _kept(self, path: str, genes: Mapping[str, Any]) -> tuple[int, ...]:
        """List the positions of the children of a container that stay."""
        spans = [s for s in self._spans if s.path == path]
        return tuple(sorted(set.intersection(*(set(s.kept(genes[s.gene])) for s in spans))))

    @override
    def activate(self, arch: Architecture) -> None:
        genes = self._genes(arch)
        for name, layer in self._layers.items():
            for attribute, value in self._chosen(name, genes).items():
                setattr(layer, attribute, value)
        for path, container in self._containers.items():
            container.kept = self._kept(path, genes)

    @override
    def forward(self, *inputs: Tensor) -> Tensor:
        return self.model(*inputs)  # type: ignore[no-any-return]

    @override
    def subnet(self, arch: Architecture) -> nn.Module:
        genes = self._genes(arch)
        memo: dict[int, Any] = {}
        for name, layer in self._layers.items():
            ins = self._axes[name][0]
            inputs = self._counts[ins][genes[ins]] if ins else self._full_inputs[name]
            memo[id(layer)] = layer.static(inputs, **self._chosen(name, genes))
        memo |= {id(handed): handed.plain() for handed in self._activations}
        kept = {path: self._kept(path, genes) for path in self._containers}
        for path, container in self._containers.items():
            for i, child in enumerate(container._modules.values()):
                if i not in kept[path]:
                    memo[id(child)] = nn.Identity()
        net = copy.deepcopy(self.model, memo)
        copies = (
            (path, memo.get(id(c))) for path, c in self._containers.items()
        )  # None or an identity: in what is cut
        stay = {id(c): kept[path] for path, c in copies if isinstance(c, (ElasticSequential, ElasticModuleList))}
        return _swapped(net, lambda m: m.static(stay[id(m)]) if id(m) in stay else m)  # type: ignore[operator]

    @override
    def gate_sites(self) -> list[GateSite]:
        sites: list[GateSite] = []
        for span in self._spans:
            if len(span.values) > 1:
                children = [m for m in self._containers[span.path]._modules.values() if m is not None]
                ends = [span.first + depth for depth in span.values]
                blocks = tuple(tuple(children[a:b]) for a, b in pairwise(ends))
                sites.append(DepthGates(span.gene, blocks[0][0], blocks))
        for gene, counts in self._counts.items():
            if len(counts) > 1:
                layers = [(self._layers[n], axes) for n, axes in self._axes.items() if n in self._layers]
                readers = [layer for layer, (_, out) in layers if out == gene and has_own_width(layer)]
                consumers = tuple(layer for layer, (ins, _) in layers if ins == gene and has_own_width(layer))
                sites.append(WidthGates(gene, readers[0], tuple(counts.values()), consumers))
        return sites

    def sort_channels(self) -> None:
        """Sort the channels of every elastic width by importance; in place, the largest subnet computes the same.

        For weights that were trained without weight sharing: slices of a trained supernet already are what they were
        trained to be. See `hwsearch.supernets.layers.ordering.sort_by_importance`.
        """
        for gene in self._counts:
            slots, consumers, block = [], [], 1
            for name, layer in self._layers.items():
                ins, out = self._axes[name]
                for tensor, roles in layer.axes.items():
                    value = getattr(layer, tensor)
                    for axis, role in enumerate(roles if value is not None else ()):
                        if role and (ins if role == "in" else out) == gene:
                            slots.append((value, axis))
                            consumers += [(value, axis)] * (role == "in")
                if isinstance(layer, SlicedGroupNorm) and out == gene:
                    block = math.lcm(block, layer.group_size)
            if consumers:
                sort_by_importance(slots, consumers, block)

    # ------------------------------------------------------------------ costs, vectorised
    @override
    def macs_array(self, rows: IntArray) -> FloatArray:
        return self._costs.macs(self.space, self.space.canonical(rows))

    @override
    def params_array(self, rows: IntArray) -> FloatArray:
        return self._costs.params(self.space, self.space.canonical(rows))

    @override
    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        return with_logs(self._costs.features(self.space, self.space.canonical(rows)))


def _owner(parameter: str) -> str:
    return parameter.rpartition(".")[0]


def _swapped(module: nn.Module, swap: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """Apply `swap` to a module and all below it, children first."""
    for name, child in module._modules.items():
        if child is not None:
            module._modules[name] = _swapped(child, swap)
    return swap(module)


def _without_prefix(net: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for key in [k for k in state if k.startswith(prefix)]:
        state[prefix + key.removeprefix(prefix).removeprefix("model.")] = state.pop(key)


def _with_prefix(net: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    own = {f"{prefix}{n}" for n in net._buffers}
    for key in [k for k in state if k.startswith(prefix) and k not in own]:
        state[f"{prefix}model.{key.removeprefix(prefix)}"] = state.pop(key)
