"""The fit recovers what messages cost; processes that end are told."""

from __future__ import annotations

import numpy as np
import pytest

from hwsearch.errors import ConfigError, TrainingError
from hwsearch.training.planning import calibrate
from hwsearch.training.planning.calibration import design, fit

SIZES = (1000, 2000, 4000, 8000, 16000)


@pytest.mark.parametrize("world", [2, 3, 4])
def test_the_fit_recovers_start_and_bytes(world: int) -> None:
    truth = np.array([3e-4, 2e-7])
    found = fit(SIZES, (design(SIZES, world) @ truth).tolist(), world)
    assert (found.alpha_s, found.beta_s) == pytest.approx(tuple(truth))
    assert found.mape_pct == pytest.approx(0, abs=1e-9) and found.held_out == (False, True, False, True, False)


def test_the_error_is_that_of_what_was_held_out() -> None:
    times = (design(SIZES, 2) @ [3e-4, 2e-7]) * [1, 1.25, 1, 0.8, 1]
    found = fit(SIZES, times.tolist(), 2)
    assert found.mape_pct == pytest.approx((100 * (1 - 1 / 1.25) + 100 * (1 / 0.8 - 1)) / 2)


def test_neither_is_negative() -> None:
    falling = fit(SIZES, [5.0, 4.0, 3.0, 2.0, 1.0], 2)
    assert falling.beta_s == 0 and falling.alpha_s > 0
    with pytest.raises(TrainingError, match="cannot be fitted"):
        fit(SIZES, [1.0, 0.0, 1.0, 1.0, 1.0], 2)


@pytest.mark.parametrize("processes", [1, 5, True, 2.0])
def test_other_numbers_of_processes_are_refused(processes: int) -> None:
    with pytest.raises(ConfigError, match="2, 3 or 4"):
        calibrate(processes)


def test_local_processes_are_timed() -> None:
    found = calibrate(2, sizes=(4000, 40_000, 400_000), repeats=2)
    assert min(found.measured_s) > 0 and found.alpha_s >= 0 and found.beta_s >= 0 and found.processes == 2


def test_a_process_that_ends_is_told() -> None:
    with pytest.raises(TrainingError, match="HWSEARCH_RANK_TIMEOUT='never'"):
        calibrate(2, {"HWSEARCH_RANK_TIMEOUT": "never"}, sizes=(4000, 8000, 16000), repeats=1)
