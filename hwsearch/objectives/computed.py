"""Computed metrics: objectives that follow from the architecture and need no measuring.

A new one is a `ComputedMetric` named by an entry point of group ``hwsearch.objectives``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SearchError
from hwsearch.registry import Registry


class Costs(Protocol):
    """What a computed metric may ask of a supernet: the costs of subnets given as rows of value indices."""

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
        Maps a supernet (see `Costs`) and rows ``(n, genes)`` to values ``(n,)``.

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
        If an entry point of group ``hwsearch.objectives`` is not a `ComputedMetric`.

    Examples
    --------
    >>> from hwsearch.objectives import computed_metrics
    >>> sorted(computed_metrics())[:3]
    ['macs', 'model_size_mib', 'params']
    """
    return {name: METRICS.load(name) for name in METRICS.names()}


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

    Examples
    --------
    >>> from hwsearch.objectives import computed_metric
    >>> computed_metric("model_size_mib").unit
    'MiB of fp32 weights'
    """
    return METRICS.load(name)
