"""Keep a job's lease while work on it goes on."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hwsearch.errors import StoreError
from hwsearch.store import Job, Queue


@contextmanager
def lease_heartbeat(queue: Queue, job: Job, lease_s: float) -> Iterator[None]:
    """Renew the job's lease in the background until the context ends.

    A store that cannot be reached for a while is tried again.

    Parameters
    ----------
    queue : Queue
        Where the job was claimed.
    job : Job
        The claimed job.
    lease_s : float
        Seconds that each renewal lasts; it is renewed three times as often.

    Yields
    ------
    None
    """
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
