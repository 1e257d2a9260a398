"""A device: all that makes a latency what it is, and the runtimes that can measure on one."""

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

    threads : intra-op threads; batch : images a run; precision : of the model as measured
    options : further settings of the runtime
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
        """What the user chose, without the name."""
        return {
            "runtime": self.runtime,
            "provider": self.provider,
            "threads": self.threads,
            "batch": self.batch,
            "precision": self.precision,
            "options": dict(sorted(self.options.items())),
        }


def fingerprint(facts: JsonObject) -> str:
    """Twelve hex digits that change when anything in a device's facts does."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def check_names(devices: Sequence[Device]) -> None:
    """Two devices of one campaign must have different names."""
    names = [d.name for d in devices]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise DeviceError(f"two devices are named {twice[0]!r}.")
