"""What one more millisecond buys: differences of neighbours on a front, worked by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hwsearch.accuracy import Accuracy
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.purpose import VALIDATE
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.steps.trade_offs import difference_ends, neighbours, trade_offs
from hwsearch.store import Measurement

CAMPAIGN = SimpleNamespace(loaded=SimpleNamespace(task=SimpleNamespace(unpack=Accuracy.unpack)))
FRONT = pd.DataFrame(
    {
        "arch_id": ["slow", "fast"],
        "latency_ms": [3.0, 1.0],
        "latency_ms_ratio_low": [2.6, 0.7],
        "latency_ms_ratio_high": [3.3, 1.4],
    }
)


def score(arch: str, correct: np.ndarray | None, value: float = 0.0) -> Measurement:
    found = Accuracy(correct) if correct is not None else None
    details = {"images": 100, "standard_error": found.standard_error if found else 3.0}
    record = found.pack() if found else None
    value = found.value if found else value
    return Measurement(arch, "accuracy", "s", "p", "validate", value, "%", details=details, record=record)


def known(*scores: Measurement) -> Known:
    return Known(scores={(Split.TEST, VALIDATE): {m.arch_id: m for m in scores}})


def test_the_gain_is_paired_over_the_examples_and_the_slower_one_comes_second() -> None:
    """Right on 60 and on 70 of 100 images, the 60 among the 70: ten differ, so the error is √(0.1 - 0.01)·10 points."""
    first, second = np.arange(100) < 60, np.arange(100) < 70
    (pair,) = trade_offs(CAMPAIGN, known(score("fast", first), score("slow", second)), FRONT)  # type: ignore[arg-type]
    assert (pair["faster"], pair["slower"], pair["accuracy"]) == ("fast", "slow", pytest.approx(10.0))
    half = pair["accuracy_high"] - pair["accuracy"]
    assert half == pytest.approx(1.959964 * 100 * math.sqrt((0.1 - 0.01) / 100), rel=0.01)
    assert half == pytest.approx(pair["accuracy"] - pair["accuracy_low"])


def test_the_cost_has_the_ends_of_both_latencies() -> None:
    """3.0 (2.6–3.3) minus 1.0 (0.7–1.4): low √(0.4² + 0.4²) below 2, high √(0.3² + 0.3²) above."""
    (pair,) = trade_offs(CAMPAIGN, known(), FRONT)  # type: ignore[arg-type]
    assert pair["latency_ms"] == pytest.approx(2.0)
    assert pair["latency_low"] == pytest.approx(2 - 0.4 * math.sqrt(2))
    assert pair["latency_high"] == pytest.approx(2 + 0.3 * math.sqrt(2))
    assert math.isnan(pair["accuracy"])  # nothing was scored


def test_scores_without_records_are_independent() -> None:
    scored = known(score("fast", None, 60.0), score("slow", None, 70.0))
    (pair,) = trade_offs(CAMPAIGN, scored, FRONT)  # type: ignore[arg-type]
    assert pair["accuracy_high"] - 10 == pytest.approx(1.959964 * math.hypot(3, 3))


def test_neighbours_are_on_both_sides_and_none_at_the_ends() -> None:
    pairs = [{"faster": "a", "slower": "b"}, {"faster": "b", "slower": "c"}]
    assert neighbours(pairs, "b") == {"slower": pairs[1], "faster": pairs[0]}
    assert neighbours(pairs, "a")["faster"] is None and neighbours(pairs, "c")["slower"] is None
    assert trade_offs(CAMPAIGN, known(), FRONT[["arch_id"]]) == []  # type: ignore[arg-type]


def test_a_difference_is_turned_with_its_parts() -> None:
    low, high = difference_ends((1.0, 0.7, 1.2), (2.0, 1.6, 2.9))
    assert difference_ends((2.0, 1.6, 2.9), (1.0, 0.7, 1.2)) == pytest.approx((-high, -low))
