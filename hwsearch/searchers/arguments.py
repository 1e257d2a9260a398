"""Check what callers pass to a searcher: numbers of architectures, values, noise."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import SupportsIndex, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from typing_extensions import TypeIs

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SearchError, nearest
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import as_values
from hwsearch.spaces import Architecture

#: values, or their noise, of n architectures and m objectives: an array or lists (n, m), None where a measurement failed;
#: or a DataFrame with a column an objective
Measured = ArrayLike | Sequence[Sequence[float | None]] | pd.DataFrame


M = TypeVar("M")


def _is_frame(values: object) -> TypeIs[pd.DataFrame]:
    return hasattr(values, "columns")


def natural(n: SupportsIndex, what: str) -> int:
    """Check a whole number that is not negative.

    Parameters
    ----------
    n : object
        What the caller gave.
    what : str
        What the number is, for the error.

    Returns
    -------
    int
        The number.

    Raises
    ------
    SearchError
        For anything else.
    """
    try:
        number = operator.index(n)
    except TypeError:
        number = -1
    if number < 0:
        raise SearchError(f"{what} must be a whole number of at least 0, got {n!r}.")
    return number


def by_id(archs: Sequence[Architecture], values: M) -> M | pd.DataFrame:
    """Sort a DataFrame that has the column ``arch_id`` into the order of architectures.

    Parameters
    ----------
    archs : sequence of Architecture
        The order.
    values : DataFrame or object
        One row an architecture; anything without that column is returned unchanged.

    Returns
    -------
    DataFrame or object
        The rows in the order of `archs`.

    Raises
    ------
    SearchError
        If the column does not list these architectures.
    """
    if not _is_frame(values) or "arch_id" not in values.columns:
        return values
    wanted, there = np.array([arch.id for arch in archs]), values["arch_id"].to_numpy(dtype=str)
    mine, theirs = np.argsort(wanted, kind="stable"), np.argsort(there, kind="stable")
    if len(wanted) != len(there) or (wanted[mine] != there[theirs]).any():
        raise SearchError("the column 'arch_id' of the values must list the architectures given, each in one row.")
    order = np.empty_like(mine)
    order[mine] = theirs
    return values.iloc[order]


def values_and_noise(
    objectives: Sequence[Objective], values: Measured, noise: Measured | None, n: int
) -> tuple[FloatArray, FloatArray]:
    """Check measured values and their noise.

    Parameters
    ----------
    objectives : sequence of Objective
        The m objectives, in the order of the columns.
    values : array-like (n, m) or DataFrame
        Measured values; None, NaN and infinity mean that a measurement failed.
    noise : array-like (n, m), DataFrame or None
        Standard deviations of the values; None and NaN where unknown.
    n : int
        Expected number of rows.

    Returns
    -------
    values, noise : ndarray (n, m)
        Copies, with NaN in both where there is no value.

    Raises
    ------
    SearchError
        If shapes do not fit, entries are not numbers, or noise is negative.
    """
    told = _as_array(objectives, values, n, "values")
    spread = np.full_like(told, np.nan) if noise is None else _as_array(objectives, noise, n, "noise")
    if (spread < 0).any():
        raise SearchError(
            f"noise must not be negative, got {np.nanmin(spread):g}.", hint="Give standard deviations of the values."
        )
    spread[np.isnan(told)] = np.nan
    return told, spread


def _as_array(objectives: Sequence[Objective], values: Measured, n: int, what: str) -> FloatArray:
    """Convert values or noise to a float array (n, m) of its own, with NaN for everything that is not finite."""
    names = [o.name for o in objectives]
    if _is_frame(values):
        for name in names:
            if name not in values.columns:
                raise SearchError(f"the {what} have no column {name!r}.", hint=nearest(name, map(str, values.columns)))
        values = values[names]
    try:
        array = as_values(values, objectives).copy()
    except (TypeError, ValueError) as error:
        raise SearchError(
            f"the {what} told are not numbers: {error}.",
            hint="Give one row an architecture and one column an objective; None where a measurement failed.",
        ) from error
    if len(array) != n:
        raise SearchError(f"{n} architectures came with {len(array)} rows of {what}.")
    array[~np.isfinite(array)] = np.nan
    return array


def proposed(rows: Iterable[object] | None, genes: int, tactic: str) -> IntArray:
    """Check that what a tactic's `_propose` returned are rows.

    Parameters
    ----------
    rows : object
        What it returned.
    genes : int
        Of the space.
    tactic : str
        Its name, for the message.

    Returns
    -------
    ndarray of int, shape (k, genes)
        The same; an empty list becomes an array without rows.

    Raises
    ------
    SearchError
        If it is anything else, such as None, architectures, or floats.
    """
    if rows is None or (not isinstance(rows, np.ndarray) and any(isinstance(row, Architecture) for row in rows)):
        got = "None" if rows is None else "architectures"
    else:
        try:
            array = np.asarray(rows)
        except ValueError:  # lists of different lengths
            array = np.asarray(rows, dtype=object)
        if not array.size or (array.ndim == 2 and array.shape[1] == genes and array.dtype.kind in "iu"):
            return array
        got = f"an array of shape {array.shape} and type {array.dtype}"
    raise SearchError(
        f"_propose of tactic {tactic!r} must return rows, an array of integers of shape (k, {genes}), got {got}.",
        hint="self.space.to_array(architectures) makes rows of architectures.",
    )
