"""Any network as a supernet: its own module stays as it is, a short declaration says what may vary.

    net = elastic(
        resnet18,
        {"layer*.*.conv1": Width((0.25, 0.5, 1.0)), "layer[34]": Depth((1, 2))},
        input_shape=(3, 32, 32),
        resolutions=(24, 32),
        name="my-resnet18",
    )

A width is shared by everything that is tied to it (residual adds, norms, depth-wise convolutions, gates); what is
tied is found in a torch.fx trace (`hwsearch.supernets.tied`). The slices are those of Once-for-All (Cai, Gan, Wang,
Zhang, Han, 2020, arXiv 1908.09791) and slimmable networks (Yu et al., 2019, arXiv 1812.08928): the first channels,
the first blocks, the centre of the kernel.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hwsearch.errors import SpaceError, SupernetError, nearest
from hwsearch.spaces import Architecture, Choice, SearchSpace, When
from hwsearch.spaces.space import FloatArray, IntArray
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.elastic import (
    ELASTIC,
    ElasticGroupNorm,
    ElasticLayer,
    ElasticModuleList,
    ElasticSequential,
    is_depthwise,
    make_divisible,
    sort_by_importance,
)
from hwsearch.supernets.tied import Trace, on_meta, trace


@dataclass(frozen=True)
class Width:
    """Output channels of a convolution or linear layer, as shares of all; 1.0 is one of them.

    divisor : channels are rounded to a multiple of it; shares that round to the same number are one choice
    """

    shares: tuple[float, ...]
    divisor: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "shares", _ascending(self, self.shares))
        if self.shares[0] <= 0 or self.shares[-1] != 1 or self.divisor < 1:
            raise SupernetError(f"{self}: shares lie above 0, the largest is 1.0, and the divisor is at least 1.")

    def choices(self, full: int) -> dict[float, int]:
        """Share → channels, of `full` channels; of shares with the same channels the largest."""
        channels = {s: full if s == 1 else min(full, make_divisible(s * full, self.divisor)) for s in self.shares}
        return {s: n for n, s in {n: s for s, n in channels.items()}.items()}


@dataclass(frozen=True)
class Depth:
    """How many children of an nn.Sequential or nn.ModuleList are kept, the first ones; all is one of the values.

    children : positions of consecutive children among which that holds, where it is not all of them
    """

    values: tuple[int, ...]
    children: range | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _ascending(self, self.values))
        if self.values[0] < 1 or (self.children is not None and (self.children.step != 1 or not self.children)):
            raise SupernetError(f"{self}: at least one child is kept, and the children are consecutive.")


@dataclass(frozen=True)
class Kernel:
    """Sides of a convolution's kernel: the centre of the stored one, which is the largest; the padding follows."""

    values: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _ascending(self, self.values))
        if self.values[0] < 1:
            raise SupernetError(f"{self}: a kernel has a side of at least 1.")


Declared = Width | Depth | Kernel
#: name of a module, or a pattern → what may vary in it
Declaration = Mapping[str, Declared | Sequence[Declared]]

KINDS: dict[type[Declared], tuple[type[nn.Module], ...]] = {
    Width: (nn.Conv2d, nn.Linear),
    Depth: (nn.Sequential, nn.ModuleList),
    Kernel: (nn.Conv2d,),
}
#: conditions (gene, index of its first value for which the module is there), from the outermost
Gate = tuple[tuple[str, int], ...]


def elastic(
    model: nn.Module,
    declaration: Declaration,
    *,
    input_shape: tuple[int, ...] = (3, 224, 224),
    name: str | None = None,
    resolutions: Sequence[int] | None = None,
) -> ElasticModule:
    """A supernet of which `model` is the largest subnet.

    model : any network of one input (N, *input_shape) that torch.fx can trace; it is copied, not changed
    declaration : names of modules → `Width`, `Depth` or `Kernel`, or several of them. In names, each part between
        dots may have shell wildcards (``layer*.*.conv1``), and ``**`` stands for any number of parts
    name : of the search space; the model's class where none is given
    resolutions : sides of square images among which gene ``r`` chooses; None: the side is no choice

    Genes are ``r``, ``depth[module]``, ``kernel[module]`` and ``width[module]``; of several modules whose widths are
    tied, the first declared one gives the name. Raises `SupernetError` for a declaration that fits no module or
    cannot be carried out, with the module and the reason.
    """
    return ElasticModule(model, declaration, input_shape=input_shape, name=name, resolutions=resolutions)


@dataclass(frozen=True)
class _Span:
    """Children of a container of which the first are kept. first, last : positions, both included"""

    path: str
    first: int
    last: int
    values: tuple[int, ...]
    names: tuple[str, ...]

    @property
    def label(self) -> str:
        """The container's name, with the positions where it is not all children."""
        path = self.path or "network"
        return path if len(self.names) == self.last + 1 - self.first else f"{path}.{self.first}-{self.last}"

    @property
    def gene(self) -> str:
        return f"depth[{self.label}]"

    def child(self, position: int) -> str:
        return f"{self.path}.{self.names[position]}".removeprefix(".")

    def kept(self, depth: int) -> tuple[int, ...]:
        """Positions of all children of the container that stay."""
        return tuple(i for i in range(len(self.names)) if not self.first + depth <= i <= self.last)


@dataclass
class _Costs:
    """Sums of terms: gate and factors (genes) → the amount a unit of each factor, one number for each resolution."""

    terms: dict[tuple[Gate, tuple[str, ...]], FloatArray] = field(default_factory=dict)

    def add(self, gate: Gate, factors: tuple[str, ...], amount: Any) -> None:
        key = (gate[-1:], tuple(sorted(factors)))
        self.terms[key] = self.terms.get(key, 0.0) + np.atleast_1d(np.asarray(amount, np.float64))


class ElasticModule(Supernet):
    """A weight-sharing supernet of a declared network; see `elastic`. Its state dict has the network's own names."""

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
        found = trace(model, shapes)
        self.classes = found.output[1]
        modules = dict(model.named_modules())
        matched = list(_matches(modules, declaration))
        self._spans = _spans(found, modules, matched)
        self._kernels = _kernels(found, modules, matched)
        self._widths, self._counts = _widths(found, modules, matched)  # axis → gene, gene → {share: channels}
        self._axes = {
            n: (self._widths.get(found.root(i)), self._widths.get(found.root(o))) for n, (i, o) in found.axes.items()
        }
        self._layers: dict[str, ElasticLayer] = {}
        self._containers: dict[str, ElasticSequential | ElasticModuleList] = {}
        self._full_inputs = {n: found.size(i) for n, (i, _) in found.axes.items()}
        self.model = self._elastic_copy(model, modules)
        self.register_state_dict_post_hook(_without_prefix)
        self.register_load_state_dict_pre_hook(_with_prefix)
        self._check_names(model)
        self.space = self._search_space(name or type(model).__name__.lower(), modules)
        self._tabulate(found)
        self._check_smallest(shapes)

    # ------------------------------------------------------------------ building
    def _elastic_copy(self, model: nn.Module, modules: Mapping[str, nn.Module]) -> nn.Module:
        """A copy of the model in which elastic layers and containers have taken the place of plain ones."""
        memo: dict[int, Any] = {}
        for name, axes in self._axes.items():
            if any(axes) or name in self._kernels:
                layer = ELASTIC[type(modules[name])](copy.deepcopy(modules[name]))  # type: ignore[arg-type]
                memo[id(modules[name])] = self._layers[name] = layer
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
        """What is cut has one name: a weight that stands in two places would be cut in one of them."""
        first: dict[int, str] = {}
        for name, parameter in model.named_parameters(remove_duplicate=False):
            other = first.setdefault(id(parameter), name)
            cut = {_owner(other), _owner(name)} & set(self._layers)
            if other != name and (cut or self._gate(other) != self._gate(name)):
                raise SupernetError(f"{other!r} and {name!r} are one weight, which cannot be cut in one place only.")

    def _gate(self, name: str) -> Gate:
        """The conditions under which the module or weight of that name is there."""
        conditions = []
        for span in self._spans:
            for position in range(span.first, span.last + 1):
                if _inside(name, span.child(position)):
                    index = sum(v <= position - span.first for v in span.values)
                    conditions += [(span.gene, index)] * (index > 0)
        return tuple(conditions)

    def _search_space(self, name: str, modules: Mapping[str, nn.Module]) -> SearchSpace:
        choices = [Choice("r", self.sides)] if self.sides else []

        def add(gene: str, values: tuple[Any, ...], gate: Gate) -> None:
            when = None
            if gate:
                decides = next(c for c in choices if c.name == gate[-1][0])
                when = When(decides.name, decides.values[gate[-1][1] :])
            choices.append(Choice(gene, values, when))

        for span in self._spans:
            add(span.gene, span.values, self._gate(span.path))
        for layer, kernels in self._kernels.items():
            add(f"kernel[{layer}]", kernels, self._gate(layer))
        for gene, counts in self._counts.items():
            makers = [n for n, (_, out) in self._axes.items() if out == gene and _begins(modules[n])]
            add(gene, tuple(counts), _weakest({n: self._gate(n) for n in makers}, gene))
        if not choices:
            raise SupernetError("the declaration is empty and there are no resolutions: nothing may vary.")
        return SearchSpace(name, choices)

    def _tabulate(self, found: Trace) -> None:
        """The costs as sums of products, so that no architecture needs a forward pass."""
        self._amounts = {g: np.array(list(c.values()), np.float64) for g, c in self._counts.items()}
        self._amounts |= {f"kernel[{n}]": np.array(k, np.float64) ** 2 for n, k in self._kernels.items()}
        whole = lambda factors: math.prod(float(self._amounts[f][-1]) for f in factors)  # noqa: E731
        self._macs: dict[str, _Costs] = {}
        self._activations: dict[str, _Costs] = {}
        self._params = _Costs()
        for call in found.calls:
            stage, gate, layer = self._stage(call.scope), self._gate(call.scope), self._layers.get(call.layer)
            factors = self._factors(call.layer, layer.axes["weight"]) if layer else ()
            out = tuple(g for g in (self._axes[call.layer][1],) if g) if layer else ()
            macs, acts = np.array(call.macs[::-1]), np.array(call.outputs[::-1])
            self._macs.setdefault(stage, _Costs()).add(gate, factors, macs / whole(factors))
            self._activations.setdefault(stage, _Costs()).add(gate, out, acts / whole(out))
        for name, parameter in self.model.named_parameters():
            owner, _, tensor = name.rpartition(".")
            factors = self._factors(owner, self._layers[owner].axes[tensor]) if owner in self._layers else ()
            self._params.add(self._gate(name), factors, parameter.numel() / whole(factors))

    def _factors(self, layer: str, roles: tuple[str | None, ...]) -> tuple[str, ...]:
        """The genes that a tensor's size is proportional to."""
        ins, out = self._axes[layer]
        genes = [ins if role == "in" else out for role in roles if role]
        kernel = [f"kernel[{layer}]"] if layer in self._kernels and len(roles) > 1 else []
        return tuple(g for g in (*genes, *kernel) if g)

    def _stage(self, scope: str) -> str:
        """Where costs are summed by stage: the outermost declared depth, or the network's child."""
        for span in self._spans:
            if any(_inside(scope, span.child(p)) for p in range(span.first, span.last + 1)):
                return span.label
        return scope.partition(".")[0] or "forward"

    def _check_smallest(self, shapes: Sequence[Sequence[int]]) -> None:
        """Run the smallest subnet without storage: the model's own code may count on what was cut."""
        self.activate(self.space.smallest())
        net = on_meta(self.model)
        self.activate(self.space.largest())
        for shape in (shapes[0], shapes[-1]):
            try:
                with torch.no_grad():
                    output = net(torch.empty(1, *shape, device="meta"))
            except Exception as error:  # whatever torch or the model's own code raises
                raise SupernetError(f"the smallest subnet does not run on {tuple(shape)}: {error}") from error
            if output.ndim < 2 or output.shape[1] != self.classes:
                raise SupernetError(f"the smallest subnet gives {tuple(output.shape)}, not {self.classes} classes.")

    # ------------------------------------------------------------------ the contract of a supernet
    def input_shape(self, arch: Architecture) -> tuple[int, ...]:
        if not self.sides:
            return self._shape
        side = arch.integer("r")
        return (self._shape[0], side, side)

    def _genes(self, arch: Architecture) -> dict[str, Any]:
        """All genes of `arch`; inactive ones at their largest value."""
        if arch.space_name != self.space.name:
            raise SpaceError(f"architecture {arch.id} is of space {arch.space_name!r}, not {self.space.name!r}.")
        return {c.name: arch[c.name] if c.name in arch else c.values[-1] for c in self.space.choices}

    def _chosen(self, name: str, genes: Mapping[str, Any]) -> dict[str, int]:
        """Outputs in use and crop of an elastic layer."""
        layer, out, chosen = self._layers[name], self._axes[name][1], {}
        if out and _begins(layer):
            chosen["outputs"] = self._counts[out][genes[out]]
        if name in self._kernels:
            chosen["crop"] = (layer.kernel_size[0] - genes[f"kernel[{name}]"]) // 2  # type: ignore[union-attr, operator, index]
        return chosen

    def _kept(self, path: str, genes: Mapping[str, Any]) -> tuple[int, ...]:
        """Positions of the children of a container that stay."""
        spans = [s for s in self._spans if s.path == path]
        return tuple(sorted(set.intersection(*(set(s.kept(genes[s.gene])) for s in spans))))

    def activate(self, arch: Architecture) -> None:
        genes = self._genes(arch)
        for name, layer in self._layers.items():
            for attribute, value in self._chosen(name, genes).items():
                setattr(layer, attribute, value)
        for path, container in self._containers.items():
            container.kept = self._kept(path, genes)

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.model(*inputs)  # type: ignore[no-any-return]

    def subnet(self, arch: Architecture) -> nn.Module:
        genes = self._genes(arch)
        memo: dict[int, Any] = {}
        for name, layer in self._layers.items():
            ins = self._axes[name][0]
            inputs = self._counts[ins][genes[ins]] if ins else self._full_inputs[name]
            memo[id(layer)] = layer.static(inputs, **self._chosen(name, genes))
        kept = {path: self._kept(path, genes) for path in self._containers}
        for path, container in self._containers.items():
            for i, child in enumerate(container._modules.values()):
                if i not in kept[path]:
                    memo[id(child)] = nn.Identity()
        net = copy.deepcopy(self.model, memo)
        stay = {id(memo[id(c)]): kept[path] for path, c in self._containers.items() if id(c) in memo}
        return _swapped(net, lambda m: m.static(stay[id(m)]) if id(m) in stay else m)  # type: ignore[operator]

    def sort_channels(self) -> None:
        """Put the channels of every elastic width in order of importance; the largest subnet computes the same.

        See `hwsearch.supernets.elastic.sort_by_importance`. For weights that were trained without weight sharing:
        slices of a trained supernet already are what they were trained to be.
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
                if isinstance(layer, ElasticGroupNorm) and out == gene:
                    block = math.lcm(block, layer.group_size)
            if consumers:
                sort_by_importance(slots, consumers, block)

    # ------------------------------------------------------------------ costs, vectorised
    def _sum(self, costs: _Costs, rows: IntArray) -> FloatArray:
        """The sum of all terms for canonical rows (n, genes)."""
        column = {n: rows[:, i] for i, n in enumerate(self.space.names)}
        total = np.zeros(len(rows))
        for (gate, factors), amount in costs.terms.items():
            term = amount[column["r"]] if len(amount) > 1 else amount
            for gene in factors:
                term = term * self._amounts[gene][column[gene]]
            total += np.where(column[gate[0][0]] >= gate[0][1], term, 0.0) if gate else term
        return total

    def macs_array(self, rows: IntArray) -> FloatArray:
        rows = self.space.canonical(rows)
        return sum((self._sum(c, rows) for c in self._macs.values()), np.zeros(len(rows)))

    def params_array(self, rows: IntArray) -> FloatArray:
        return self._sum(self._params, self.space.canonical(rows))

    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        rows = self.space.canonical(rows)
        out: dict[str, FloatArray] = {"params": self._sum(self._params, rows)}
        for kind, table in (("macs", self._macs), ("activations", self._activations)):
            stages = {f"{kind}_{stage}": self._sum(costs, rows) for stage, costs in table.items()}
            out |= {kind: sum(stages.values(), np.zeros(len(rows))), **stages}
        return out | {f"log_{k}": np.log(out[k]) for k in ("macs", "params", "activations")}


# ---------------------------------------------------------------------- what a declaration means for one network
Matched = tuple[str, Declared]


def _matches(modules: Mapping[str, nn.Module], declaration: Declaration) -> Iterator[Matched]:
    """(module, what may vary in it), in the order of the network's modules."""
    matched: list[Matched] = []
    for pattern, declared in declaration.items():
        names = [n for n in modules if _fits(pattern.split("."), n.split("."))]
        if not names:
            raise SupernetError(f"the network has no module {pattern!r}.", hint=nearest(pattern, filter(None, modules)))
        for choice in [declared] if isinstance(declared, (Width, Depth, Kernel)) else declared:
            kinds = KINDS.get(type(choice))
            if kinds is None:
                raise SupernetError(f"{pattern!r}: {choice!r} is none of Width, Depth, Kernel.")
            fitting = [n for n in names if isinstance(modules[n], kinds)]
            if not fitting:
                raise SupernetError(
                    f"{pattern!r} is {names[0]!r}, of type {type(modules[names[0]]).__name__}, but "
                    f"{type(choice).__name__} is for {' and '.join(k.__name__ for k in kinds)}."
                )
            matched += [(n, choice) for n in fitting]
    order = list(modules)
    return iter(sorted(matched, key=lambda m: order.index(m[0])))


def _fits(pattern: Sequence[str], name: Sequence[str]) -> bool:
    if not pattern or not name:
        return not name and all(p == "**" for p in pattern)
    if pattern[0] == "**":
        return _fits(pattern[1:], name) or _fits(pattern, name[1:])
    return fnmatchcase(name[0], pattern[0]) and _fits(pattern[1:], name[1:])


def _spans(found: Trace, modules: Mapping[str, nn.Module], matched: Sequence[Matched]) -> list[_Span]:
    """The declared depths, outer ones first; the outputs between which they choose become tied."""
    spans: list[_Span] = []
    for path, choice in matched:
        if not isinstance(choice, Depth):
            continue
        container, names = modules[path], tuple(modules[path]._modules)
        if isinstance(container, nn.Sequential) and type(container).forward is not nn.Sequential.forward:
            raise SupernetError(f"{path!r}, of type {type(container).__name__}, has a forward of its own.")
        children = choice.children if choice.children is not None else range(len(names))
        if not children or children[0] < 0 or children[-1] >= len(names):
            raise SupernetError(f"{path!r} has {len(names)} children, not those at {children}.")
        span = _Span(path, children[0], children[-1], choice.values, names)
        if choice.values[-1] != len(children):
            raise SupernetError(
                f"{span.label!r}: the largest depth is {choice.values[-1]}, but there are {len(children)} children.",
                hint="The largest subnet is the whole network.",
            )
        if span in spans:
            continue
        for other in spans:
            if other.path == path and other.first <= span.last and span.first <= other.last:
                raise SupernetError(f"{other.label!r} and {span.label!r} are depths declared for the same children.")
        _check_chain(found, span)
        spans.append(span)
    return sorted(spans, key=lambda s: (s.path.count("."), list(modules).index(s.path), s.first))


def _check_chain(found: Trace, span: _Span) -> None:
    """Each child that may go takes the output of the one before, which nothing else uses and which has its shape."""
    outputs: dict[int, Any] = {}
    for i in range(span.first + span.values[0] - 1, span.last + 1):
        child, calls = span.child(i), found.children.get(span.child(i), [])
        if len(calls) != 1:
            raise SupernetError(
                f"{span.label!r} cannot vary in depth: {child!r} is called {len(calls)} times, not once."
            )
        source, outputs[i] = calls[0]
        before = outputs.get(i - 1)
        if before is not None and (
            source is not before or any(not _inside(found.scopes[u], child) for u in before.users)
        ):
            raise SupernetError(
                f"{span.label!r} cannot vary in depth: {child!r} is not the only one that takes the output of "
                f"{span.child(i - 1)!r}."
            )
    last = outputs[span.last]
    for depth in span.values[:-1]:
        node = outputs[span.first + depth - 1]
        if node not in found.dims or last not in found.dims or found.shapes[node] != found.shapes[last]:
            raise SupernetError(
                f"{span.label!r} cannot vary in depth: after {depth} children the output is {found.shapes.get(node)}, "
                f"after all of them {found.shapes.get(last)}."
            )
        for a, b in zip(found.dims[node], found.dims[last], strict=True):
            found.tie(a, b)


def _kernels(found: Trace, modules: Mapping[str, nn.Module], matched: Sequence[Matched]) -> dict[str, tuple[int, ...]]:
    """Convolution → sides of its kernel."""
    kernels: dict[str, tuple[int, ...]] = {}
    for name, choice in matched:
        if not isinstance(choice, Kernel):
            continue
        conv = _called(found, modules, name)
        assert isinstance(conv, nn.Conv2d)
        stored, values = conv.kernel_size, choice.values
        if kernels.setdefault(name, values) != values:
            raise SupernetError(f"{name!r} has two different declarations, kernels {kernels[name]} and {values}.")
        if values[-1] != stored[0] or stored[0] != stored[1]:
            raise SupernetError(
                f"{name!r} has a kernel of {stored[0]}×{stored[1]}, but the largest declared is {values[-1]}×{values[-1]}.",
                hint="The largest subnet is the whole network.",
            )
        odd = [v for v in values if (stored[0] - v) % 2]
        if odd:
            raise SupernetError(f"{name!r}: a kernel of {odd[0]} is not the centre of one of {stored[0]}.")
        if conv.padding_mode != "zeros":
            raise SupernetError(f"{name!r} pads by {conv.padding_mode!r}, and its padding cannot follow the kernel.")
        crop = (stored[0] - values[0]) // 2
        short = isinstance(conv.padding, str) or any(
            p < crop * d for p, d in zip(conv.padding, conv.dilation, strict=True)
        )
        if crop and short and conv.padding != "same":
            raise SupernetError(
                f"{name!r}: a kernel of {values[0]} would change the output's size at padding {conv.padding}."
            )
    return kernels


def _widths(
    found: Trace, modules: Mapping[str, nn.Module], matched: Sequence[Matched]
) -> tuple[dict[int, str], dict[str, dict[float, int]]]:
    """Root of a tied axis → gene; gene → {share: channels}."""
    genes: dict[int, str] = {}
    counts: dict[str, dict[float, int]] = {}
    first: dict[int, tuple[str, Width]] = {}
    for name, choice in matched:
        if not isinstance(choice, Width):
            continue
        _called(found, modules, name)
        axis = found.root(found.axes[name][1])
        if (reason := found.reason(axis)) is not None:
            raise SupernetError(f"{name!r} cannot have an elastic width: {reason}.")
        other, earlier = first.setdefault(axis, (name, choice))
        if earlier != choice:
            raise SupernetError(
                f"{other!r} and {name!r} share one width, but are declared as {earlier} and {choice}.",
                hint="Declare one of them, or both alike.",
            )
        if other == name:
            genes[axis] = f"width[{name}]"
            counts[genes[axis]] = choice.choices(found.size(axis))
            _check_groups(found, modules, name, counts[genes[axis]])
    return genes, counts


def _check_groups(found: Trace, modules: Mapping[str, nn.Module], name: str, counts: Mapping[float, int]) -> None:
    for norm, (_, axis) in found.axes.items():
        module = modules[norm]
        if isinstance(module, nn.GroupNorm) and found.root(axis) == found.root(found.axes[name][1]):
            size = module.num_channels // module.num_groups
            odd = [n for n in counts.values() if n % size]
            if odd:
                raise SupernetError(
                    f"{name!r} cannot have {odd[0]} channels: {norm!r} normalises groups of {size}.",
                    hint=f"Give Width a divisor that is a multiple of {size}.",
                )


def _called(found: Trace, modules: Mapping[str, nn.Module], name: str) -> nn.Module:
    if name not in found.axes:
        kind = f"{type(modules[name]).__module__}.{type(modules[name]).__name__}"
        raise SupernetError(f"{name!r} ({kind}) is no plain layer of torch.nn that the network's forward calls.")
    return modules[name]


def _begins(module: nn.Module) -> bool:
    """Whether a layer's output width is its own, not that of its input."""
    return isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and not is_depthwise(module))


def _weakest(gates: Mapping[str, Gate], gene: str) -> Gate:
    """The condition that holds whenever one of the layers is there."""
    for gate in gates.values():
        if all(all(any(g == h and k >= j for h, k in other) for g, j in gate) for other in gates.values()):
            return gate
    raise SupernetError(
        f"{gene!r} is the width of {', '.join(map(repr, gates))}, which depend on different depths.",
        hint="Keep one of them at every depth.",
    )


def _inside(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def _owner(parameter: str) -> str:
    return parameter.rpartition(".")[0]


def _ascending(declared: Declared, values: Sequence[Any]) -> tuple[Any, ...]:
    if not values:
        raise SupernetError(f"{type(declared).__name__} has no values.")
    return tuple(sorted(set(values)))


def _swapped(module: nn.Module, swap: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """`module` after `swap` of all its modules, children first."""
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
