"""The latency benchmarks: what counts as held, and the protocol on replayed hosts, which is the same at every run."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.latency import at_one_level, held
from benchmarks.latency_simulated import Day, figures, pair_of, workloads
from hwsearch.devices import Timing
from hwsearch.devices.timing.sensitivity import Sensitivity, pooled_sensitivities


def timing(value: float, half: float, ratio: float, typical: float) -> Timing:
    ends = {"low": value - half, "high": value + half, "ratio_low": value - ratio, "ratio_high": value + ratio}
    return Timing(value=value, typical=typical, **ends)


def test_an_interval_is_held_both_ways_and_ratios_at_the_same_level() -> None:
    """The second day the host is twice as slow; of the second subnet the ratio is another as well."""
    first = [timing(1.0, 1.5, 0.1, 1.0), timing(2.0, 0.5, 0.1, 1.0)]
    second = [timing(2.0, 0.5, 0.1, 2.0), timing(5.0, 3.5, 0.1, 2.0)]
    assert held(first, second).tolist() == [[True, False], [False, True]]
    assert held(first, second, ratio=True).tolist() == [[True, False], [True, False]]
    assert at_one_level(first).tolist() == [1.0, 2.0] and at_one_level(second).tolist() == [1.0, 2.5]


def test_the_worst_host_is_what_counts() -> None:
    rows = {"a": {"coverage": 0.95, "over_fixed": 0.5}, "b": {"coverage": 0.9, "over_fixed": 0.4}}
    found = figures(rows)
    assert (found["simulated.coverage"], found["simulated.over_fixed"], found["simulated.coverage.a"]) == (
        0.9,
        0.5,
        0.95,
    )


def test_the_sensitivities_of_models_are_found_on_a_host_that_wanders() -> None:
    """The host slows each model by a known power of its level; with regard to the reference that is the quotient less one."""
    works, reference = workloads()
    day, rng, found = Day("wandering"), np.random.default_rng(0), []
    day.begin("wandering", 4)
    for _ in range(6):
        found.append(day.process(works, reference, rng)[1])
        day.now += 20.0
    known = pooled_sensitivities(
        [[Sensitivity(s.sensitivity, s.sensitivity_error) for s in own] for own in zip(*found, strict=True)]
    )
    power = day.runtime.host.sensitivity
    true = np.array([power(w.arch_id) / power(reference.arch_id) - 1 for w in works])
    apart = np.array([s.value for s in known]) - true
    assert np.ptp(true) > 0.5 and np.abs(apart).max() < 0.25 and np.sqrt((apart**2).mean()) < 0.4 * true.std()


@pytest.mark.parametrize("host", ["quiet", "wandering", "hostile"])
def test_intervals_hold_on_replayed_hosts_and_the_campaigns_agree_better_than_fixed_repeats(host: str) -> None:
    """Few pairs of the benchmark's 500; what fails here fails there."""
    pairs = [pair_of(host, n) for n in range(4)]
    again = pair_of(host, 1)
    np.testing.assert_array_equal(again.held, pairs[1].held)
    assert (again.apart, again.half_width) == (pairs[1].apart, pairs[1].half_width)
    assert np.mean([p.held for p in pairs]) >= 0.75 and np.mean([p.ratio_held for p in pairs]) >= 0.85
    assert np.median([p.apart for p in pairs]) <= 1.2 * np.median([p.fixed_apart for p in pairs])
