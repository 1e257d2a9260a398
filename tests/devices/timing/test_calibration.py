from __future__ import annotations

import math

import numpy as np
import pytest

from hwsearch.devices import Calibration, calibrate
from hwsearch.devices.timing.sample import Sample


def test_the_baseline_is_that_of_undisturbed_processes():
    quiet = [0.5, 0.502, 0.498, 0.53, 0.55, 0.61, 0.7, 0.52, 0.9]
    found = Calibration(tuple(quiet))
    assert found.baseline_ms == pytest.approx(0.5, rel=1e-6)
    assert 0 < found.baseline_sd < 0.03
    assert found.extended([0.49, 0.49, 0.49]).baseline_ms < 0.5
    assert Calibration.from_dict(found.to_dict()) == found
    one = Sample(np.array([0.1, 0.2]), reference=0.51, reference_error=0.01, quiet=0.5)
    assert calibrate([[one]]) == Calibration((0.5,))


def test_variances_by_hand():
    """Three processes, two models; each number is worked by hand.

    Processes shift both models by -0.03, 0, 0.03: (0.03² + 0 + 0.03²) / 2 = 9e-4. Models differ within them by ±0.01, 0,
    ∓0.01: 4 · 0.01² / 2 = 2e-4. Loads lie 0.005 to both sides: 2 · 0.005² / 2 = 0.25e-4. The reference is known to 0.02.
    """

    def sample(log_ratio: float) -> Sample:
        one = np.ones(1)
        return Sample(np.exp([log_ratio - 0.005, log_ratio + 0.005]), 1.0, 0.02, 1.0, one, one, one)

    rows = [(-0.03 + 0.01, -0.03 - 0.01), (0.0, 0.0), (0.03 - 0.01, 0.03 + 0.01)]
    found = calibrate([[sample(1.0 + a), sample(-1.0 + b)] for a, b in rows])
    assert found.process_var == pytest.approx(2e-4 - 0.25e-4)
    # of the mean over two models, half of what single models do is left; the reference's error counts once
    assert found.group_var == pytest.approx(9e-4 - 2e-4 / 2 - 4e-4)


def test_the_baselines_error_is_the_spread_of_resampled_thirds():
    same = Calibration((0.5,) * 6)
    assert same.baseline_ms == 0.5 and same.baseline_sd == 0.0
    spread = Calibration((0.5, 0.5, 0.6, 0.6, 0.6, 0.6))
    rng, quiet = np.random.default_rng(1), np.array(spread.quiet)
    again = [np.sort(rng.choice(quiet, 6))[:2].mean() for _ in range(20_000)]
    assert spread.baseline_sd == pytest.approx(np.std(again) / 0.5, rel=0.2)
    assert not math.isnan(spread.baseline_sd)
