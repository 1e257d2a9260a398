"""Rows of a fit: what they say, and which of them are enough to learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from predictors._typing import FloatArray, IntArray
from predictors.errors import PredictorError


def evenly(y: FloatArray, most: int) -> IntArray:
    """Choose rows evenly over the target.

    Parameters
    ----------
    y : ndarray (n,)
        Targets.
    most : int
        How many rows, at most.

    Returns
    -------
    ndarray of int
        Their positions, ascending; the smallest and the largest target are among them.

    Examples
    --------
    >>> evenly(np.array([5.0, 1.0, 4.0, 2.0, 3.0]), 3).tolist()
    [0, 1, 4]
    """
    if len(y) <= most:
        return np.arange(len(y))
    places = np.linspace(0, len(y) - 1, most).round().astype(np.int64)
    return np.sort(np.argsort(y, kind="stable")[places])


def is_constant(y: FloatArray) -> bool:
    """Tell whether targets are equal but for rounding.

    Parameters
    ----------
    y : ndarray (n,)
        Targets.

    Returns
    -------
    bool
        True for one row, too.
    """
    return bool(np.ptp(y) <= 1e-12 * np.abs(y).max(initial=0.0))


def notes_of(X: FloatArray, y: FloatArray) -> list[str]:
    """Say what rows lack from which little can be learnt.

    Parameters
    ----------
    X : ndarray (n, columns)
        Features.
    y : ndarray (n,)
        Targets.

    Returns
    -------
    list of str
        Sentences, for a predictor's card; empty where nothing is to be said.
    """
    if len(y) == 1:
        return ["One row only: intervals are guesses."]
    notes = []
    if is_constant(y):
        notes.append(f"All {len(y)} targets are {y[0]:g}: that is what is predicted.")
    repeated = len(y) - len(np.unique(X, axis=0))
    if repeated:
        notes.append(f"{repeated} rows repeat others; where they disagree, it is taken for noise.")
    still = int((np.ptp(X, axis=0) == 0).sum())
    if still:
        notes.append(f"{still} of {X.shape[1]} columns do not vary and have no effect.")
    return notes


def known_noise(noise: ArrayLike | None, n: int) -> FloatArray:
    """Check the known noise of rows.

    Parameters
    ----------
    noise : array-like (n,) or None
        Standard deviations, NaN where unknown.
    n : int
        How many rows there are.

    Returns
    -------
    ndarray (n,)
        The same, 0 where unknown.

    Raises
    ------
    PredictorError
        For another shape, and for values that are negative or infinite.
    """
    if noise is None:
        return np.zeros(n)
    given = np.array(noise, dtype=np.float64)
    if given.shape != (n,):
        raise PredictorError(f"noise must have shape ({n},), one a row, got {given.shape}.")
    given = np.where(np.isnan(given), 0.0, given)
    wrong = np.flatnonzero((given < 0) | np.isinf(given))
    if len(wrong):
        raise PredictorError(
            f"the noise of row {wrong[0]} is {given[wrong[0]]:g}; it must be 0 or more, and finite.",
            hint="Give standard deviations in the unit of y, NaN where unknown.",
        )
    return given


def check_names(given: Sequence[object], wanted: Sequence[str]) -> None:
    """Check that the columns of a table are those of a schema.

    Parameters
    ----------
    given : sequence
        Names of the table's columns.
    wanted : sequence of str
        Names of the schema's columns.

    Raises
    ------
    PredictorError
        For other columns, and for the same ones in another order.
    """
    names = [str(name) for name in given]
    if names == list(wanted):
        return
    other = sorted(set(names) ^ set(wanted))
    if other:
        where = "X, but not in the schema" if other[0] in names else "the schema, but not in X"
        raise PredictorError(f"column {other[0]!r} is in {where}.", hint="Give the columns that the schema names.")
    first = next(i for i, (a, b) in enumerate(zip(names, wanted, strict=True)) if a != b)
    raise PredictorError(
        f"the columns of X are in another order than in the schema: {names[first]!r} stands where {wanted[first]!r} should.",
        hint="Sort them.",
    )
