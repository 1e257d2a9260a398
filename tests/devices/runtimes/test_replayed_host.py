"""Hosts that can be replayed: levels of the named ones, traces of one's own, and effects of processes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from hwsearch.devices.runtimes.replayed_host import LENGTH_S, PART_S, PROCESS_SD, STEP_S, ReplayedHost, _even, _parts
from hwsearch.devices.traces import Moment, write_trace
from hwsearch.errors import DeviceError

HALF_SECONDS = np.arange(0.0, LENGTH_S, STEP_S)


def logs(name: str, seed: int = 0) -> np.ndarray:
    host = ReplayedHost(name, seed)
    return np.log([host.level(float(t)) for t in HALF_SECONDS])


def test_a_level_is_a_step_of_half_a_second_and_comes_again_after_two_hours() -> None:
    host = ReplayedHost("wandering", 1)
    assert host.level(10.0) == host.level(10.49) == host.level(10.0 + LENGTH_S)
    assert [host.level(float(t)) for t in HALF_SECONDS[:99]] == [host.level(t + 0.25) for t in HALF_SECONDS[:99]]


def test_a_quiet_host_varies_by_four_in_a_thousand_and_slowly() -> None:
    found = logs("quiet")
    assert found.std() == pytest.approx(0.004, rel=0.2) and abs(found.mean()) < 0.002
    step = np.corrcoef(found[:-1], found[1:])[0, 1]
    assert step == pytest.approx(math.exp(-STEP_S / 20.0), abs=0.01)  # a correlation time of 20 s


def test_a_hostile_host_has_two_speeds_for_about_twelve_and_twenty_seconds() -> None:
    found = logs("hostile")
    slow = found > 0.175
    assert slow.mean() == pytest.approx(12 / 32, abs=0.07)
    assert found[slow].mean() == pytest.approx(0.35, abs=0.005) and abs(found[~slow].mean()) < 0.005
    changes = np.flatnonzero(np.diff(slow.astype(int))) + 1
    lengths = np.diff(changes) * STEP_S
    kinds = slow[changes[:-1]]
    assert lengths[kinds].mean() == pytest.approx(12.0, rel=0.25)
    assert lengths[~kinds].mean() == pytest.approx(20.0, rel=0.25)


def test_effects_of_processes_belong_to_seed_process_and_model() -> None:
    host = ReplayedHost("wandering", 3)
    same = host.effect("p", "m")
    assert same == ReplayedHost("wandering", 3).effect("p", "m")
    others = [host.effect("q", "m"), host.effect("p", "n"), ReplayedHost("wandering", 4).effect("p", "m")]
    assert len({same, *others}) == 4
    found = np.log([host.effect(str(i), "m") for i in range(500)])
    assert found.std() == pytest.approx(PROCESS_SD["wandering"], rel=0.1) and abs(found.mean()) < 0.008


def test_parts_of_a_trace_are_played_as_they_were_and_go_on_from_its_end_to_its_beginning() -> None:
    trace = np.arange(600.0)
    found = _parts(trace, np.random.default_rng(0), 3000)
    assert len(found) == 3000
    jumps = np.flatnonzero(np.diff(found) % 600 != 1) + 1
    lengths = np.diff([0, *jumps]) * STEP_S
    assert lengths.min() >= PART_S[0] - STEP_S and lengths.max() <= 2 * PART_S[1] and len(jumps) > 5
    assert set(np.diff(found)[np.diff(found) % 600 == 1]) == {1.0, -599.0}


def test_a_trace_is_laid_on_half_seconds_around_its_median() -> None:
    moments = [Moment(s, ms) for s, ms in ((2.0, 4.0), (0.0, 1.0), (1.0, 2.0))]  # in any order
    np.testing.assert_allclose(_even(moments), np.log(2) * np.array([-1.0, -0.5, 0.0, 0.5, 1.0]), atol=1e-12)


def test_a_recorded_trace_is_a_host(tmp_path: Path) -> None:
    trace = [Moment(0.5 * k, 2.0 if k % 200 < 100 else 3.0) for k in range(400)]
    found = logs(str(write_trace(trace, tmp_path / "mine.csv")))
    assert set(np.round(np.exp(found - found.min()), 3)) <= {1.0, 1.5}
    with pytest.raises(DeviceError, match=r"has 1 moments\. Record a minute or more"):
        ReplayedHost(str(write_trace(trace[:1], tmp_path / "short.csv")))


def test_an_unknown_host_is_answered_with_the_nearest() -> None:
    with pytest.raises(DeviceError, match=r"unknown host 'wanderin'\. Did you mean 'wandering'\? Or give the path"):
        ReplayedHost("wanderin")
