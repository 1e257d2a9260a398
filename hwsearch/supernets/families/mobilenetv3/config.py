"""Elastic MobileNetV3: kernel, expansion, depth and resolution can be chosen per layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hwsearch.errors import SupernetError
from hwsearch.spaces import Choice, SearchSpace, When


@dataclass(frozen=True)
class Stage:
    """One stage of elastic blocks: output width, stride of its first block, activation, squeeze-excitation.

    depths : where they are not those of the configuration; (1,) is a stage of one block, which is no choice
    """

    width: int
    stride: int
    act: str
    se: bool
    depths: tuple[int, ...] | None = None


@dataclass(frozen=True)
class MobileNetV3Config:
    """All that fixes the shape of the supernet; `kernels`, `expansions`, `depths`, `resolutions` are the elastic choices.

    first_width : output of the fixed first block, None where it is a residual of the stem's width
    final_width : of the 1×1 convolution before the pool; None: there is none, and the feature mix (with batch norm)
        comes before the pool
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
        return max(self.depths)

    def search_space(self) -> SearchSpace:
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
        """(stage, place in it) of every elastic block; its genes have the index stage × `max_depth` + place."""
        for s in range(len(self.stages)):
            for j in range(max(self.stage_depths(s))):
                yield s, j

    def stage_depths(self, s: int) -> tuple[int, ...]:
        """The depths that stage s can have."""
        return self.stages[s].depths or self.depths

    @property
    def first_outputs(self) -> int:
        return self.stem_width if self.first_width is None else self.first_width

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> MobileNetV3Config:
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
    """One elastic block of one architecture, all sizes resolved."""

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
        return self.stride == 1 and self.inputs == self.outputs
