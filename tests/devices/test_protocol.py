from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hwsearch.devices import protocol as p


class Clock:
    """A machine whose speed changes: sessions advance it, nothing else does."""

    def __init__(self, speed):
        self.now = 0.0
        self.speed = speed

    def perf_counter_ns(self):
        return int(self.now * 1e6)

    def perf_counter(self):
        return self.now / 1e3

    monotonic = perf_counter


class Fake:
    def __init__(self, clock, ms, rng, noise=0.02):
        self.clock, self.ms, self.rng, self.noise = clock, ms, rng, noise

    def time(self, runs):
        return [self._run() for _ in range(runs)]

    def _run(self):
        ms = self.ms * self.clock.speed(self.clock.now) * np.exp(self.noise * self.rng.standard_normal())
        self.clock.now += ms
        return ms


def measure(monkeypatch, speed, truth, *, seed=0, noise=0.02, **settings):
    clock = Clock(speed)
    monkeypatch.setattr(p, "time", clock)
    rng = np.random.default_rng(seed)
    sessions = [Fake(clock, t, rng, noise) for t in truth]
    settings = {"visits": (12, 24), **settings}
    return p.measure_group(sessions, Fake(clock, 0.5, rng, noise), p.Protocol(**settings), rng)


def test_drift_that_the_reference_sees_is_removed(monkeypatch):
    truth = np.linspace(0.2, 0.6, 20)
    speed = lambda ms: 1.0 + 0.3 * np.sin(ms / 700.0) + (0.5 if ms > 2500 else 0.0)  # noqa: E731
    timings = measure(monkeypatch, speed, truth)
    corrected = np.array([t.value for t in timings])
    scale = np.median(corrected / truth)
    assert np.abs(corrected / truth / scale - 1).max() < 0.03
    raw = np.array([np.median(t.raw) for t in timings])
    raw_error = np.abs(raw / truth / np.median(raw / truth) - 1).max()
    assert raw_error > np.abs(corrected / truth / scale - 1).max()


def test_a_given_baseline_fixes_the_scale(monkeypatch):
    clock_ms = 2.0
    clock = Clock(lambda _: clock_ms)
    monkeypatch.setattr(p, "time", clock)
    rng = np.random.default_rng(0)
    timing = p.measure_group([Fake(clock, 1.0, rng)], Fake(clock, 0.5, rng), p.Protocol(), rng, baseline=0.5)[0]
    assert timing.value == pytest.approx(1.0, rel=0.03)  # the host runs at half speed, the baseline knows
    assert timing.summary(0.02)["drift_pct"] == pytest.approx(100.0, abs=5)
    assert np.median(timing.raw) == pytest.approx(2.0, rel=0.03)


def test_visits_stop_when_the_interval_is_narrow_and_go_on_when_not(monkeypatch):
    steady = measure(monkeypatch, lambda _: 1.0, [0.3, 0.4], noise=0.001)
    assert all(len(t.corrected) == 12 for t in steady)
    rough = measure(monkeypatch, lambda _: 1.0, [0.3, 0.4], noise=0.5)
    assert all(len(t.corrected) == 24 for t in rough)
    assert not any(t.summary(0.02)["converged"] for t in rough)


def test_every_run_is_counted_and_outliers_stay(monkeypatch):
    timing = measure(monkeypatch, lambda ms: 4.0 if int(ms) % 37 == 0 else 1.0, [0.3])[0]
    s = timing.summary(0.02)
    assert s["runs"] == len(timing.runs) and s["runs"] >= 12 * 5
    assert s["outliers"] > 0
    assert s["min"] <= s["quiet"] <= s["p50"] <= s["p90"]


def test_median_interval_covers_the_median_of_independent_values():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        low, high = p.median_interval(rng.lognormal(0.0, 0.1, size=16), 0.90)
        hits += low <= 1.0 <= high
    assert hits / 400 >= 0.88


def test_order_statistics_agree_with_the_binomial():
    values = np.arange(1.0, 12.0)  # 11 values: too few for three groups of four
    low, high = p.median_interval(values, 0.90)
    inside = sum(stats.binom.pmf(k, 11, 0.5) for k in range(int(low), int(high)))
    assert inside >= 0.90


def test_interval_widens_when_neighbours_are_alike():
    rng = np.random.default_rng(2)
    steps = np.repeat(rng.standard_normal(6) * 0.1 + 1.0, 4)
    low, high = p.median_interval(steps, 0.90)
    single = p.median_interval(steps[:8], 0.90)
    assert high - low > 0.0 and single[1] >= single[0]
    assert high - low >= stats.t.ppf(0.95, 5) * steps[::4].std(ddof=1) / np.sqrt(6) * 1.99
