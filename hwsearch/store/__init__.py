"""The store: what was measured, kept once and for good."""

from hwsearch.store.measurement import Measurement, measurement_key, utc_now
from hwsearch.store.queue import Job, NewJob, Queue, worker_name
from hwsearch.store.store import Run, Store

__all__ = [
    "Job",
    "Measurement",
    "NewJob",
    "Queue",
    "Run",
    "Store",
    "measurement_key",
    "utc_now",
    "worker_name",
]
