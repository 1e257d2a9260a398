"""Sources: latencies of other devices, from which those of a new one are predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from predictors._typing import FloatArray
from predictors.errors import PredictorError
from predictors.kernel import Kernel
from predictors.posterior import StructuredGaussianProcess
from predictors.rows import evenly
from predictors.schema import Schema
from predictors.warp import Warp

#: rows that the weights of a source are found from
LEARNT = 200
#: fewest rows of a source
LEAST = 20
#: least share of the noise that a source is taken to have
QUIETEST = 1e-3


class Source(NamedTuple):
    """Source of transfer: what is known of another device.

    Attributes
    ----------
    X : ndarray (n, columns)
        Encoded architectures.
    y : ndarray (n,)
        Their latencies, in any unit.
    """

    X: FloatArray
    y: FloatArray


def checked_source(name: str, source: Source, columns: int) -> Source:
    """Check a source.

    Parameters
    ----------
    name : str
        Its name, for messages.
    source : Source
        As given.
    columns : int
        How many columns it must have.

    Returns
    -------
    Source
        Of arrays of floats.

    Raises
    ------
    PredictorError
        For too few rows, other columns, and latencies that are not positive numbers.
    """
    features, latencies = np.asarray(source.X, dtype=np.float64), np.asarray(source.y, dtype=np.float64)
    if features.ndim != 2 or features.shape[1] != columns or latencies.shape != (len(features),):
        raise PredictorError(
            f"source {name!r} has X of shape {features.shape} and y of shape {latencies.shape}; the schema has "
            f"{columns} columns.",
            hint="A source has the columns of the schema, and a latency a row.",
        )
    if len(latencies) < LEAST:
        raise PredictorError(
            f"source {name!r} has {len(latencies)} rows; it needs {LEAST}.", hint="Leave it out, or measure more."
        )
    check_latencies(latencies, f"source {name!r}")
    return Source(features, latencies)


def check_latencies(y: ArrayLike, where: str) -> None:
    """Check that latencies are positive numbers.

    Parameters
    ----------
    y : array-like (n,)
        Latencies.
    where : str
        Whose they are, for messages.

    Raises
    ------
    PredictorError
        With the first row that is none.
    """
    values = np.asarray(y, dtype=np.float64)
    wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(wrong):
        raise PredictorError(
            f"{where}: the latency of row {wrong[0]} is {values[wrong[0]]:g}; it must be a positive number.",
            hint="Drop failed measurements.",
        )


def weights_of(schema: Schema, X: FloatArray, y: FloatArray, names: Sequence[str]) -> tuple[FloatArray, float]:
    """Find how the log latency of a device depends on the parts of a kernel.

    Parameters
    ----------
    schema : Schema
        Of the columns.
    X : ndarray (n, columns)
        Encoded architectures.
    y : ndarray (n,)
        Latencies.
    names : sequence of str
        Names of parts, of a kernel that may have more of them.

    Returns
    -------
    weights : ndarray (names,)
        Share of the variance of each part; 0 of those that this schema has not.
    noise : float
        Variance of the noise, in the same unit; at least `QUIETEST`.
    """
    some = evenly(y, LEARNT)
    blocks = schema.split(X)
    kernel = Kernel(schema, blocks)
    features = kernel.features({name: block[some] for name, block in blocks.items()})
    process = StructuredGaussianProcess(kernel)
    everything = np.ones(len(some), dtype=bool)
    process.learn(kernel.stack(features, features), y, np.zeros(len(y)), some, [Warp("log")], everything)
    found = dict(zip(kernel.names, process.weights.tolist(), strict=True))
    return shares_of(found | {"noise": process.noise}, names)


def shares_of(parts: Mapping[str, float], names: Sequence[str]) -> tuple[FloatArray, float]:
    """Bring variances of parts to shares of what they explain together.

    Parameters
    ----------
    parts : mapping of str to float
        By name of the part, and ``noise``; of any sum, such as `predictors.GaussianProcessPredictor` has in ``parts_``.
    names : sequence of str
        As of `weights_of`.

    Returns
    -------
    weights : ndarray (names,)
        As of `weights_of`.
    noise : float
        As of `weights_of`.
    """
    weights = np.array([parts.get(name, 0.0) for name in names])
    total = float(weights.sum()) or 1.0
    return weights / total, max(parts["noise"] / total, QUIETEST)
