"""The shape of BigNAS-like supernets with elastic widths, and their search space."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hwsearch.spaces import Choice, SearchSpace


@dataclass(frozen=True)
class WideStage:
    """Choices of one stage, equal for all its blocks.

    Attributes
    ----------
    widths : tuple of int
        Output channels.
    depths : tuple of int
        Numbers of blocks.
    expansions : tuple of int
        Middle channels by input channels.
    stride : int
        Stride of the first block.
    se : bool
        Whether blocks have squeeze-and-excitation.
    kernels : tuple of int
        Sides of depth-wise kernels.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    expansions: tuple[int, ...]
    stride: int
    se: bool
    kernels: tuple[int, ...] = (3, 5)


@dataclass(frozen=True)
class AttentiveNASConfig:
    """All that fixes the shape of the supernet; the defaults are the published one.

    Attributes
    ----------
    name : str
        Name of the search space.
    stem : tuple of int
        Channels of the stem.
    stages : tuple of WideStage
        Stages in order.
    mix : tuple of int
        Channels of the feature mix.
    head_expansion : int
        Channels before the pool by output channels of the last stage.
    classes : int
        Number of classes.
    resolutions : tuple of int
        Side of the input in pixels.
    bn_eps : float
        Added to the variance in batch norms.
    """

    name: str = "attentivenas"
    stem: tuple[int, ...] = (16, 24)
    stages: tuple[WideStage, ...] = (
        WideStage((16, 24), (1, 2), (1,), 1, False),
        WideStage((24, 32), (3, 4, 5), (4, 5, 6), 2, False),
        WideStage((32, 40), (3, 4, 5, 6), (4, 5, 6), 2, True),
        WideStage((64, 72), (3, 4, 5, 6), (4, 5, 6), 2, False),
        WideStage((112, 120, 128), (3, 4, 5, 6, 7, 8), (4, 5, 6), 1, True),
        WideStage((192, 200, 208, 216), (3, 4, 5, 6, 7, 8), (6,), 2, True),
        WideStage((216, 224), (1, 2), (6,), 1, True),
    )
    mix: tuple[int, ...] = (1792, 1984)
    head_expansion: int = 6
    classes: int = 1000
    resolutions: tuple[int, ...] = (192, 224, 256, 288)
    bn_eps: float = 1e-5

    def options(self) -> dict[str, tuple[int, ...]]:
        """List every choice by name, also those of one value, which are no genes.

        Returns
        -------
        dict
            Name → values.
        """
        last = len(self.stages) + 1
        found = {"r": self.resolutions, "w[0]": self.stem}
        found |= {f"w[{s + 1}]": stage.widths for s, stage in enumerate(self.stages)}
        found[f"w[{last}]"] = self.mix
        for kind, name in (("d", "depths"), ("ks", "kernels"), ("e", "expansions")):
            found |= {f"{kind}[{s}]": getattr(stage, name) for s, stage in enumerate(self.stages)}
        return found

    def search_space(self) -> SearchSpace:
        """Build the search space: genes ``r``, ``w[…]``, ``d[s]``, ``ks[s]`` and ``e[s]`` with more than one value.

        Returns
        -------
        SearchSpace
            The space.
        """
        return SearchSpace(self.name, [Choice(n, values) for n, values in self.options().items() if len(values) > 1])

    def positions(self) -> Iterator[tuple[int, int, int]]:
        """Iterate over the blocks of the largest network.

        Yields
        ------
        tuple of (int, int, int)
            Block, stage, and place in the stage.
        """
        i = 0
        for s, stage in enumerate(self.stages):
            for j in range(max(stage.depths)):
                yield i, s, j
                i += 1
