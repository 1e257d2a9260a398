"""Choice of rows to measure: against brute force, and what it may not do."""

from __future__ import annotations

import numpy as np
import pytest

from predictors import PredictorError
from predictors.plan import a_optimal


def left(covariance: np.ndarray, noise: float, chosen: list[int]) -> float:
    """The summed variance after measuring, by the definition of a conditional covariance."""
    if not chosen:
        return float(np.trace(covariance))
    seen = covariance[np.ix_(chosen, chosen)] + noise * np.eye(len(chosen))
    cross = covariance[:, chosen]
    return float(np.trace(covariance - cross @ np.linalg.solve(seen, cross.T)))


def test_each_choice_leaves_the_least_variance() -> None:
    root = np.random.default_rng(0).standard_normal((12, 5))
    covariance, noise, chosen = root @ root.T, 0.3, []
    for found in a_optimal(covariance, noise, 6):
        others = [i for i in range(12) if i not in chosen]
        best = min(others, key=lambda i: left(covariance, noise, [*chosen, i]))
        assert left(covariance, noise, [*chosen, int(found)]) == pytest.approx(left(covariance, noise, [*chosen, best]))
        chosen.append(int(found))
    assert len(set(chosen)) == 6


def test_only_what_is_allowed_is_chosen() -> None:
    allowed = np.array([False, True, True, False])
    assert set(a_optimal(np.eye(4), 0.1, 2, allowed).tolist()) == {1, 2}
    assert allowed.tolist() == [False, True, True, False]
    with pytest.raises(PredictorError, match="3 rows cannot be chosen from 2"):
        a_optimal(np.eye(4), 0.1, 3, allowed)
    with pytest.raises(PredictorError, match="-1 rows"):
        a_optimal(np.eye(4), 0.1, -1)
    assert a_optimal(np.eye(4), 0.1, 0).tolist() == []
