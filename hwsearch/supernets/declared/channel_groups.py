"""Groups of coupled channels: axes of tensors that have to be cut together.

Every axis of every tensor of a traced network gets a number. Axes that an operation ties to each other (a residual
add, a norm, a depth-wise convolution) form one group, kept as a disjoint-set forest. Depth pruning calls the same
structure a dependency graph (Fang et al., 2023, DepGraph, arXiv 2301.12900).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import fx


class ChannelGroups:
    """Numbered axes, joined into groups of equal width, some of which cannot be cut.

    Examples
    --------
    >>> groups = ChannelGroups()
    >>> a, b, c = (groups.new(8) for _ in range(3))
    >>> groups.tie(a, b)
    >>> groups.root(a) == groups.root(b), groups.root(a) == groups.root(c)
    (True, False)
    >>> groups.fix([b], "it is the output")
    >>> groups.reason(a)
    'it is the output'
    """

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._sizes: list[int] = []
        self._reasons: dict[int, str] = {}

    def new(self, size: int) -> int:
        """Add an axis that forms a group of its own.

        Parameters
        ----------
        size : int
            Full size of the axis.

        Returns
        -------
        int
            Number of the axis.
        """
        self._parent.append(len(self._parent))
        self._sizes.append(size)
        return len(self._parent) - 1

    def root(self, axis: int) -> int:
        """Find the representative of an axis's group.

        Parameters
        ----------
        axis : int
            Number of an axis.

        Returns
        -------
        int
            Number that all axes of the group share.
        """
        while self._parent[axis] != axis:
            self._parent[axis] = self._parent[self._parent[axis]]
            axis = self._parent[axis]
        return axis

    def size(self, axis: int) -> int:
        """Look up the full size of an axis.

        Parameters
        ----------
        axis : int
            Number of an axis.

        Returns
        -------
        int
            Number of entries along it in the largest network.
        """
        return self._sizes[axis]

    def tie(self, a: int, b: int) -> None:
        """Join the groups of two axes; a reason against cutting one of them holds for both.

        Parameters
        ----------
        a, b : int
            Numbers of the axes.
        """
        a, b = self.root(a), self.root(b)
        if a != b:
            self._parent[b] = a
            if b in self._reasons:
                self._reasons.setdefault(a, self._reasons.pop(b))

    def fix(self, axes: Iterable[int], reason: str) -> None:
        """Mark the groups of these axes as ones that cannot be cut; the first reason given is kept.

        Parameters
        ----------
        axes : iterable of int
            Numbers of axes.
        reason : str
            Cause, for error messages.
        """
        for axis in axes:
            self._reasons.setdefault(self.root(axis), reason)

    def reason(self, axis: int) -> str | None:
        """Tell why an axis cannot be cut.

        Parameters
        ----------
        axis : int
            Number of an axis.

        Returns
        -------
        str or None
            The reason, or None if the axis can be cut.
        """
        return self._reasons.get(self.root(axis))


@dataclass(frozen=True)
class CostedCall:
    """One call of a layer, or of another operation that multiplies and accumulates.

    Attributes
    ----------
    scope : str
        Name of the module in whose forward the call stands; empty for the network's own.
    layer : str
        Name of the called layer; empty for other operations.
    macs : tuple of int
        Multiply-accumulates at full width, one number for each resolution.
    outputs : tuple of int
        Elements of the output at full width, one number for each resolution.
    """

    scope: str
    layer: str
    macs: tuple[int, ...]
    outputs: tuple[int, ...]


#: the nodes of a child module's first input and of its output; None where that is no tensor
ChildCall = tuple[fx.Node | None, fx.Node | None]


@dataclass
class NetworkTrace:
    """Result of tracing a network: its axes, their groups, and the calls that cost something.

    Attributes
    ----------
    output : tuple of int
        Shape of the network's output, (N, classes, …).
    groups : ChannelGroups
        Groups of coupled axes; the numbers in `axes` and `dims` are its axes.
    axes : dict
        Layer → (number of its input axis, number of its output axis).
    calls : list of CostedCall
        Layers and operations that cost multiply-accumulates.
    children : dict
        Name of a child module → (node of its first input, node of its output), one pair for each call.
    elementwise : set of fx.Node
        Operations that compute each element of their output from the input elements at its place.
    scopes : dict
        Node → name of the module in whose forward it stands.
    dims : dict
        Node → numbers of the axes of its tensor.
    shapes : dict
        Node → shape of its tensor at the first resolution.
    """

    output: tuple[int, ...]
    groups: ChannelGroups = field(default_factory=ChannelGroups)
    axes: dict[str, tuple[int, int]] = field(default_factory=dict)
    calls: list[CostedCall] = field(default_factory=list)
    children: dict[str, list[ChildCall]] = field(default_factory=dict)
    elementwise: set[fx.Node] = field(default_factory=set)
    scopes: dict[fx.Node, str] = field(default_factory=dict)
    dims: dict[fx.Node, tuple[int, ...]] = field(default_factory=dict)
    shapes: dict[fx.Node, tuple[int, ...]] = field(default_factory=dict)
