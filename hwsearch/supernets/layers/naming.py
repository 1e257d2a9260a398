"""Published widths, and names of tensors in the files of other implementations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from torch import Tensor

from hwsearch._typing import FloatArray
from hwsearch.errors import CheckpointError


def make_divisible(value: float, divisor: int = 8, minimum: int | None = None) -> int:
    """Round a width to the nearest multiple of a divisor, never below 90 % of it.

    Parameters
    ----------
    value : float
        The width.
    divisor : int, default 8
        The result is a multiple of it.
    minimum : int, optional
        Smallest result; by default the divisor.

    Returns
    -------
    int
        The rounded width.

    References
    ----------
    Sandler et al., 2018, MobileNetV2, arXiv 1801.04381 (rule of its reference code).

    Examples
    --------
    >>> make_divisible(16 * 1.2), make_divisible(16 * 1.3)
    (24, 24)
    """
    minimum = divisor if minimum is None else minimum
    rounded = max(minimum, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def make_divisible_array(values: FloatArray) -> FloatArray:
    """Round many widths to multiples of 8, as `make_divisible` does.

    Parameters
    ----------
    values : ndarray
        Whole numbers, of shape (n,).

    Returns
    -------
    ndarray
        Rounded widths, of shape (n,).
    """
    found, place = np.unique(values, return_inverse=True)
    return np.array([float(make_divisible(int(v))) for v in found])[place]


def renamed(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor], spellings: Callable[[str], Iterable[str]]
) -> dict[str, Tensor]:
    """Rename the tensors of a file to a network's own names.

    Parameters
    ----------
    state : mapping
        Name → tensor in the file.
    own : mapping
        The network's own state dict.
    spellings : callable
        Name in the file → other names that it may stand for, of which the first that the network has is taken.

    Returns
    -------
    dict
        Name in the network → tensor; names that fit nothing are kept.

    Raises
    ------
    CheckpointError
        If a file holds the same tensor under two names.
    """
    result: dict[str, Tensor] = {}
    source: dict[str, str] = {}
    for name, value in state.items():
        new = name if name in own else next((n for n in spellings(name) if n in own), name)
        if new in result:
            raise CheckpointError(f"the file holds {new!r} twice, as {source[new]!r} and as {name!r}.")
        result[new], source[new] = value, name
    return result
