"""A batch at several sizes."""

from __future__ import annotations

import numpy as np

from hwsearch.training.batches import prepare_batch
from hwsearch.training.parts.data import Picked
from hwsearch.training.strategies.uniform import Uniform


def test_sizes_are_resized_once(start) -> None:
    case = start(Uniform())
    batch = prepare_batch(case.run, Picked(np.arange(8)), np.random.default_rng(0))
    assert batch.at(12, case.run.task) is batch.at(12, case.run.task)
    assert batch.at(16, case.run.task) is batch.inputs
