"""The store: what was measured, kept once and for good."""

from hwsearch.store.measurement import Measurement, measurement_key, utc_now
from hwsearch.store.store import Run, Store

__all__ = ["Measurement", "Run", "Store", "measurement_key", "utc_now"]
