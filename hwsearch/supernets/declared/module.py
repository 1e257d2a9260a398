"""Any network as a supernet: its own module stays as it is, a short declaration says what may vary.

    net = elastic(
        resnet18,
        {"layer*.*.conv1": Width((0.25, 0.5, 1.0)), "layer[34]": Depth((1, 2))},
        input_shape=(3, 32, 32),
        resolutions=(24, 32),
        name="my-resnet18",
    )

A width is shared by everything that is tied to it (residual adds, norms, depth-wise convolutions, gates); what is
tied is found in a torch.fx trace (`hwsearch.supernets.declared.channel_groups`). The slices are those of Once-for-All (Cai, Gan, Wang,
Zhang, Han, 2020, arXiv 1908.09791) and slimmable networks (Yu et al., 2019, arXiv 1812.08928): the first channels,
the first blocks, the centre of the kernel. For campaigns, `SupernetEntry(name=…, build=lambda: elastic(…), …)` of
`hwsearch.supernets.catalogue` takes it like any other supernet.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SpaceError, SupernetError
from hwsearch.spaces import Architecture, Choice, SearchSpace, When
from hwsearch.supernets.base import Supernet, with_logs
from hwsearch.supernets.declared.channel_groups import Trace, on_meta, trace
from hwsearch.supernets.declared.declaration import (
    Declaration,
    Depth,
    Gate,
    Kernel,
    Width,
    begins,
    depths,
    gate,
    inside,
    kernels,
    matches,
    weakest,
    widths,
)
from hwsearch.supernets.layers.containers import ElasticModuleList, ElasticSequential
from hwsearch.supernets.layers.ordering import sort_by_importance
from hwsearch.supernets.layers.wrapped import ELASTIC, ElasticGroupNorm, ElasticLayer
from hwsearch.supernets.seeded import seeded_weights

__all__ = ["Declaration", "Depth", "ElasticModule", "Kernel", "Width", "elastic"]


def elastic(
    model: nn.Module,
    declaration: Declaration,
    *,
    input_shape: tuple[int, ...] = (3, 224, 224),
    name: str | None = None,
    resolutions: Sequence[int] | None = None,
) -> ElasticModule:
    """A supernet of which `model` is the largest subnet.

    model : any network of one input that torch.fx can trace; it is copied, not changed
    declaration : names of modules → `Width`, `Depth` or `Kernel`, or several of them. In names, each part between
        dots may have shell wildcards (``layer*.*.conv1``), and ``**`` stands for any number of parts
    input_shape : of one input, without the batch axis; where `resolutions` are given only its channels count
    name : of the search space; the model's class where none is given
    resolutions : sides of square images among which gene ``r`` chooses; None: the side is no choice

    Genes are ``r``, ``depth[module]``, ``kernel[module]`` and ``width[module]``; of several modules whose widths are
    tied, the first declared one gives the name. Raises `SupernetError` for a declaration that fits no module or
    cannot be carried out, with the module and the reason.
    """
    kinds = sorted({str(p.dtype).removeprefix("torch.") for p in model.parameters()} - {"float32"})
    if kinds:
        raise SupernetError(
            f"{name or type(model).__name__!r} has weights of type {', '.join(kinds)}.", hint="Give it in float32."
        )
    net = ElasticModule(model, declaration, input_shape=input_shape, name=name, resolutions=resolutions)
    _prove(net, model)
    return net


def _prove(net: ElasticModule, model: nn.Module) -> None:
    """Run the supernet on random weights and inputs, and refuse it where it is not what it should be.

    What a network's code does with a layer besides calling it (reading its weight or its sizes, keeping it in a list of
    its own, hooks) is not in the trace; here it shows. The largest subnet must be the given network, also with sorted
    channels; activated supernet and extracted subnet must agree; the smallest must run in training mode.
    """
    if any(v.is_meta for v in (*model.parameters(), *model.buffers())):
        return
    probe, plain = copy.deepcopy(net).eval(), copy.deepcopy(model).eval()
    state = seeded_weights(probe.state_dict())
    probe.load_state_dict(state)
    plain.load_state_dict({k: v for k, v in state.items() if k in plain.state_dict()})
    space = net.space
    ends = (space.largest(), space.smallest())
    x = {a: torch.randn(2, *net.input_shape(a), generator=torch.Generator().manual_seed(0)) for a in ends}
    rest = space.sample(3, np.random.default_rng(0), exclude=ends)
    with torch.no_grad():
        for arch in (*ends, *rest):
            inputs = x.get(arch, torch.randn(2, *net.input_shape(arch), generator=torch.Generator().manual_seed(1)))
            probe.activate(arch)
            try:
                active, cut = probe(inputs), probe.subnet(arch).eval()(inputs)
            except Exception as error:  # whatever torch or the model's own code raises
                raise SupernetError(f"subnet {arch.to_dict()} does not run: {error}") from error
            _same(active, cut, f"the activated supernet and the extracted subnet {arch.to_dict()}")
        expected = plain(x[ends[0]])
        _same(probe.subnet(ends[0]).eval()(x[ends[0]]), expected, "the largest subnet and the given network")
        probe.sort_channels()
        _same(probe.subnet(ends[0]).eval()(x[ends[0]]), expected, "the largest subnet with sorted channels and without")
        probe.activate(ends[1])
        try:
            probe.train()(x[ends[1]])
        except Exception as error:  # as above
            raise SupernetError(f"the smallest subnet does not run in training mode: {error}") from error


def _same(a: Tensor, b: Tensor, what: str) -> None:
    scale = max(float(b.abs().max()), 1e-6)
    difference = float((a - b).abs().max()) / scale
    if not difference <= 1e-3:
        raise SupernetError(
            f"{what} differ by {difference:.2g} of the largest output.",
            hint="The network's code reads weights or sizes of a layer that is cut, reaches layers by a list or dict of "
            "its own, or has hooks: leave such layers out of the declaration.",
        )


@dataclass
class _Costs:
    """A sum of products: (condition, genes) → what to multiply the genes' amounts with, a number for each resolution.

    Of the conditions the innermost is enough: its gene is active only where the outer ones hold.
    """

    terms: dict[tuple[Gate, tuple[str, ...]], FloatArray] = field(default_factory=dict)

    def add(self, when: Gate, factors: tuple[str, ...], amount: Any) -> None:
        key = (when[-1:], tuple(sorted(factors)))
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
        matched = matches(modules, declaration)
        self._spans = depths(found, modules, matched)
        self._kernels = kernels(found, modules, matched)
        genes, self._counts = widths(found, modules, matched)
        #: layer → (gene of its input width, gene of its output width), None where it is not elastic
        self._axes = {n: (genes.get(found.root(i)), genes.get(found.root(o))) for n, (i, o) in found.axes.items()}
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
            if other != name and (cut or gate(self._spans, other) != gate(self._spans, name)):
                raise SupernetError(f"{other!r} and {name!r} are one weight, which cannot be cut in one place only.")

    def _search_space(self, name: str, modules: Mapping[str, nn.Module]) -> SearchSpace:
        choices = [Choice("r", self.sides)] if self.sides else []

        def add(gene: str, values: tuple[Any, ...], conditions: Gate) -> None:
            when = None
            if conditions:
                parent, index = conditions[-1]
                when = When(parent, next(c for c in choices if c.name == parent).values[index:])
            choices.append(Choice(gene, values, when))

        for span in self._spans:
            add(span.gene, span.values, gate(self._spans, span.path))
        for layer, sides in self._kernels.items():
            add(f"kernel[{layer}]", sides, gate(self._spans, layer))
        for gene, counts in self._counts.items():
            makers = [n for n, (_, out) in self._axes.items() if out == gene and begins(modules[n])]
            add(gene, tuple(counts), weakest({n: gate(self._spans, n) for n in makers}, gene))
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
            stage, when, layer = self._stage(call.scope), gate(self._spans, call.scope), self._layers.get(call.layer)
            factors = self._factors(call.layer, layer.axes["weight"]) if layer else ()
            out = tuple(g for g in (self._axes[call.layer][1],) if g) if layer else ()
            macs, acts = np.array(call.macs[::-1]), np.array(call.outputs[::-1])
            self._macs.setdefault(stage, _Costs()).add(when, factors, macs / whole(factors))
            self._activations.setdefault(stage, _Costs()).add(when, out, acts / whole(out))
        for name, parameter in self.model.named_parameters():
            owner, _, tensor = name.rpartition(".")
            factors = self._factors(owner, self._layers[owner].axes[tensor]) if owner in self._layers else ()
            self._params.add(gate(self._spans, name), factors, parameter.numel() / whole(factors))

    def _factors(self, layer: str, roles: tuple[str | None, ...]) -> tuple[str, ...]:
        """The genes that a tensor's size is proportional to."""
        ins, out = self._axes[layer]
        genes = [ins if role == "in" else out for role in roles if role]
        kernel = [f"kernel[{layer}]"] if layer in self._kernels and len(roles) > 1 else []
        return tuple(g for g in (*genes, *kernel) if g)

    def _stage(self, scope: str) -> str:
        """Where costs are summed by stage: the outermost declared depth, or the network's child."""
        for span in self._spans:
            if any(inside(scope, span.child(p)) for p in range(span.first, span.last + 1)):
                return span.label
        return scope.partition(".")[0] or "forward"

    def _check_smallest(self, shapes: Sequence[Sequence[int]]) -> None:
        """Run the smallest subnet without storage, cut out and not: the model's own code may count on what was cut."""
        whole, smallest = on_meta(self), self.space.smallest()
        whole.activate(smallest)
        try:
            nets = (whole, whole.subnet(smallest))
        except Exception as error:  # whatever torch or the model's own code raises
            raise SupernetError(f"the smallest subnet cannot be extracted: {error}") from error
        for net, shape in itertools.product(nets, {tuple(shapes[0]), tuple(shapes[-1])}):
            try:
                with torch.no_grad():
                    output = net(torch.empty(1, *shape, device="meta"))
            except Exception as error:  # whatever torch or the model's own code raises
                raise SupernetError(f"the smallest subnet does not run on {shape}: {error}") from error
            if output.ndim < 2 or output.shape[1] != self.classes:
                raise SupernetError(f"the smallest subnet gives {tuple(output.shape)}, not {self.classes} classes.")

    # ------------------------------------------------------------------ the contract of a supernet
    def input_shape(self, arch: Architecture) -> tuple[int, ...]:
        if not self.sides:
            return self._shape
        side = arch.integer("r")
        return (self._shape[0], side, side)

    def structure(self) -> str:
        """The traced program of the largest and of the smallest subnet, and the choices."""
        subnets = [self.subnet(a) for a in (self.space.largest(), self.space.smallest())]
        programs = [f"{fx.symbolic_trace(s).code}{s!r}" for s in subnets]
        return "\n".join([*programs, self.space.to_json()])

    def _genes(self, arch: Architecture) -> dict[str, Any]:
        """All genes of `arch`; inactive ones at their largest value."""
        if arch.space_name != self.space.name or not set(arch) <= set(self.space.names):
            raise SpaceError(f"architecture {arch.id} is of space {arch.space_name!r}, not {self.space.name!r}.")
        return {c.name: arch[c.name] if c.name in arch else c.values[-1] for c in self.space.choices}

    def _chosen(self, name: str, genes: Mapping[str, Any]) -> dict[str, int]:
        """Outputs in use and crop of an elastic layer."""
        layer, out, chosen = self._layers[name], self._axes[name][1], {}
        if out and begins(layer):
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
        copies = (
            (path, memo.get(id(c))) for path, c in self._containers.items()
        )  # None or an identity: in what is cut
        stay = {id(c): kept[path] for path, c in copies if isinstance(c, (ElasticSequential, ElasticModuleList))}
        return _swapped(net, lambda m: m.static(stay[id(m)]) if id(m) in stay else m)  # type: ignore[operator]

    def sort_channels(self) -> None:
        """Put the channels of every elastic width in order of importance; the largest subnet computes the same.

        See `hwsearch.supernets.layers.ordering.sort_by_importance`. For weights that were trained without weight sharing:
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
        for (when, factors), amount in costs.terms.items():
            term = amount[column["r"]] if len(amount) > 1 else amount
            for gene in factors:
                term = term * self._amounts[gene][column[gene]]
            total += np.where(column[when[0][0]] >= when[0][1], term, 0.0) if when else term
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
        return with_logs(out)


def _owner(parameter: str) -> str:
    return parameter.rpartition(".")[0]


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
