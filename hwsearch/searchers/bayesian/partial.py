"""Searches of which parts are known: accuracies of another device's campaign, a few latencies of this one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.searchers.archive import Archive
from hwsearch.searchers.bayesian.posterior import EncodedRows, MultiObjectivePosterior


def least_known(values: FloatArray, predicted: Sequence[bool]) -> int:
    """Count the values of the objective of which least is known.

    Parameters
    ----------
    values : ndarray (n, m)
        Told values, NaN where there is none.
    predicted : sequence of bool (m,)
        Which objectives have to be predicted; the others are computed.

    Returns
    -------
    int
        The number of rows, where none has to be predicted.

    Examples
    --------
    >>> least_known(np.array([[70.0, np.nan], [71.0, np.nan], [np.nan, 2.0]]), [True, True])
    1
    """
    there = ~np.isnan(values[:, np.asarray(predicted, dtype=bool)])
    return int(there.sum(axis=0).min()) if there.shape[1] else len(values)


def filled_by_mean(
    posterior: MultiObjectivePosterior, rows: IntArray, values: FloatArray, sign: FloatArray
) -> FloatArray:
    """Fill what is not known of rows that are known in part by the posterior mean.

    Parameters
    ----------
    posterior : MultiObjectivePosterior
        Fitted.
    rows : ndarray (n, genes)
        Told architectures.
    values : ndarray (n, m)
        In natural units, NaN where there is none.
    sign : ndarray (m,)
        1 of what is minimised, -1 of what is maximised.

    Returns
    -------
    ndarray (n, m)
        Rows of which nothing is known, failures, stay as they are.
    """
    blank = np.isnan(values)
    partly = np.flatnonzero(blank.any(axis=1) & ~blank.all(axis=1))
    out = values.copy()
    if len(partly):
        mean = posterior.mean(EncodedRows(posterior, rows[partly])) * sign
        out[partly] = np.where(blank[partly], mean, values[partly])
    return out


def filled_by_hints(
    values: FloatArray, noise: FloatArray, hints: Archive, places: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Fill what is not known of rows by what was hinted of them.

    Parameters
    ----------
    values, noise : ndarray (n, m)
        Told values, NaN where there is none, and their noise.
    hints : Archive
        Hinted values with their noise.
    places : ndarray (n,)
        The hint of each row.

    Returns
    -------
    tuple of ndarray (n, m)
        Values and noise.
    """
    blank = np.isnan(values)
    return np.where(blank, hints.values[places], values), np.where(blank, hints.noise[places], noise)
