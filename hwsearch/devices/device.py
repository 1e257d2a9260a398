"""A device: all that makes a latency what it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from hwsearch._json import JsonObject
from hwsearch.errors import DeviceError


@dataclass(frozen=True)
class Device:
    """Name, runtime and settings of one target.

    Attributes
    ----------
    name : str
        What the user calls it; not part of its fingerprint.
    runtime : str
        Name of the runtime, as `hwsearch.devices.runtime_names` lists them.
    provider : str
        Execution provider, where the runtime has several.
    threads : int
        Intra-op threads.
    batch : int
        Inputs of one inference.
    precision : str
        Of the model as measured: ``fp32``, ``fp16``, ``bf16``.
    options : dict
        Further settings of the runtime.

    Examples
    --------
    >>> Device("laptop", threads=4).settings["threads"]
    4
    """

    name: str
    runtime: str = "onnxruntime"
    provider: str = "CPUExecutionProvider"
    threads: int = 1
    batch: int = 1
    precision: str = "fp32"
    options: JsonObject = field(default_factory=dict)

    @cached_property
    def settings(self) -> JsonObject:
        """Settings that the user chose, without the name."""
        return {
            "runtime": self.runtime,
            "provider": self.provider,
            "threads": self.threads,
            "batch": self.batch,
            "precision": self.precision,
            "options": dict(sorted(self.options.items())),
        }


def fingerprint(facts: JsonObject) -> str:
    """Digest a device's facts.

    Parameters
    ----------
    facts : mapping
        Everything that makes its latency what it is; JSON-able.

    Returns
    -------
    str
        Twelve hex digits that change when any fact does.

    Examples
    --------
    >>> fingerprint({"cpu": "a", "threads": 1}) == fingerprint({"threads": 1, "cpu": "a"})
    True
    """
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def check_names(devices: Sequence[Device]) -> None:
    """Check that devices have different names.

    Parameters
    ----------
    devices : sequence of Device
        Those of one campaign.

    Raises
    ------
    DeviceError
        If two are named alike.
    """
    names = [d.name for d in devices]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise DeviceError(f"two devices are named {twice[0]!r}.")
