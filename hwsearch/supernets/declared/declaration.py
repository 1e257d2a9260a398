"""What may vary in a network, declared by the names of its modules, and what a declaration means for one network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from hwsearch.errors import SupernetError, nearest
from hwsearch.supernets.declared.channel_groups import Trace, computed, is_computed
from hwsearch.supernets.layers.naming import make_divisible
from hwsearch.supernets.layers.wrapped import is_depthwise


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
        some = self.children
        if self.values[0] < 1 or (some is not None and not (isinstance(some, range) and some and some.step == 1)):
            raise SupernetError(f"{self}: at least one child is kept, and the children are a range without gaps.")


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


def _ascending(declared: Declared, values: Any) -> tuple[Any, ...]:
    """The distinct values in order; `SupernetError` where they are not numbers (whole ones, but for shares)."""
    kind: Any = (int, float) if isinstance(declared, Width) else int
    if not isinstance(values, Iterable) or not (found := list(values)) or not all(isinstance(v, kind) for v in found):
        numbers = "numbers" if isinstance(declared, Width) else "whole numbers"
        raise SupernetError(f"{type(declared).__name__} takes one or more {numbers}, not {values!r}.")
    return tuple(sorted(set(found)))


# ---------------------------------------------------------------------- what it means for one network
Matched = tuple[str, Declared]


@dataclass(frozen=True)
class Span:
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


def matches(modules: Mapping[str, nn.Module], declaration: Declaration) -> list[Matched]:
    """(module, what may vary in it), in the order of the network's modules."""
    matched: list[Matched] = []
    for pattern, declared in declaration.items():
        names = [n for n in modules if _fits(pattern.split("."), n.split("."))]
        if not names:
            raise SupernetError(f"the network has no module {pattern!r}.", hint=nearest(pattern, filter(None, modules)))
        for choice in declared if isinstance(declared, (tuple, list)) else (declared,):
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
    return sorted(matched, key=lambda m: order.index(m[0]))


def _fits(pattern: Sequence[str], name: Sequence[str]) -> bool:
    if not pattern or not name:
        return not name and all(p == "**" for p in pattern)
    if pattern[0] == "**":
        return _fits(pattern[1:], name) or _fits(pattern, name[1:])
    return fnmatchcase(name[0], pattern[0]) and _fits(pattern[1:], name[1:])


def depths(found: Trace, modules: Mapping[str, nn.Module], matched: Sequence[Matched]) -> list[Span]:
    """The declared depths, outer ones first; the outputs between which they choose become tied."""
    spans: list[Span] = []
    for path, choice in matched:
        if not isinstance(choice, Depth):
            continue
        container, names = modules[path], tuple(modules[path]._modules)
        if isinstance(container, nn.Sequential) and type(container).forward is not nn.Sequential.forward:
            raise SupernetError(f"{path!r}, of type {type(container).__name__}, has a forward of its own.")
        children = choice.children if choice.children is not None else range(len(names))
        if not children or children[0] < 0 or children[-1] >= len(names):
            raise SupernetError(f"{path!r} has {len(names)} children, not those at {children}.")
        span = Span(path, children[0], children[-1], choice.values, names)
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
    return sorted(spans, key=lambda s: (list(modules).index(s.path), s.first))


def _check_chain(found: Trace, span: Span) -> None:
    """Each child that may go takes what the one before gives, which nothing else uses and which has its shape.

    Between children of which a loop calls one after the other may stand what the loop does to each child's output: it
    goes with the child. Operations on single elements, residual adds among them, leave the width and cost nothing.
    """
    sources: dict[int, Any] = {}
    outputs: dict[int, Any] = {}
    steps: dict[int, list[Any]] = {}
    for i in range(span.first + span.values[0] - 1, span.last + 1):
        child, calls = span.child(i), found.children.get(span.child(i), [])
        if len(calls) != 1:
            raise SupernetError(
                f"{span.label!r} cannot vary in depth: {child!r} is called {len(calls)} times, not once."
            )
        sources[i], outputs[i] = calls[0]
        steps[i] = _after(found, span, sources[i], outputs[i])
    for i in list(steps)[1:]:
        before, child = span.child(i - 1), span.child(i)
        if outputs[i - 1] is None:  # no tensor: refused below for its shape
            continue
        if sources[i] not in (outputs[i - 1], *steps[i - 1]):
            raise SupernetError(
                f"{span.label!r} cannot vary in depth: {child!r} does not take the output of {before!r}, or between them "
                "stands more than element-wise operations that keep the shape.",
                hint="Move what stands between the children into them.",
            )
        for node in (outputs[i - 1], *steps[i - 1]):
            own = [*steps[i - 1], *(steps[i] if node is sources[i] else ())]
            if any(u not in own and not (node is sources[i] and inside(found.scopes[u], child)) for u in node.users):
                raise SupernetError(
                    f"{span.label!r} cannot vary in depth: {child!r} is not the only one that takes the output of "
                    f"{before!r}."
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


def _after(found: Trace, span: Span, source: Any, output: Any) -> list[Any]:
    """Element-wise operations, outside the children, on a child's output and input alone, that keep the output's shape."""
    reached = [output]
    for node in reached:
        for user in node.users if node is not None else ():
            inputs = [n for n in user.all_input_nodes if n in found.dims]
            if (
                user in found.elementwise
                and user not in reached
                and found.shapes[user] == found.shapes.get(output)
                and all(n is source or n in reached for n in inputs)
                and not any(inside(found.scopes[user], span.child(p)) for p in range(len(span.names)))
            ):
                reached.append(user)
    return reached[1:]


def kernels(found: Trace, modules: Mapping[str, nn.Module], matched: Sequence[Matched]) -> dict[str, tuple[int, ...]]:
    """Convolution → sides of its kernel."""
    sides: dict[str, tuple[int, ...]] = {}
    for name, choice in matched:
        if not isinstance(choice, Kernel):
            continue
        conv = _called(found, modules, name)
        assert isinstance(conv, nn.Conv2d)
        stored, values = conv.kernel_size, choice.values
        if sides.setdefault(name, values) != values:
            raise SupernetError(f"{name!r} has two different declarations, kernels {sides[name]} and {values}.")
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
    return sides


def widths(
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
    if is_computed(modules[name]):
        raise SupernetError(f"{name!r} cannot be elastic: {computed(name)}.")
    if name not in found.axes:
        kind = f"{type(modules[name]).__module__}.{type(modules[name]).__name__}"
        raise SupernetError(f"{name!r} ({kind}) is no plain layer of torch.nn that the network's forward calls.")
    return modules[name]


def begins(module: nn.Module) -> bool:
    """Whether a layer's output width is its own, not that of its input."""
    return isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and not is_depthwise(module))


def gate(spans: Iterable[Span], name: str) -> Gate:
    """The conditions under which the module or weight of that name is there."""
    conditions = []
    for span in spans:
        for position in range(span.first, span.last + 1):
            if inside(name, span.child(position)):
                index = sum(v <= position - span.first for v in span.values)
                conditions += [(span.gene, index)] * (index > 0)
    return tuple(conditions)


def weakest(gates: Mapping[str, Gate], gene: str) -> Gate:
    """The condition that holds whenever one of the layers is there."""
    for gate in gates.values():
        if all(all(any(g == h and k >= j for h, k in other) for g, j in gate) for other in gates.values()):
            return gate
    raise SupernetError(
        f"{gene!r} is the width of {', '.join(map(repr, gates))}, which depend on different depths.",
        hint="Keep one of them at every depth.",
    )


def inside(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")
