"""What is optimised: a metric, its direction, and perhaps a limit."""

from __future__ import annotations

from hwsearch.objectives.computed import computed_metrics

#: directions of the metrics the engine knows; others must say theirs
DIRECTIONS = {
    "accuracy": "max",
    "latency_ms": "min",
    "macs": "min",
    "params": "min",
    "model_size_mib": "min",
    "peak_memory_mib": "min",
    "energy_mj": "min",
}


#: how many of the metric's own unit one of these is
UNITS = {
    "accuracy": {"": 1.0, "%": 1.0, "pt": 1.0},
    "latency_ms": {"": 1.0, "us": 1e-3, "µs": 1e-3, "μs": 1e-3, "ms": 1.0, "s": 1e3},
    "macs": {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9},
    "params": {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9},
    "model_size_mib": {"": 1.0, "kib": 1 / 1024, "mib": 1.0, "mb": 1e6 / 2**20},
    "peak_memory_mib": {"": 1.0, "kib": 1 / 1024, "mib": 1.0, "gib": 1024.0},
    "energy_mj": {"": 1.0, "mj": 1.0, "j": 1e3},
}


#: metrics that are measured on a device, and so belong to one, with their units
DEVICE_METRICS = {"latency_ms": "ms", "peak_memory_mib": "MiB", "energy_mj": "mJ"}


ALIASES = {"latency": "latency_ms", "top1": "accuracy", "size": "model_size_mib", "model_size": "model_size_mib"}


ALIASES |= {"peak_memory": "peak_memory_mib", "energy": "energy_mj"}


def known_metrics() -> dict[str, str]:
    """Direction by name of every metric: the built-in ones and those of entry points (`hwsearch.objectives`)."""
    return {name: metric.direction for name, metric in computed_metrics().items()} | DIRECTIONS


def metric_name(name: str) -> str:
    """The full name of a metric: ``latency`` → ``latency_ms``."""
    return ALIASES.get(name, name)
