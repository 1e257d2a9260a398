"""Declaration of what may vary in a network: widths, depths and kernel sizes, by the names of its modules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from hwsearch.errors import SupernetError
from hwsearch.supernets.layers.naming import make_divisible


@dataclass(frozen=True)
class Width:
    """Output channels of a convolution or linear layer, as shares of all.

    Parameters
    ----------
    shares : tuple of float
        Shares in (0, 1]; 1.0 is one of them.
    divisor : int, default 8
        Channels are rounded to a multiple of it; shares that round to the same number are one choice.

    Raises
    ------
    SupernetError
        If shares or divisor are out of range.

    Examples
    --------
    >>> Width((0.25, 0.5, 1.0)).choices(64)
    {0.25: 16, 0.5: 32, 1.0: 64}
    """

    shares: tuple[float, ...]
    divisor: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "shares", _ascending(self, self.shares))
        if self.shares[0] <= 0 or self.shares[-1] != 1 or self.divisor < 1:
            raise SupernetError(f"{self}: shares lie above 0, the largest is 1.0, and the divisor is at least 1.")

    def choices(self, full: int) -> dict[float, int]:
        """Convert shares to channels.

        Parameters
        ----------
        full : int
            Channels of the largest network.

        Returns
        -------
        dict
            Share → channels; of shares with the same channels the largest.
        """
        channels = {s: full if s == 1 else min(full, make_divisible(s * full, self.divisor)) for s in self.shares}
        return {s: n for n, s in {n: s for s, n in channels.items()}.items()}


@dataclass(frozen=True)
class Depth:
    """Elastic depth: how many children of an `nn.Sequential` or `nn.ModuleList` are kept, the first ones.

    Parameters
    ----------
    values : tuple of int
        Numbers of children; all of them is one.
    children : range, optional
        Positions of consecutive children among which that holds; by default all.

    Raises
    ------
    SupernetError
        If no child would be kept, or the children have gaps.

    Examples
    --------
    >>> Depth((3, 1, 2)).values
    (1, 2, 3)
    """

    values: tuple[int, ...]
    children: range | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _ascending(self, self.values))
        some = self.children
        if self.values[0] < 1 or (some is not None and not (isinstance(some, range) and some and some.step == 1)):
            raise SupernetError(f"{self}: at least one child is kept, and the children are a range without gaps.")


@dataclass(frozen=True)
class KernelSize:
    """Sides of a convolution's kernel: the centre of the stored one, which is the largest; the padding follows.

    Parameters
    ----------
    values : tuple of int
        Sides.

    Raises
    ------
    SupernetError
        If a side is not positive.

    Examples
    --------
    >>> KernelSize((7, 3, 5)).values
    (3, 5, 7)
    """

    values: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _ascending(self, self.values))
        if self.values[0] < 1:
            raise SupernetError(f"{self}: a kernel has a side of at least 1.")


Declared = Width | Depth | KernelSize


#: name of a module, or a pattern → what may vary in it
Declaration = Mapping[str, Declared | Sequence[Declared]]


KINDS: dict[type[Declared], tuple[type[nn.Module], ...]] = {
    Width: (nn.Conv2d, nn.Linear),
    Depth: (nn.Sequential, nn.ModuleList),
    KernelSize: (nn.Conv2d,),
}


def _ascending(declared: Declared, values: Any) -> tuple[Any, ...]:
    """Sort the distinct values; raise `SupernetError` where they are not numbers (whole ones, but for shares)."""
    kind: Any = (int, float) if isinstance(declared, Width) else int
    if not isinstance(values, Iterable) or not (found := list(values)) or not all(isinstance(v, kind) for v in found):
        numbers = "numbers" if isinstance(declared, Width) else "whole numbers"
        raise SupernetError(f"{type(declared).__name__} takes one or more {numbers}, not {values!r}.")
    return tuple(sorted(set(found)))
