"""Who measures: executors that do one job, and what keeps workers out of each other's way."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hwsearch.errors import StoreError
from hwsearch.store import Job, Queue


@contextmanager
def kept(queue: Queue, job: Job, lease_s: float) -> Iterator[None]:
    """Extend a job's lease until the work on it ends; a store that cannot be reached for a while is tried again."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(lease_s / 3):
            with contextlib.suppress(StoreError):
                queue.extend(job, lease_s=lease_s)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
