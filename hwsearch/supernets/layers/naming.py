"""Elastic layers: one full-size weight, of which each call uses a slice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from torch import Tensor

from hwsearch._typing import FloatArray
from hwsearch.errors import CheckpointError


def make_divisible(value: float, divisor: int = 8, minimum: int | None = None) -> int:
    """The multiple of `divisor` nearest to `value`, never less than 90 % of it."""
    minimum = divisor if minimum is None else minimum
    rounded = max(minimum, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def make_divisible_array(values: FloatArray) -> FloatArray:
    """`make_divisible` by 8 of whole numbers, element by element."""
    found, place = np.unique(values, return_inverse=True)
    return np.array([float(make_divisible(int(v))) for v in found])[place]


def renamed(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor], spellings: Callable[[str], Iterable[str]]
) -> dict[str, Tensor]:
    """Tensors of a file under a network's own names.

    spellings : other names that one of the file may stand for; the first that the network has is taken
    Raises `CheckpointError` where a file holds the same tensor under two names.
    """
    result: dict[str, Tensor] = {}
    source: dict[str, str] = {}
    for name, value in state.items():
        new = name if name in own else next((n for n in spellings(name) if n in own), name)
        if new in result:
            raise CheckpointError(f"the file holds {new!r} twice, as {source[new]!r} and as {name!r}.")
        result[new], source[new] = value, name
    return result
