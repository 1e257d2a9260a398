"""Target devices: what they are, what runs on them, and how a latency is measured."""

from hwsearch._verbs import make_callable
from hwsearch.devices.device import (
    Chain,
    Device,
    HostClock,
    Model,
    Runtime,
    Session,
    Workload,
    create_runtime,
    fingerprint,
    runtime_names,
)
from hwsearch.devices.host import host_facts, load_average, versions
from hwsearch.devices.protocol import Calibration, Protocol, Sample, Timing, calibrate, combine, measure_group

__all__ = [
    "Calibration",
    "Chain",
    "Device",
    "HostClock",
    "Model",
    "Protocol",
    "Runtime",
    "Sample",
    "Session",
    "Timing",
    "Workload",
    "calibrate",
    "combine",
    "create_runtime",
    "fingerprint",
    "host_facts",
    "load_average",
    "measure_group",
    "runtime_names",
    "versions",
]

make_callable(__name__)
