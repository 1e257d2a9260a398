"""Target devices: what they are, what runs on them, and how a latency is measured."""

from hwsearch.devices.device import Device, fingerprint
from hwsearch.devices.host import host_facts, load_average, versions
from hwsearch.devices.runtimes.base import Chain, HostClock, Model, Runtime, Session, Workload
from hwsearch.devices.runtimes.catalogue import create_runtime, runtime_names
from hwsearch.devices.timing.estimate import combine
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.devices.timing.sample import Sample
from hwsearch.devices.timing.schedule import measure_group
from hwsearch.devices.timing.timing import Timing

__all__ = [
    "Chain",
    "Device",
    "HostClock",
    "Model",
    "TimingProtocol",
    "Runtime",
    "Sample",
    "Session",
    "Timing",
    "Workload",
    "combine",
    "create_runtime",
    "fingerprint",
    "host_facts",
    "load_average",
    "measure_group",
    "runtime_names",
    "versions",
]
