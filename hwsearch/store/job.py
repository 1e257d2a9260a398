"""Jobs of the queue."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hwsearch._json import JsonObject

#: ``queued`` and ``leased`` jobs are open; ``split`` ones were replaced by smaller ones
Status = Literal["queued", "leased", "done", "failed", "split"]


@dataclass(frozen=True)
class NewJob:
    """Work to be queued.

    key : names the work by its content; two equal keys are one job
    kind, device : what a worker must be able to do to claim it
    deadline_s : one attempt takes at most this long
    """

    key: str
    kind: str
    device: str
    payload: Mapping[str, Any]
    deadline_s: float
    max_attempts: int = 2


@dataclass(frozen=True)
class Job:
    """A job as the store has it; `attempts` counts the one under way."""

    id: int
    key: str
    kind: str
    device: str
    payload: JsonObject
    deadline_s: float
    max_attempts: int
    status: Status
    attempts: int
    worker: str | None
    failure: str | None


def job_key(*parts: Any) -> str:
    """32 hex digits that name a job by what it is."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
