"""Target devices: what they are, what runs on them, and how a latency is measured.

Each name is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsearch._package import lazy_names

#: where each name is defined
PLACES = {
    "Chain": "hwsearch.devices.runtimes.base",
    "Device": "hwsearch.devices.device",
    "HostClock": "hwsearch.devices.runtimes.base",
    "Model": "hwsearch.devices.runtimes.base",
    "Runtime": "hwsearch.devices.runtimes.base",
    "Sample": "hwsearch.devices.timing.sample",
    "Session": "hwsearch.devices.runtimes.base",
    "Timing": "hwsearch.devices.timing.timing",
    "TimingProtocol": "hwsearch.devices.timing.protocol",
    "Workload": "hwsearch.devices.runtimes.base",
    "combine": "hwsearch.devices.timing.estimate",
    "create_runtime": "hwsearch.devices.runtimes.catalogue",
    "fingerprint": "hwsearch.devices.device",
    "host_facts": "hwsearch.devices.host",
    "load_average": "hwsearch.devices.host",
    "measure_group": "hwsearch.devices.timing.schedule",
    "runtime_names": "hwsearch.devices.runtimes.catalogue",
    "versions": "hwsearch.devices.host",
}

if TYPE_CHECKING:
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

__getattr__, __dir__ = lazy_names(__name__, PLACES)
