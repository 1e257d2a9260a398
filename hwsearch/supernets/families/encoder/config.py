"""Elastic transformer encoders: layers, heads of a layer and units of its feed-forward part can be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwsearch.errors import CheckpointError, SupernetError
from hwsearch.spaces import Choice, When


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The encoder's shape; `layers`, `heads` and `ffn` are the elastic choices, from the smallest to the largest.

    hidden : width of a token; head_size : width of a head; ffn : units between the two feed-forward linears
    """

    name: str
    classes: int
    norm_eps: float
    hidden: int = 768
    head_size: int = 64
    layers: tuple[int, ...]
    heads: tuple[int, ...] = (6, 8, 10, 12)
    ffn: tuple[int, ...] = (1024, 2048, 3072)

    def __post_init__(self) -> None:
        for name in ("layers", "heads", "ffn"):
            values = getattr(self, name)
            if not values or min(values) < 1 or list(values) != sorted(set(values)):
                raise SupernetError(f"{self.name!r}: {name} {values} must be positive and rise.")

    def choices(self) -> list[Choice]:
        """Genes ``layers``, and ``heads[i]`` and ``ffn[i]`` of every layer i that is there."""
        choices = [Choice("layers", self.layers)]
        for kind, values in (("heads", self.heads), ("ffn", self.ffn)):
            for i in range(max(self.layers)):
                deep = tuple(n for n in self.layers if n > i)
                when = When("layers", deep) if len(deep) < len(self.layers) else None
                choices.append(Choice(f"{kind}[{i}]", values, when))
        return choices


def scaled_choices(heads: int, ffn: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The choices of heads and of units for an encoder with so many of them.

    Heads are 1/2, 2/3, 5/6 and all; units 1/3, 2/3 and all, the parts in multiples of 64: at 12 heads and 3072 units
    the choices of DyNAS-T.
    """
    some_heads = {max(1, round(heads * s / 6)) for s in (3, 4, 5)}
    some_units = {max(1, round(ffn * s / 3 / 64)) * 64 for s in (1, 2) if ffn > 64}
    return tuple(sorted(some_heads | {heads})), tuple(sorted(some_units | {ffn}))


def published_heads(hidden: int, published: dict[int, int]) -> int:
    """The number of heads of a published encoder of this width: a file's tensors do not tell it."""
    if hidden not in published:
        raise CheckpointError(
            f"the weights have width {hidden}, for which no number of heads is known.",
            hint=f"Widths of published encoders are {', '.join(map(str, published))}.",
        )
    return published[hidden]


def count_layers(names: Sequence[str], prefix: str) -> int:
    """How many layers a file has whose tensors are named ``<prefix><number>.…``."""
    return 1 + max((int(n[len(prefix) :].split(".")[0]) for n in names if n.startswith(prefix)), default=-1)
