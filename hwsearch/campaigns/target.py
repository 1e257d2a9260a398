"""A campaign: one supernet, its objectives and its devices, in one folder with its store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsearch.campaigns.config import DeviceConfig
from hwsearch.devices import Device, Runtime, create_runtime, fingerprint
from hwsearch.devices.fleet.executors import Executor

if TYPE_CHECKING:
    from hwsearch.devices.fleet.dask import Cluster


class Target:
    """One device of a campaign with its runtime and fingerprint.

    executor : does its jobs; runtime : of this host, or a stand-in for one of another host
    remote : whether it is another host's; exclusive : whether it shares this host with the other devices
    """

    def __init__(self, config: DeviceConfig, executor: Executor, cluster: Cluster | None = None) -> None:
        self.device = Device(
            config.name,
            config.runtime,
            config.provider,
            config.threads,
            config.batch,
            config.precision,
            dict(config.options),
        )
        self.name = config.name
        self.remote = cluster is not None
        self.executor: Executor = cluster.executor(config.name) if cluster else executor
        self.runtime: Runtime = cluster.runtime(self.device) if cluster else create_runtime(self.device)
        self.form = self.runtime.form
        self.exclusive = not self.remote and self.form != "genes"
        self.facts = self.runtime.facts()
        self.fingerprint = fingerprint(self.facts)
