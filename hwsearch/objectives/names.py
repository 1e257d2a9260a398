"""Metrics: their names, directions and units."""

from __future__ import annotations

from hwsearch.objectives.computed import METRICS, computed_metric

#: directions of the metrics the engine knows; others must say theirs
DIRECTIONS = {
    "accuracy": "max",
    "verified_accuracy": "max",
    "latency_ms": "min",
    "macs": "min",
    "params": "min",
    "model_size_mib": "min",
    "peak_memory_mib": "min",
    "energy_mj": "min",
}

#: for each metric, the factors that convert other units to its own
UNITS = {
    "accuracy": {"": 1.0, "%": 1.0, "pt": 1.0},
    "verified_accuracy": {"": 1.0, "%": 1.0, "pt": 1.0},
    "latency_ms": {"": 1.0, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1.0, "s": 1e3},
    "macs": {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9},
    "params": {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9},
    "model_size_mib": {"": 1.0, "kib": 1 / 1024, "mib": 1.0, "mb": 1e6 / 2**20},
    "peak_memory_mib": {"": 1.0, "kib": 1 / 1024, "mib": 1.0, "gib": 1024.0},
    "energy_mj": {"": 1.0, "mj": 1.0, "j": 1e3},
}

#: metrics that are measured on a device, and so belong to one, with their units
DEVICE_METRICS = {"latency_ms": "ms", "peak_memory_mib": "MiB", "energy_mj": "mJ"}

#: metrics that are measured on labelled examples, whatever the device
SCORE_METRICS = ("accuracy", "verified_accuracy")

#: short names of metrics
ALIASES = {
    "latency": "latency_ms",
    "top1": "accuracy",
    "certified_accuracy": "verified_accuracy",
    "size": "model_size_mib",
    "model_size": "model_size_mib",
    "peak_memory": "peak_memory_mib",
    "energy": "energy_mj",
}


def known_metrics() -> list[str]:
    """List the metrics whose direction is known: the built-in ones and computed ones of installed packages.

    Returns
    -------
    list of str
        Names in alphabetical order; no plug-in is imported.
    """
    return sorted({*DIRECTIONS, *METRICS.names()})


def known_direction(name: str) -> str:
    """Look up whether smaller or larger is better.

    Parameters
    ----------
    name : str
        Full name of a metric.

    Returns
    -------
    {"min", "max", ""}
        Empty for a metric that nobody has registered.

    Raises
    ------
    PluginError
        If it is the metric of a plug-in that cannot be imported.
    """
    if name in DIRECTIONS:
        return DIRECTIONS[name]
    return computed_metric(name).direction if name in METRICS.names() else ""


def metric_name(name: str) -> str:
    """Expand the short name of a metric.

    Parameters
    ----------
    name : str
        A metric, or a short name of it.

    Returns
    -------
    str
        The full name; `name` itself if it is not a short one.

    Examples
    --------
    >>> from hwsearch.objectives.names import metric_name
    >>> metric_name("latency")
    'latency_ms'
    """
    return ALIASES.get(name, name)
