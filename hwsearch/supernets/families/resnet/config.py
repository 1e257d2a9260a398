"""The shape of an elastic ResNet-50-D, and its search space."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hwsearch.spaces import Choice, SearchSpace, When
from hwsearch.supernets.layers.naming import make_divisible


@dataclass(frozen=True)
class ResNetConfig:
    """All that fixes the shape of the supernet; the defaults are the published one.

    Attributes
    ----------
    name : str
        Name of the search space.
    stem : int
        Channels of the stem at multiplier 1.
    widths : tuple of int
        Output channels of each stage at multiplier 1.
    blocks : tuple of int
        Fewest blocks of each stage.
    strides : tuple of int
        Stride of the first block of each stage.
    classes : int
        Number of classes.
    multipliers : tuple of float
        Elastic choice: width multipliers.
    expansions : tuple of float
        Elastic choice: middle channels by output channels of a block.
    extra : tuple of int
        Elastic choice: blocks of a stage beyond its fewest.
    resolutions : tuple of int
        Elastic choice: side of the input in pixels.
    bn_eps : float
        Added to the variance in batch norms.
    """

    name: str = "ofa-resnet50d"
    stem: int = 64
    widths: tuple[int, ...] = (256, 512, 1024, 2048)
    blocks: tuple[int, ...] = (2, 2, 4, 2)
    strides: tuple[int, ...] = (1, 2, 2, 2)
    classes: int = 1000
    multipliers: tuple[float, ...] = (0.65, 0.8, 1.0)
    expansions: tuple[float, ...] = (0.2, 0.25, 0.35)
    extra: tuple[int, ...] = (0, 1, 2)
    resolutions: tuple[int, ...] = field(default=tuple(range(128, 225, 4)))
    bn_eps: float = 1e-5

    @property
    def bases(self) -> tuple[int, ...]:
        """Channels at multiplier 1 of the places that the genes ``w`` stand for."""
        return (make_divisible(self.stem) // 2, self.stem, *self.widths)

    def channels(self, place: int, multiplier: float) -> int:
        """Compute the channels at a place; the first stem has half of the second's, rounded twice.

        Parameters
        ----------
        place : int
            Index in `bases`.
        multiplier : float
            Width multiplier.

        Returns
        -------
        int
            Channels.
        """
        if place == 0:
            return make_divisible(make_divisible(self.stem * multiplier) // 2)
        return make_divisible(self.bases[place] * multiplier)

    def multipliers_of(self, place: int) -> tuple[float, ...]:
        """List the multipliers that give different channels at a place.

        Parameters
        ----------
        place : int
            Index in `bases`.

        Returns
        -------
        tuple of float
            Multipliers, the first of those with equal channels.
        """
        first: dict[int, float] = {}
        for m in self.multipliers:
            first.setdefault(self.channels(place, m), m)
        return tuple(first.values())

    def positions(self) -> Iterator[tuple[int, int, int]]:
        """Iterate over the blocks of the largest network.

        Yields
        ------
        tuple of (int, int, int)
            Block, stage, and place in the stage.
        """
        i = 0
        for s, fewest in enumerate(self.blocks):
            for j in range(fewest + max(self.extra)):
                yield i, s, j
                i += 1

    def search_space(self) -> SearchSpace:
        """Build the search space: genes ``r``, ``d[…]``, ``w[…]``, and ``e[i]`` of block i.

        Returns
        -------
        SearchSpace
            The space.
        """
        choices = [Choice("r", self.resolutions), Choice("d[0]", (0, max(self.extra)))]
        choices += [Choice(f"d[{s + 1}]", self.extra) for s in range(len(self.widths))]
        choices += [Choice(f"w[{p}]", self.multipliers_of(p)) for p in range(len(self.bases))]
        for i, s, j in self.positions():
            deep = tuple(x for x in self.extra if self.blocks[s] + x > j)
            when = When(f"d[{s + 1}]", deep) if len(deep) < len(self.extra) else None
            choices.append(Choice(f"e[{i}]", self.expansions, when))
        return SearchSpace(self.name, choices)
