"""The shape of elastic transformer encoders, and how it is read from a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwsearch.errors import CheckpointError, SupernetError
from hwsearch.spaces import Choice, When


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Shape of an encoder; `layers`, `heads` and `ffn` are the elastic choices, from the smallest to the largest.

    Attributes
    ----------
    name : str
        Name of the search space.
    classes : int
        Number of classes.
    norm_eps : float
        Added to the variance in layer norms.
    hidden : int
        Width of a token.
    head_size : int
        Width of a head.
    layers : tuple of int
        Elastic choice: number of layers.
    heads : tuple of int
        Elastic choice: heads of a layer.
    ffn : tuple of int
        Elastic choice: units between the two feed-forward linears.
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
        """List the genes ``layers``, and ``heads[i]`` and ``ffn[i]`` of every layer i that is there.

        Returns
        -------
        list of Choice
            The genes.
        """
        choices = [Choice("layers", self.layers)]
        for kind, values in (("heads", self.heads), ("ffn", self.ffn)):
            for i in range(max(self.layers)):
                deep = tuple(n for n in self.layers if n > i)
                when = When("layers", deep) if len(deep) < len(self.layers) else None
                choices.append(Choice(f"{kind}[{i}]", values, when))
        return choices


def scaled_choices(heads: int, ffn: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Choose elastic heads and units for an encoder of a given size.

    Heads are 1/2, 2/3, 5/6 and all; units 1/3, 2/3 and all, the parts in multiples of 64: at 12 heads and 3072 units
    the choices of DyNAS-T.

    Parameters
    ----------
    heads : int
        Heads of the full encoder.
    ffn : int
        Feed-forward units of the full encoder.

    Returns
    -------
    heads : tuple of int
        Numbers of heads.
    units : tuple of int
        Numbers of units.

    Examples
    --------
    >>> scaled_choices(12, 3072)
    ((6, 8, 10, 12), (1024, 2048, 3072))
    """
    some_heads = {max(1, round(heads * s / 6)) for s in (3, 4, 5)}
    some_units = {max(1, round(ffn * s / 3 / 64)) * 64 for s in (1, 2) if ffn > 64}
    return tuple(sorted(some_heads | {heads})), tuple(sorted(some_units | {ffn}))


def published_heads(hidden: int, published: dict[int, int]) -> int:
    """Look up the number of heads of a published encoder, which a file's tensors do not tell.

    Parameters
    ----------
    hidden : int
        Width of a token.
    published : dict
        Width → heads.

    Returns
    -------
    int
        Number of heads.

    Raises
    ------
    CheckpointError
        If no published encoder has this width.
    """
    if hidden not in published:
        raise CheckpointError(
            f"the weights have width {hidden}, for which no number of heads is known.",
            hint=f"Widths of published encoders are {', '.join(map(str, published))}.",
        )
    return published[hidden]


def count_layers(names: Sequence[str], prefix: str) -> int:
    """Count the layers of a file.

    Parameters
    ----------
    names : sequence of str
        Names of its tensors.
    prefix : str
        What comes before the number of a layer.

    Returns
    -------
    int
        Number of layers.

    Examples
    --------
    >>> count_layers(["layer.0.weight", "layer.1.weight"], "layer.")
    2
    """
    return 1 + max((int(n[len(prefix) :].split(".")[0]) for n in names if n.startswith(prefix)), default=-1)
