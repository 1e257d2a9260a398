"""Computed objectives: metrics that follow from the architecture and need no measuring.

A new one is a `ComputedMetric` named by an entry point of group ``hwsearch.objectives``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SearchError
from hwsearch.registry import Registry
from hwsearch.supernets.base import Supernet


@dataclass(frozen=True)
class ComputedMetric:
    """compute : (supernet, rows (n, genes)) → values (n,), in `unit`; direction : ``min`` or ``max``"""

    name: str
    unit: str
    direction: str
    compute: Callable[[Supernet, IntArray], FloatArray]


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
    """Return all computed metrics by name.

    Returns
    -------
    dict of str to ComputedMetric
        This package's and those of installed plug-ins.
    """
    return {name: METRICS.load(name) for name in METRICS.names()}


def computed_metric(name: str) -> ComputedMetric:
    """Return the computed metric of a name.

    Parameters
    ----------
    name : str
        Such as ``macs``.

    Returns
    -------
    ComputedMetric
        Its unit, direction and function.

    Raises
    ------
    SearchError
        When there is none of that name.

    Examples
    --------
    >>> computed_metric("macs").unit
    'multiply-accumulates'
    """
    return METRICS.load(name)
