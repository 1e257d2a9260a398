"""Read the arguments of torch functions: numbers and sizes, given one by one or as sequences."""

from __future__ import annotations

from collections.abc import Sequence

from hwsearch.exporters.onnx.dims import Dim, NoRuleError, Size
from hwsearch.exporters.onnx.values import Argument

#: one number for all axes, or one for each
IntOrInts = int | Sequence[int]
#: an axis, several, or all of them
Axes = int | Sequence[int] | None


def int_list(value: IntOrInts, n: int) -> list[int]:
    """Read an argument that is one number for all axes or one for each.

    Parameters
    ----------
    value : int or sequence of int
        The argument.
    n : int
        Number of axes.

    Returns
    -------
    list of int
        One number for each axis.

    Examples
    --------
    >>> int_list(3, 2), int_list((1, 2), 2)
    ([3, 3], [1, 2])
    """
    return [int(v) for v in value] if isinstance(value, (tuple, list)) else [int(value)] * n  # type: ignore[arg-type]


def listed_sizes(args: tuple[Argument, ...]) -> list[Size]:
    """Read sizes that are given one by one or as one sequence.

    Parameters
    ----------
    args : tuple
        The sizes, or one sequence of them.

    Returns
    -------
    list of int or Dim
        The sizes.

    Raises
    ------
    NoRuleError
        If one is neither a number nor a variable size.
    """
    sizes = list(args[0]) if len(args) == 1 and isinstance(args[0], (tuple, list)) else list(args)
    if not all(isinstance(s, (int, Dim)) for s in sizes):
        raise NoRuleError(f"sizes {sizes}")
    return sizes
