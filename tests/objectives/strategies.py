"""Hypothesis strategies of measured values, shared by the tests of objectives."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from hwsearch._typing import FloatArray
from hwsearch.objectives.objective import Objective

POOL = [Objective("accuracy"), Objective("latency_ms", device="cpu"), Objective("macs"), Objective("fairness", "max")]


def cases(low: int = -4, high: int = 4, most: int = 14) -> st.SearchStrategy[FloatArray]:
    """Value tables of 1 to 4 objectives on a coarse grid, with ties and failures."""
    entry = st.one_of(st.integers(low, high).map(float), st.just(float("nan")))
    return st.integers(1, 4).flatmap(
        lambda m: st.lists(st.lists(entry, min_size=m, max_size=m), min_size=1, max_size=most).map(np.array)
    )
