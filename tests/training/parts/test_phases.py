"""Phases, and which genes vary in them."""

from __future__ import annotations

import numpy as np

from hwsearch.training import Run
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.phases import OpenedSampler, Phases
from hwsearch.training.parts.schedule import Schedule
from hwsearch.training.strategies.uniform import Uniform


def scheduled(schedule: Schedule, run: Run) -> Schedule:
    schedule.prepare(run)
    return schedule


def test_phases_begin_at_their_shares(start) -> None:
    schedule = scheduled(Phases(starts=((0.0, "largest"), (0.25, "kernel"), (0.5, "width"))), start(Uniform()).run)
    assert [schedule.at(s).phase for s in (0, 24, 25, 49, 50, 99)] == 2 * ["largest"] + 2 * ["kernel"] + 2 * ["width"]


def test_shrinking_opens_kernels_then_depths_then_widths(start) -> None:
    case = start(Uniform())
    sampler = OpenedSampler(draws=50)
    sampler.prepare(case.run)
    space, rng = case.run.space, np.random.default_rng(0)
    varied = {}
    for phase in ("largest", "kernel", "depth", "width"):
        draws = sampler.sample(Moment(0, 100, 8, 0.1, phase), rng)
        rows = space.to_array([d.arch for d in draws])
        top = space.to_array([space.largest()])[0]
        varied[phase] = {
            n[0] for n, column, best in zip(space.names, rows.T, top, strict=True) if (column != best).any()
        }
    # genes r, d, ks, e; in the depth phase those of blocks that are left out are inactive
    assert varied["largest"] == set() and varied["kernel"] == {"r", "k"}
    assert {"r", "k", "d"} <= varied["depth"] and {"r", "k", "d", "e"} == varied["width"]
    depth = sampler.sample(Moment(0, 100, 8, 0.1, "depth"), rng)
    assert all(v == 2 for d in depth for n, v in d.arch.items() if n.startswith("e["))
