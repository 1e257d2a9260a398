"""A device of a campaign, with its runtime and executor."""

from __future__ import annotations

from hwsearch.campaigns.config import DeviceConfig
from hwsearch.devices import Runtime, fingerprint
from hwsearch.devices.fleet.executors import Executor


class Target:
    """One device of a campaign with its runtime and fingerprint.

    Parameters
    ----------
    config : DeviceConfig
        How it is configured.
    executor : Executor
        Does its jobs.
    runtime : Runtime
        Of this host, or a stand-in for one that is elsewhere; asked for its facts.
    remote : bool
        Whether it is another host's.

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
        As given.
    form : str
        What the runtime runs: ``onnx``, ``torch`` or ``genes``.
    exclusive : bool
        Whether measuring needs this host for itself.
    facts : mapping
        All that makes a latency what it is.
    fingerprint : str
        Digest of the facts; keys tables and store.
    """

    def __init__(self, config: DeviceConfig, executor: Executor, runtime: Runtime, *, remote: bool = False) -> None:
        self.device = config.to_device()
        self.name = config.name
        self.remote = remote
        self.executor = executor
        self.runtime = runtime
        self.form = runtime.form
        self.exclusive = not remote and self.form != "genes"
        self.facts = runtime.facts()
        self.fingerprint = fingerprint(self.facts)
