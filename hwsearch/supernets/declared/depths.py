"""Declared depths: which children of a container may be left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from hwsearch.errors import SupernetError
from hwsearch.supernets.declared.channel_groups import NetworkTrace
from hwsearch.supernets.declared.declaration import Depth
from hwsearch.supernets.declared.matching import Matched, is_inside

#: a node of the traced graph; None where a child gives no tensor
MaybeNode = Any


@dataclass(frozen=True)
class DepthSpan:
    """Consecutive children of a container, of which the first are kept.

    Attributes
    ----------
    path : str
        Name of the container.
    first : int
        Position of the first child.
    last : int
        Position of the last child, included.
    values : tuple of int
        Numbers of children that may be kept.
    names : tuple of str
        Names of all children of the container.
    """

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
        """Name of the gene."""
        return f"depth[{self.label}]"

    def child(self, position: int) -> str:
        """Name a child by its position.

        Parameters
        ----------
        position : int
            Position in the container.

        Returns
        -------
        str
            Full name.
        """
        return f"{self.path}.{self.names[position]}".removeprefix(".")

    def kept(self, depth: int) -> tuple[int, ...]:
        """List the children of the container that stay.

        Parameters
        ----------
        depth : int
            Number of children of the span that are kept.

        Returns
        -------
        tuple of int
            Positions, also of children outside the span.
        """
        return tuple(i for i in range(len(self.names)) if not self.first + depth <= i <= self.last)


def declared_depths(
    found: NetworkTrace, modules: Mapping[str, nn.Module], matched: Sequence[Matched]
) -> list[DepthSpan]:
    """Find the declared depths of a network and tie the outputs between which they choose.

    Parameters
    ----------
    found : NetworkTrace
        The trace; its groups are changed.
    modules : mapping
        Name → module.
    matched : sequence of (str, Declared)
        Result of `match_modules`.

    Returns
    -------
    list of DepthSpan
        Depths, outer ones first.

    Raises
    ------
    SupernetError
        If a depth does not fit its container, or its children are no chain.
    """
    spans: list[DepthSpan] = []
    for path, choice in matched:
        if not isinstance(choice, Depth):
            continue
        container, names = modules[path], tuple(modules[path]._modules)
        if isinstance(container, nn.Sequential) and type(container).forward is not nn.Sequential.forward:
            raise SupernetError(f"{path!r}, of type {type(container).__name__}, has a forward of its own.")
        children = choice.children if choice.children is not None else range(len(names))
        if not children or children[0] < 0 or children[-1] >= len(names):
            raise SupernetError(f"{path!r} has {len(names)} children, not those at {children}.")
        span = DepthSpan(path, children[0], children[-1], choice.values, names)
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


def _check_chain(found: NetworkTrace, span: DepthSpan) -> None:
    """Check that each child that may go takes what the one before gives, which nothing else uses and which has its shape.

    Between children of which a loop calls one after the other may stand what the loop does to each child's output: it
    goes with the child. Operations on single elements, residual adds among them, leave the width and cost nothing.
    """
    sources: dict[int, MaybeNode] = {}
    outputs: dict[int, MaybeNode] = {}
    steps: dict[int, list[MaybeNode]] = {}
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
            if any(u not in own and not (node is sources[i] and is_inside(found.scopes[u], child)) for u in node.users):
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
            found.groups.tie(a, b)


def _after(found: NetworkTrace, span: DepthSpan, source: MaybeNode, output: MaybeNode) -> list[MaybeNode]:
    """Find element-wise operations, outside the children, on a child's output and input alone, that keep the output's shape."""
    reached = [output]
    for node in reached:
        for user in node.users if node is not None else ():
            inputs = [n for n in user.all_input_nodes if n in found.dims]
            if (
                user in found.elementwise
                and user not in reached
                and found.shapes[user] == found.shapes.get(output)
                and all(n is source or n in reached for n in inputs)
                and not any(is_inside(found.scopes[user], span.child(p)) for p in range(len(span.names)))
            ):
                reached.append(user)
    return reached[1:]
