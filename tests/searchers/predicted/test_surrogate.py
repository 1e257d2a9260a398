"""Predicted objectives, and samples of the predictors' errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import PredictorError, SearchError
from hwsearch.searchers import create
from hwsearch.searchers.predicted.surrogate import Surrogate
from hwsearch.testing.toy_spaces import TWO, large_space, values_of
from predictors import RidgePredictor

QUICK: dict[str, Any] = {"inner_evaluations": 3000, "population": 100, "make_predictor": lambda seed: RidgePredictor()}


def surrogate(values: FloatArray, rows: IntArray) -> Surrogate:
    space = large_space()
    made = Surrogate(create("guided", space, TWO, 0).objectives, space.encode_array, {}, lambda seed: RidgePredictor())
    made.fit(rows, values, np.random.default_rng(0))
    return made


def test_samples_of_the_errors_centre_on_the_mean_and_shrink_with_data() -> None:
    space = large_space()
    rng = np.random.default_rng(0)
    rows = space.sample_array(200, rng)
    noise = rng.normal(size=(200, 2))
    values = values_of(space, space.from_array(rows), 2) + noise
    far = space.sample_array(50, rng)
    spread = []
    for n in (30, 200):
        made = surrogate(values[:n], rows[:n])
        draws = np.stack([made.sample(rng)(far) for _ in range(400)])
        deviation = draws.std(axis=0)
        assert np.abs(draws.mean(axis=0) - made.mean(far)).max() < 5 * deviation.max() / 20
        spread.append(deviation.mean(axis=0))
    assert (spread[1] < 0.8 * spread[0]).all()


def test_failed_entries_are_left_out_objective_by_objective() -> None:
    space = large_space()
    rows = space.sample_array(60, np.random.default_rng(0))
    values = values_of(space, space.from_array(rows), 2)
    holes = values.copy()
    holes[::4, 0] = np.nan
    full, partial = surrogate(values, rows), surrogate(holes, rows)
    assert np.array_equal(full.mean(rows)[:, 1], partial.mean(rows)[:, 1])
    assert not np.array_equal(full.mean(rows)[:, 0], partial.mean(rows)[:, 0])
    assert np.isfinite(partial.mean(rows)).all()


def test_a_constant_objective_and_a_refusing_predictor() -> None:
    space = large_space()
    rows = space.sample_array(30, np.random.default_rng(0))
    values = values_of(space, space.from_array(rows), 2)
    values[:, 0] = 70.0
    assert (surrogate(values, rows).mean(rows)[:, 0] == 70.0).all()
    broken = Surrogate(
        create("guided", space, TWO, 0).objectives,
        lambda r: np.full((len(r), 2), np.nan),
        {},
        lambda seed: RidgePredictor(),
    )
    with pytest.raises(PredictorError, match="latency_ms"):
        broken.fit(rows, values, np.random.default_rng(0))


def test_exact_must_name_an_objective() -> None:
    objectives = create("random", large_space(), TWO, 0).objectives
    with pytest.raises(SearchError, match="'mac', which is not an objective"):
        Surrogate(objectives, large_space().encode_array, {"mac": len}, lambda seed: RidgePredictor())
