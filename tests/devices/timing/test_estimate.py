from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from hwsearch.devices import Calibration, Timing, TimingProtocol
from hwsearch.devices.timing.estimate import combine, not_converged
from hwsearch.devices.timing.sample import Sample


def plain_sample(log_ratio):
    one = np.ones(1)
    return Sample(np.exp([log_ratio - 0.001, log_ratio + 0.001]), 1.0, 0.002, 1.0, one, one, one)


def test_a_process_of_one_candidate_tells_of_it_and_not_of_all():
    """What deviates there is not taken for the error of the reference: it counts for the value and for its variance."""
    both = [[plain_sample(0.0) for _ in range(6)] for _ in range(2)]
    lone = [plain_sample(0.06), *[None] * 5]
    found = combine([*both, lone], TimingProtocol(), Calibration((1.0,)))
    assert found[0].value == pytest.approx(math.exp(0.02)) and found[1].value == pytest.approx(1.0)
    assert found[0].low < 1.0 and found[0].half_width() > 0.02


def test_intervals_of_a_small_group_are_as_honest():
    """Independent normal effects of model and process; processes go on for what is not settled, as in a campaign."""
    rng = np.random.default_rng(0)
    protocol, scale = TimingProtocol(processes=(2, 4)), Calibration((1.0,), 0.01**2, 0.005**2)

    def campaign():
        found, open_ = [], [0, 1, 2, 3]
        for _ in range(protocol.processes[1]):
            reference = rng.normal(0, 0.005)
            row = {i: plain_sample(reference + rng.normal(0, 0.01)) for i in open_}
            found.append([row.get(i) for i in range(4)])
            timings = combine(found, protocol, scale)
            open_ = not_converged(timings, protocol) if len(found) >= 2 else open_
            if not open_:
                break
        return timings

    held = [a.low <= b.value <= a.high for _ in range(250) for a, b in zip(campaign(), campaign(), strict=True)]
    assert 0.94 <= np.mean(held) <= 0.985


def exact_sample(log_ratio, reference_error=0.0):
    """Its two loads agree, so nothing varies within the process."""
    one = np.ones(1)
    return Sample(np.exp([log_ratio, log_ratio]), 1.0, reference_error, 1.0, one, one, one)


def test_the_variance_of_three_candidates_in_two_processes_by_hand():
    """Only the third differs between the processes, by 0.06: half of it to both sides, 2 · 0.03² = 18e-4 with one degree.

    The shift of a process, which is the median of its three, takes a third of each deviation away, so the variance counts
    3 / 2 times: 27e-4. A calibration that knows of no variance counts as seven degrees: 27e-4 / 8 with eight.
    """
    rows = [[exact_sample(0.0), exact_sample(0.0), exact_sample(x)] for x in (0.0, 0.06)]
    first, second, third = combine(rows, TimingProtocol(confidence=0.95), Calibration((1.0,)))
    t = stats.t.ppf(0.975, 8)
    assert third.precision == pytest.approx(math.expm1(t * math.sqrt(27e-4 / 8 / 2)))
    assert third.value == pytest.approx(math.exp(0.03)) and first.precision == second.precision == 0.0
    # the interval is that of a difference to another campaign, whose variance is the same
    assert math.log(third.high / third.value) == pytest.approx(t * math.sqrt(2 * 27e-4 / 8 / 2))


def test_the_error_of_the_reference_widens_the_interval_and_not_the_precision():
    """One candidate, one process: the calibration says 0.01² of processes and 0.02² of references; loads say nothing."""
    known = Calibration((1.0,), 0.01**2, 0.02**2)
    (timing,) = combine([[exact_sample(0.0, reference_error=0.03)]], TimingProtocol(), known)
    t = stats.t.ppf(0.975, 7)
    assert timing.precision == pytest.approx(math.expm1(t * 0.01))
    assert math.log(timing.value / timing.low) == pytest.approx(
        t * math.sqrt(2 * (0.01**2 + 0.02**2 + 0.03**2)), rel=1e-9
    )


def test_what_is_not_as_precise_as_asked_has_not_converged():
    protocol = TimingProtocol(half_width=0.01)
    precisions = (0.0099, 0.01, 0.0101, math.nan, math.inf)
    timings = [Timing(value=1.0, precision=p) for p in precisions]
    assert not_converged(timings, protocol) == [2, 3, 4]  # one whose precision is not known has not converged
    assert not_converged([Timing(failure="it hung")], protocol) == []  # and one that failed is left alone


def test_a_group_has_drifted_when_its_quiet_level_is_further_off_than_the_protocol_allows():
    one = np.ones(1)
    for quiet, moved in ((1.0, False), (1.09, False), (1 / 1.09, False), (1.12, True), (1 / 1.12, True)):
        sample = Sample(np.ones(2), quiet, 0.0, quiet, one, one, one)
        (timing,) = combine([[sample]], TimingProtocol(max_drift=0.1), Calibration((1.0,)))
        assert timing.moved is moved
