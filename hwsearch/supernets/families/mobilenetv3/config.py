"""The shape of an elastic MobileNetV3, and its search space."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hwsearch.errors import SupernetError
from hwsearch.spaces import Choice, SearchSpace, When


@dataclass(frozen=True)
class Stage:
    """One stage of elastic blocks.

    Attributes
    ----------
    width : int
        Output channels.
    stride : int
        Stride of the first block.
    act : str
        Activation, a key of `hwsearch.supernets.families.mobilenetv3.blocks.ACTIVATIONS`.
    se : bool
        Whether blocks have squeeze-and-excitation.
    depths : tuple of int, optional
        Numbers of blocks to choose from, where they are not those of the configuration; (1,) is a stage of one block,
        which is no choice.
    """

    width: int
    stride: int
    act: str
    se: bool
    depths: tuple[int, ...] | None = None


@dataclass(frozen=True)
class MobileNetV3Config:
    """All that fixes the shape of the supernet; four of the fields are the elastic choices.

    Attributes
    ----------
    name : str
        Name of the search space.
    stages : tuple of Stage
        Stages in order.
    stem_width : int
        Channels of the stem.
    stem_stride : int
        Stride of the stem.
    final_width : int or None
        Channels of the 1×1 convolution before the pool. None: there is none, and the feature mix, with a batch norm,
        comes before the pool.
    mix_width : int
        Channels of the feature mix.
    classes : int
        Number of classes.
    bn_eps : float
        Added to the variance in batch norms.
    kernels : tuple of int
        Elastic choice: sides of depth-wise kernels.
    expansions : tuple of float
        Elastic choice: middle channels by input channels.
    depths : tuple of int
        Elastic choice: blocks of a stage.
    resolutions : tuple of int
        Elastic choice: side of the input in pixels.
    stem_act : str
        Activation of the stem.
    first_width : int or None
        Output channels of the fixed first block; None where it is a residual of the stem's width.
    first_act : str
        Activation of the first block.
    head_act : str
        Activation of the head.

    Examples
    --------
    >>> config = MobileNetV3Config("small", (Stage(16, 2, "relu", False),), depths=(1, 2), resolutions=(32,))
    >>> config.search_space().names
    ('r', 'd[0]', 'ks[0]', 'ks[1]', 'e[0]', 'e[1]')
    """

    name: str
    stages: tuple[Stage, ...]
    stem_width: int = 16
    stem_stride: int = 2
    final_width: int | None = 960
    mix_width: int = 1280
    classes: int = 1000
    bn_eps: float = 1e-5
    kernels: tuple[int, ...] = (3, 5, 7)
    expansions: tuple[float, ...] = (3, 4, 6)
    depths: tuple[int, ...] = (2, 3, 4)
    resolutions: tuple[int, ...] = field(default=tuple(range(128, 225, 4)))
    stem_act: str = "h_swish"
    first_width: int | None = None
    first_act: str = "relu"
    head_act: str = "h_swish"

    @property
    def max_depth(self) -> int:
        """Number of indices that the genes of a stage's blocks take up."""
        return max(self.depths)

    def search_space(self) -> SearchSpace:
        """Build the search space: genes ``r``, ``d[s]`` of stage s, and ``ks[i]`` and ``e[i]`` of block i.

        Returns
        -------
        SearchSpace
            The space.
        """
        choices = [Choice("r", self.resolutions)]
        choices += [Choice(f"d[{s}]", self.stage_depths(s)) for s in range(len(self.stages))]
        for kind, values in (("ks", self.kernels), ("e", self.expansions)):
            for s, j in self.positions():
                i, depths = s * self.max_depth + j, self.stage_depths(s)
                deep = tuple(d for d in depths if d > j)
                when = When(f"d[{s}]", deep) if len(deep) < len(depths) else None
                choices.append(Choice(f"{kind}[{i}]", values, when))
        return SearchSpace(self.name, choices)

    def positions(self) -> Iterator[tuple[int, int]]:
        """Iterate over the elastic blocks of the largest network.

        Yields
        ------
        tuple of (int, int)
            Stage and place in it; genes have the index stage × `max_depth` + place.
        """
        for s in range(len(self.stages)):
            for j in range(max(self.stage_depths(s))):
                yield s, j

    def stage_depths(self, s: int) -> tuple[int, ...]:
        """Look up the depths that a stage can have.

        Parameters
        ----------
        s : int
            Index of the stage.

        Returns
        -------
        tuple of int
            Numbers of blocks.
        """
        return self.stages[s].depths or self.depths

    @property
    def first_outputs(self) -> int:
        """Output channels of the fixed first block."""
        return self.stem_width if self.first_width is None else self.first_width

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> MobileNetV3Config:
        """Read a configuration from plain values.

        Parameters
        ----------
        data : dict
            Fields by name, as of `dataclasses.asdict`; lists stand for tuples.

        Returns
        -------
        MobileNetV3Config
            The configuration.

        Raises
        ------
        SupernetError
            If fields are missing, unknown or of the wrong kind.
        """
        try:
            data = {k: tuple(v) if isinstance(v, (list, tuple)) else v for k, v in data.items()}
            stages = tuple(
                Stage(**s | {"depths": tuple(s["depths"]) if s.get("depths") else None}) for s in data["stages"]
            )
            return cls(**(data | {"stages": stages}))
        except (KeyError, TypeError, AttributeError) as error:
            raise SupernetError(f"this is not a MobileNetV3 configuration: {error}.") from error


@dataclass(frozen=True)
class BlockPlan:
    """One elastic block of one architecture, all sizes resolved.

    Attributes
    ----------
    index : int
        Index of its genes.
    stage : int
        Index of its stage.
    inputs : int
        Input channels.
    middle : int
        Channels after the expansion.
    outputs : int
        Output channels.
    kernel : int
        Side of the depth-wise kernel.
    stride : int
        Stride.
    act : str
        Activation.
    se : bool
        Whether it has squeeze-and-excitation.
    """

    index: int
    stage: int
    inputs: int
    middle: int
    outputs: int
    kernel: int
    stride: int
    act: str
    se: bool

    @property
    def residual(self) -> bool:
        """Whether the input is added to the output."""
        return self.stride == 1 and self.inputs == self.outputs
