"""Computed objectives: metrics that follow from the architecture and need no measuring.

A new one is a `ComputedMetric` named by an entry point of group ``hwsearch.objectives``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SearchError, nearest
from hwsearch.registry import entry_points
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


def computed_metrics() -> dict[str, ComputedMetric]:
    """All computed metrics by name."""
    found = {m.name: m for m in (MACS, PARAMS, MODEL_SIZE)}
    for point in entry_points(group="hwsearch.objectives"):
        if point.name not in found:
            metric = point.load()
            if not isinstance(metric, ComputedMetric):
                raise SearchError(f"entry point {point.value!r} of metric {point.name!r} is not a ComputedMetric.")
            found[point.name] = metric
    return found


def computed_metric(name: str) -> ComputedMetric:
    found = computed_metrics()
    if name not in found:
        raise SearchError(f"metric {name!r} is neither measured nor computed.", hint=nearest(name, found))
    return found[name]
