"""A device of a campaign, with its runtime and executor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsearch.campaigns.config import DeviceConfig
from hwsearch.devices import Device, Runtime, create_runtime, fingerprint
from hwsearch.devices.fleet.executors import Executor

if TYPE_CHECKING:
    from hwsearch.devices.fleet.dask import Cluster


class Target:
    """One device of a campaign with its runtime and fingerprint.

    Parameters
    ----------
    config : DeviceConfig
        How it is configured.
    executor : Executor
        Does its jobs, where it is a device of this host.
    cluster : Cluster, optional
        The workers of other hosts, where it is theirs.

    Attributes
    ----------
    device : Device
        Its description.
    name : str
        Its name in the campaign.
    remote : bool
        Whether it is another host's.
    executor : Executor
        Does its jobs.
    runtime : Runtime
        Of this host, or a stand-in for one of another host.
    form : str
        What the runtime runs: ``onnx``, ``torch`` or ``genes``.
    exclusive : bool
        Whether measuring needs this host for itself.
    facts : mapping
        All that makes a latency what it is.
    fingerprint : str
        Digest of the facts; keys tables and store.
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
