"""The store: what was measured, kept once and for good, and the queue of what is to be measured."""

from hwsearch.store.job import Job, NewJob
from hwsearch.store.measurement import Measurement, measurement_key, utc_now
from hwsearch.store.queue import Queue
from hwsearch.store.run_table import Run
from hwsearch.store.store import Store
from hwsearch.store.worker_names import worker_name

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
