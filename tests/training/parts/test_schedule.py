"""The decay of the learning rate that ends constant, by hand."""

from __future__ import annotations

import pytest

from hwsearch.training import Run
from hwsearch.training.parts.schedule import ExponentialFloor, Schedule
from hwsearch.training.strategies.uniform import Uniform


def scheduled(schedule: Schedule, run: Run) -> Schedule:
    schedule.prepare(run)
    return schedule


def test_exponential_decay_ends_constant(start) -> None:
    """20 % of the peak is reached half-way: at a quarter of the decay it is the fourth root of it."""
    schedule = scheduled(ExponentialFloor(floor=0.2, reached=0.5), start(Uniform(), lr=1.0, warmup=0.1).run)
    assert schedule.rate(0) == pytest.approx(0.1) and schedule.rate(9) == pytest.approx(1.0)
    assert schedule.rate(10) == pytest.approx(1.0) and schedule.rate(20) == pytest.approx(0.2**0.25)
    assert [schedule.rate(s) for s in (50, 60, 99)] == pytest.approx([0.2] * 3)
