"""Who is on a front: probabilities against counting and truth, pooling, and the further rounds of `validate`."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hwsearch.campaigns.measured import MeasuredSet
from hwsearch.campaigns.membership import dominance
from hwsearch.campaigns.noise import draws
from hwsearch.campaigns.view import View
from hwsearch.objectives.objective import Objective


def loops(costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    draws, n, _ = costs.shape
    alone, beaten = np.zeros(n), np.zeros((n, n))
    for points in costs:
        for i in range(n):
            rivals = [j for j in range(n) if (points[j] <= points[i]).all() and (points[j] < points[i]).any()]
            alone[i] += not rivals
            beaten[i, rivals] += 1
    return alone / draws, beaten / draws


@pytest.mark.parametrize("m", [1, 2, 3])
def test_dominance_is_the_definition_counted(m: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwsearch.campaigns.membership.BLOCK", 300)  # several blocks
    costs = np.random.default_rng(m).integers(0, 4, (23, 9, m)).astype(float)
    for found, expected in zip(dominance(costs), loops(costs), strict=True):
        np.testing.assert_allclose(found, expected)


def made_up(confidence: float = 0.95) -> View:
    campaign = SimpleNamespace(final_protocol=SimpleNamespace(confidence=confidence))
    return View(campaign, "d", (), (Objective("accuracy"), Objective("latency_ms", device="d")))  # type: ignore[arg-type]


def test_what_is_probably_on_the_front_is_on_it_as_often_as_that() -> None:
    """Over many made-up fronts with known noise, probabilities are compared with the true fronts, found by loops."""
    rng = np.random.default_rng(1)
    view, sigma = made_up(), 0.03
    said, true = [], []
    for _ in range(150):
        latency = np.exp(rng.uniform(0, 0.8, 12))
        accuracy = 70 + 10 * np.log(latency) + rng.normal(0, 0.6, 12)
        measured = latency * np.exp(sigma * rng.normal(size=12))
        wide = 1.959964 * math.sqrt(2) * sigma
        frame = pd.DataFrame({"accuracy": accuracy, "latency_ms": measured})
        frame["latency_ms_low"], frame["latency_ms_high"] = measured * math.exp(-wide), measured * math.exp(wide)
        said += dominance(draws(view, MeasuredSet(frame), 400, rng))[0].tolist()
        true += loops(np.stack([-accuracy, latency], axis=1)[None])[0].tolist()
    p, t = np.array(said), np.array(true)
    for low, high in ((0.0, 0.05), (0.05, 0.35), (0.35, 0.65), (0.65, 0.95), (0.95, 1.01)):
        inside = (p >= low) & (p < high)
        assert inside.sum() > 60
        error = math.sqrt(0.25 / inside.sum())
        assert abs(t[inside].mean() - p[inside].mean()) < 3 * error, (low, high)
    assert t[p >= 0.95].mean() > 0.95 and t[p <= 0.05].mean() < 0.05


# ---------------------------------------------------------------------- in a campaign
