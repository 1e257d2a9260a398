"""Jobs of the queue: what is to be done, by whom it can be, and how far it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hwsearch._json import JsonObject, is_number
from hwsearch.errors import StoreError

#: ``queued`` and ``leased`` jobs are open; ``split`` ones were replaced by smaller ones
Status = Literal["queued", "leased", "done", "failed", "split"]


@dataclass(frozen=True)
class NewJob:
    """Work to be queued.

    Attributes
    ----------
    key : str
        Names the work by its content; two equal keys are one job.
    kind, device : str
        What a worker must be able to do to claim it.
    payload : mapping
        What the worker needs to know; JSON-able.
    deadline_s : float
        One attempt takes at most this long, seconds.
    max_attempts : int
        After so many failures it is given up.
    """

    key: str
    kind: str
    device: str
    payload: Mapping[str, Any]
    deadline_s: float
    max_attempts: int = 2


@dataclass(frozen=True)
class Job:
    """A job as the store has it.

    Attributes
    ----------
    id : int
        Its place in the queue.
    key, kind, device, payload, deadline_s, max_attempts
        As in `NewJob`.
    status : {"queued", "leased", "done", "failed", "split"}
        The first two are open; ``split`` jobs were replaced by smaller ones.
    attempts : int
        Counts the one under way.
    worker : str or None
        Who has it leased.
    failure : str or None
        How the last attempt failed.

    Raises
    ------
    StoreError
        For values of another kind, which a damaged store has.
    """

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

    def __post_init__(self) -> None:
        counts = (self.id, self.max_attempts, self.attempts)
        texts = (self.key, self.kind, self.device, self.status)
        sound = all(type(n) is int for n in counts) and all(isinstance(t, str) for t in texts)
        if not (sound and is_number(self.deadline_s) and isinstance(self.payload, dict)):
            raise StoreError(f"the store is damaged: job {str(self.key)[:60]!r} has values of another kind.")


def job_key(*parts: Any) -> str:
    """Name a job by what it is.

    Parameters
    ----------
    *parts : object
        All that its result depends on; their `repr` counts.

    Returns
    -------
    str
        32 hex digits.

    Examples
    --------
    >>> job_key("device", 1) == job_key("device", 1) != job_key("device", "1")
    True
    """
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
