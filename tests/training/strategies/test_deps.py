"""The ramp of the smaller subnets, by hand."""

from __future__ import annotations

import numpy as np

from hwsearch.training import Run
from hwsearch.training.parts.schedule import Schedule, WarmupCosine
from hwsearch.training.strategies.deps import DelayedEpsilon
from hwsearch.training.strategies.uniform import Uniform


def scheduled(schedule: Schedule, run: Run) -> Schedule:
    schedule.prepare(run)
    return schedule


def test_the_effective_rate_of_epsilon_rises_linearly_to_that_of_the_ramps_end(start) -> None:
    """Half of 100 steps alone, a ramp of 10: epsilon · lr(now) is 1/10, 2/10, … of lr(60)."""
    case = start(Uniform(), lr=0.2)
    schedule = scheduled(DelayedEpsilon(start=0.5, ramp=0.1), case.run)
    moments = [schedule.at(step) for step in range(100)]
    assert [m.values["epsilon"] for m in moments[:50]] == [0.0] * 50
    effective = [m.values["epsilon"] * m.lr for m in moments[50:60]]
    assert np.allclose(effective, schedule.rate(60) * np.arange(1, 11) / 10)
    assert [m.values["epsilon"] for m in moments[60:]] == [1.0] * 40
    plain = scheduled(WarmupCosine(), case.run)
    assert [m.lr for m in moments] == [plain.rate(s) for s in range(100)]


def test_without_a_ramp_epsilon_jumps(start) -> None:
    schedule = scheduled(DelayedEpsilon(start=0.5, ramp=0.0), start(Uniform()).run)
    assert [schedule.at(s).values["epsilon"] for s in (49, 50)] == [0.0, 1.0]
