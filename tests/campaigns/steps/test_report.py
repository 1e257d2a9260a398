"""The report of a finished campaign: how often it asks the store, and how fronts compare between devices."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

import hwsearch
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.measured import MeasuredSet
from hwsearch.campaigns.steps import report_curve
from hwsearch.campaigns.steps.report_curve import hypervolume_curve
from hwsearch.campaigns.steps.report_devices import kept_elsewhere
from hwsearch.store import Store

QUESTIONS = ("find", "frame", "failures", "architectures", "architecture", "get_state")


def test_a_report_asks_the_store_few_questions(finished, monkeypatch) -> None:
    """What the store holds is read once and handed on; it was asked 130 times when each part asked for itself."""
    asked: Counter[str] = Counter()

    def counting(name: str):
        real = getattr(Store, name)

        def call(self, *args, **kwargs):
            asked[name] += 1
            return real(self, *args, **kwargs)

        return call

    for name in QUESTIONS:
        monkeypatch.setattr(Store, name, counting(name))
    campaign = Campaign.open(finished[0])
    assert len(campaign.targets) == 2
    assert hwsearch.report(campaign)["models"]
    assert sum(asked.values()) <= 25, asked


def test_what_a_front_of_another_device_keeps_here() -> None:
    """Two points here; the other device's front has the one that covers three quarters of the area."""
    frame = pd.DataFrame({"arch_id": ["a", "b"], "accuracy": [60.0, 80.0], "latency_ms": [1.0, 2.0]})
    here = MeasuredSet(frame)
    both = kept_elsewhere(here, {"same": {"a", "b"}, "none": {"x"}, "one": {"b"}})
    assert both["same"] == pytest.approx(1.0) and both["none"] == 0.0 and 0 < both["one"] < 1


def test_the_curve_begins_after_the_profile_and_ends_at_one() -> None:
    role = ["random"] * 2 + ["profile"] * 3 + ["search"] * 2
    points = pd.DataFrame(
        {
            "role": role,
            "accuracy": [50.0, 60, 55, 65, 70, 75, 80],
            "latency_ms": [5.0, 4, 3, 4, 5, 3, 3],
            "evaluation": np.arange(7),
        }
    )
    curve = hypervolume_curve(points)
    assert curve["search"].isna().tolist() == [True, True, False, False, False]
    assert curve["search"].iloc[-1] == pytest.approx(1.0) and (curve["search"].diff().dropna() >= 0).all()
    assert curve["random_median"].notna().tolist() == [True, True, False, False, False]
    assert hypervolume_curve(points.iloc[:2]).empty


def test_a_curve_of_many_is_told_at_some_of_them(monkeypatch) -> None:
    """Each value is the area under the stairs of the first rows, counted one strip after the other."""
    monkeypatch.setattr(report_curve, "MOST_STEPS", 9)
    rng = np.random.default_rng(1)
    points = pd.DataFrame({"accuracy": rng.uniform(50, 60, 80), "latency_ms": rng.uniform(1, 2, 80)})
    points = points.assign(role="search", evaluation=np.arange(80.0))
    curve = hypervolume_curve(points)
    assert list(curve["evaluations"]) == [1, 11, 21, 31, 40, 50, 60, 70, 80]

    def area(rows: pd.DataFrame) -> float:
        best, total, before = 0.0, 0.0, None
        low, high = points["accuracy"].min(), points["latency_ms"].max()
        reference = low - 0.05 * np.ptp(points["accuracy"]), high + 0.05 * np.ptp(points["latency_ms"])
        for row in rows.sort_values("latency_ms").itertuples():
            total += best * (row.latency_ms - before) if before is not None else 0.0
            best, before = max(best, row.accuracy - reference[0]), row.latency_ms
        return total + best * (reference[1] - before)

    wanted = [area(points.head(n)) / area(points) for n in curve["evaluations"]]
    np.testing.assert_allclose(curve["search"], wanted)
