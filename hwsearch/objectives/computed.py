"""Computed metrics: objectives that follow from the architecture and need no measuring.

A new one is a `ComputedMetric` named by an entry point of group ``hwsearch.objectives``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import HwsearchError, PluginError, SearchError, describe, foreign_code
from hwsearch.registry import Registry


class Costs(Protocol):
    """Costs of subnets, given as rows of value indices, that a computed metric may ask a supernet for."""

    def macs_array(self, rows: IntArray) -> FloatArray:
        """Count multiply-accumulates for one example.

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Subnets as canonical rows of their search space.

        Returns
        -------
        ndarray of float, shape (n,)
            Multiply-accumulates of each subnet.
        """

    def params_array(self, rows: IntArray) -> FloatArray:
        """Count weights.

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Subnets as canonical rows of their search space.

        Returns
        -------
        ndarray of float, shape (n,)
            Number of weights of each subnet.
        """

    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        """Compute named cost features.

        Parameters
        ----------
        rows : ndarray of int, shape (n, genes)
            Subnets as canonical rows of their search space.

        Returns
        -------
        dict of str to ndarray of float, shape (n,)
            ``macs``, ``params`` and whatever else tells the costs of this family.
        """


@dataclass(frozen=True)
class ComputedMetric:
    """A metric with the function that computes it.

    Attributes
    ----------
    name : str
        Name of the metric; the entry point has the same.
    unit : str
        Unit of the values, in words.
    direction : {"min", "max"}
        Whether smaller or larger is better.
    compute : callable
        Maps a supernet (see `Costs`) and rows ``(n, genes)`` to values ``(n,)``. Call `values`, which checks them.

    Raises
    ------
    SearchError
        If the name is not an identifier, the unit is empty, the direction is another word, or `compute` is not callable.

    Examples
    --------
    >>> from hwsearch.objectives import ComputedMetric
    >>> size_int8 = ComputedMetric(
    ...     "int8_size_mib", "MiB of int8 weights", "min", lambda net, rows: net.params_array(rows) / 2**20
    ... )
    >>> size_int8.direction
    'min'
    """

    name: str
    unit: str
    direction: str
    compute: Callable[[Costs, IntArray], FloatArray]

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name.isidentifier()):
            raise SearchError(
                f"name {self.name!r} of a computed metric is not valid.",
                hint="Use letters, digits and underscores, such as 'activations_mib'.",
            )
        if not (isinstance(self.unit, str) and self.unit):
            raise SearchError(f"computed metric {self.name!r} has unit {self.unit!r}.", hint="Say the unit in words.")
        if self.direction not in ("min", "max"):
            raise SearchError(
                f"direction of computed metric {self.name!r} must be 'min' or 'max', got {self.direction!r}."
            )
        if not callable(self.compute):
            raise SearchError(f"compute of computed metric {self.name!r} must be a function, got {self.compute!r}.")

    def values(self, supernet: Costs, rows: IntArray) -> FloatArray:
        """Compute the metric, and check that it is one finite number a row.

        Parameters
        ----------
        supernet : Costs
            Whose subnets they are.
        rows : ndarray of int, shape (n, genes)
            Subnets as canonical rows of the search space.

        Returns
        -------
        ndarray of float, shape (n,)
            The value of each subnet.

        Raises
        ------
        SearchError
            If `compute` raises, or returns anything else than n finite numbers.
        """

        def failed(error: BaseException) -> HwsearchError:
            if isinstance(error, HwsearchError):
                return error
            return SearchError(f"metric {self.name!r} cannot be computed for this supernet: {describe(error)}.")

        with foreign_code(failed):
            found = self.compute(supernet, rows)
            values = np.asarray(found, dtype=np.float64)
        if values.shape != (len(rows),):
            got = "None" if found is None else f"shape {values.shape}"
            raise SearchError(
                f"compute of metric {self.name!r} must return one number a row, shape ({len(rows)},), got {got}."
            )
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            raise SearchError(
                f"metric {self.name!r} must be finite, got {values[row]} for the subnet of genes {np.asarray(rows)[row].tolist()}."
            )
        return values


MACS = ComputedMetric("macs", "multiply-accumulates", "min", lambda net, rows: net.macs_array(rows))
PARAMS = ComputedMetric("params", "weights", "min", lambda net, rows: net.params_array(rows))
MODEL_SIZE = ComputedMetric(
    "model_size_mib", "MiB of fp32 weights", "min", lambda net, rows: net.params_array(rows) * 4 / 2**20
)


METRICS: Registry[ComputedMetric] = Registry(
    "hwsearch.objectives",
    "metric",
    SearchError,
    lambda found: isinstance(found, ComputedMetric),
    "a ComputedMetric",
)


def computed_metrics() -> dict[str, ComputedMetric]:
    """Collect all computed metrics: the built-in ones and those of installed packages.

    Returns
    -------
    dict of str to ComputedMetric
        Metrics by name.

    Raises
    ------
    PluginError
        If an entry point of group ``hwsearch.objectives`` cannot be imported, or is not a `ComputedMetric` of its name.

    Examples
    --------
    >>> from hwsearch.objectives import computed_metrics
    >>> sorted(computed_metrics())[:3]
    ['macs', 'model_size_mib', 'params']
    """
    return {name: computed_metric(name) for name in METRICS.names()}


def computed_metric(name: str) -> ComputedMetric:
    """Get a computed metric by name.

    Parameters
    ----------
    name : str
        Name of the metric.

    Returns
    -------
    ComputedMetric
        The metric.

    Raises
    ------
    SearchError
        If no computed metric has this name.
    PluginError
        If its entry point cannot be imported, is not a `ComputedMetric`, or is one of another name.

    Examples
    --------
    >>> from hwsearch.objectives import computed_metric
    >>> computed_metric("model_size_mib").unit
    'MiB of fp32 weights'
    """
    metric = METRICS.load(name)
    if metric.name != name:
        raise PluginError(
            f"entry point {name!r} of group 'hwsearch.objectives' is the metric {metric.name!r}.",
            hint="Give both the same name.",
        )
    return metric
