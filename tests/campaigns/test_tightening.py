"""Limits with a probability, for tactics that know no confidence."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hwsearch.campaigns import tightening as module
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import WORST, MeasuredSet
from hwsearch.campaigns.predictions import predict
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.steps.evaluate import evaluate
from hwsearch.campaigns.steps.fit import fit
from hwsearch.campaigns.steps.profile import profile
from hwsearch.campaigns.tightening import NEAREST, tightened
from hwsearch.campaigns.views import views
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.objective import Objective

ACCURACY, LATENCY = {"metric": "accuracy"}, {"metric": "latency"}


# ---------------------------------------------------------------------- worked by hand, without a campaign
CAMPAIGN: Any = SimpleNamespace(final_protocol=SimpleNamespace(confidence=0.95))
VIEW: Any = SimpleNamespace(name="phone")
AT_MOST_TEN = Objective("latency_ms", limit=Limit("<=", 10.0), probability=0.9)
AT_LEAST_75 = Objective("accuracy", limit=Limit(">=", 75.0), probability=0.95)


def made_up(values: dict[str, list[float]]) -> MeasuredSet:
    frame = pd.DataFrame(values)
    ids = [f"a{k}" for k in range(len(frame))]
    return MeasuredSet(frame.assign(arch_id=ids), {i: i.upper() for i in ids})  # type: ignore[misc]


def spreads(values: list[float | None], of: str = "a") -> dict[str, Any]:
    return {f"{of}{k}": SimpleNamespace(spread=s) for k, s in enumerate(values)}


def known(latency: dict[str, Any] | None = None, accuracy: dict[str, Any] | None = None) -> Any:
    """The phone's latencies, and accuracies on the validation split; anything else is not known."""
    return SimpleNamespace(
        metric=lambda device, metric: {("phone", "latency_ms"): latency}[device, metric],
        score=lambda metric, split: {("accuracy", Split.VALIDATION): accuracy}[metric, split],
    )


def limit_of(objective: Objective, measured: MeasuredSet, store: Any) -> float:
    found = tightened(CAMPAIGN, VIEW, measured, store, objective).limit
    assert found is not None and objective.limit is not None and found.op == objective.limit.op
    return found.value


@pytest.fixture
def predictor(monkeypatch: pytest.MonkeyPatch) -> list[tuple]:
    """What a predictor was asked for, by what it answers with; none is fitted while that is empty."""
    answers: list[tuple] = []
    asked: list[tuple] = []

    def predicted_interval(campaign, metric, device, archs, coverage):
        asked.append((metric, device, archs, coverage))
        return (np.zeros(len(archs)), answers[0]) if answers else None

    monkeypatch.setattr(module, "predicted_interval", predicted_interval)
    return [answers, asked]  # type: ignore[list-item]


@pytest.mark.parametrize(
    "objective",
    [
        Objective("latency_ms"),
        Objective("latency_ms", limit=Limit("<=", 10.0)),
        Objective("macs", limit=Limit("<=", 10.0), probability=0.9),
    ],
)
def test_what_has_no_probability_or_is_computed_stays_as_it_is(objective: Objective, predictor: list) -> None:
    assert tightened(CAMPAIGN, VIEW, made_up({"latency_ms": [9.0]}), known(spreads([0.5])), objective) is objective


def test_the_median_half_of_the_predicted_intervals_is_the_margin(predictor: list) -> None:
    """Halves of 0.1, 0.3 and 0.8: an upper limit comes down by 0.3, a lower one goes up. 0.9 on one side is 0.8 on both."""
    answers, asked = predictor
    answers.append(np.array([0.1, 0.8, 0.3]))
    assert limit_of(AT_MOST_TEN, made_up({"latency_ms": [9.0, np.nan, 8.0, 10.5]}), known()) == pytest.approx(9.7)
    assert limit_of(AT_LEAST_75, made_up({"accuracy": [74.0, 70.0, 76.5]}), known()) == pytest.approx(75.3)
    assert asked == [
        ("latency_ms", "phone", ["A3", "A0", "A2"], pytest.approx(0.8)),  # those measured, the nearest first
        ("accuracy", None, ["A0", "A2", "A1"], pytest.approx(0.9)),
    ]


def test_measured_intervals_are_scaled_to_the_probability(predictor: list) -> None:
    """Without a predictor: halves at 95 % reach 1.96 deviations, of which a probability of 0.9 takes 1.2816.

    Those of an accuracy are at 95 %, too, of which a probability of 0.95 takes 1.6449 deviations.
    """
    measured = made_up({"latency_ms": [9.0, 8.0, 10.5], "accuracy": [74.0, 70.0, 76.5]})
    margin = 0.3 * 1.2815516 / 1.9599640
    assert limit_of(AT_MOST_TEN, measured, known(spreads([0.1, 0.8, 0.3]))) == pytest.approx(10.0 - margin)
    assert limit_of(AT_LEAST_75, measured, known(accuracy=spreads([0.5, 0.2, 0.9]))) == pytest.approx(
        75 + 0.5 * 1.6448536 / 1.9599640, abs=1e-4
    )
    # one was not measured with an interval, one not at all
    assert limit_of(AT_MOST_TEN, measured, known(spreads([0.1, None]))) == pytest.approx(10.0 - margin / 3)
    assert limit_of(AT_MOST_TEN, measured, known(spreads([None]))) == 10.0
    assert limit_of(AT_MOST_TEN, measured, known({})) == 10.0


def test_without_any_measured_value_nothing_is_tightened(predictor: list) -> None:
    predictor[0].append(np.array([0.5]))
    assert limit_of(AT_MOST_TEN, made_up({"latency_ms": [np.nan, np.nan]}), known()) == 10.0
    assert predictor[1] == []


def test_only_the_twenty_nearest_to_the_limit_count(predictor: list) -> None:
    """On both sides of it: of 41 values the halves of the outer ones, on either side, are ten times as wide."""
    values = np.arange(41) - 10.4  # -10.4 to 29.6; the twenty nearest to 10 are 0.6 to 19.6
    halves = [0.1 if 0.5 < v < 19.7 else 1.0 for v in values]
    assert halves.count(0.1) == 20
    measured = made_up({"latency_ms": values.tolist()})
    limit_of(AT_MOST_TEN, measured, known(spreads(halves)))
    (asked,) = predictor[1]
    assert sorted(asked[2]) == sorted(f"A{k}" for k, half in enumerate(halves) if half == 0.1)


def test_the_worst_device_is_tightened_by_the_largest_share_among_those_limited(
    predictor: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Margins of 0.3 ms of 2 and of 0.4 ms of 4: 0.15 counts. The third device has no limit, and the widest intervals."""
    targets = [SimpleNamespace(name=n) for n in ("a", "b", "c")]
    view: Any = SimpleNamespace(name="all", targets=targets)
    monkeypatch.setattr(module, "latency_limit", lambda campaign, t: None if t.name == "c" else Limit("<=", 1.0))
    halves = {"a": 0.3, "b": 0.4, "c": 9.0}
    asked = []

    def predicted_interval(campaign, metric, device, archs, coverage):
        asked.append((metric, device, archs, round(coverage, 9)))
        return np.zeros(1), np.array([halves[device]])

    monkeypatch.setattr(module, "predicted_interval", predicted_interval)
    frame = made_up({f"latency_ms@{n}": [1.9, 4.1] for n in "abc"})
    measured = MeasuredSet(frame.frame, frame.by_id, np.array([2.0, 4.0, 8.0]))
    read = "_".join(["latency", "share", "worst"])  # a name that was read, and is no constant
    objective = Objective(read, "min", limit=Limit("<=", 1.0), probability=0.9)
    found = tightened(CAMPAIGN, view, measured, known(), objective)
    assert found.limit == Limit("<=", pytest.approx(0.85))  # type: ignore[arg-type]
    # each near its own scale
    assert asked == [("latency_ms", "a", ["A0", "A1"], 0.8), ("latency_ms", "b", ["A1", "A0"], 0.8)]


# ---------------------------------------------------------------------- of a campaign
@pytest.mark.parametrize("fitted", [True, False])
def test_a_tactic_that_knows_no_confidence_gets_a_tighter_limit(boards, fitted) -> None:
    objectives = [ACCURACY, LATENCY | {"limit": "<= 1.5 ms", "probability": 0.9}]
    campaign = boards(noise=0.02, search={"rounds": 0}, objective=objectives)
    profile(campaign), evaluate(campaign)
    if fitted:
        fit(campaign)
    view = views(campaign)[0]
    known = Known.read(campaign)
    measured = view.measured(known)
    frame = measured.frame
    (tight,) = [tightened(campaign, view, measured, known, o) for o in view.resolved(measured) if o.limit]
    near = frame.iloc[np.argsort(np.abs(frame["latency_ms"] - 1.5).to_numpy())[:NEAREST]]
    if fitted:
        archs = [a for i in near["arch_id"] for a in campaign.store.architectures(campaign.space) if a.id == i]
        wide = predict(campaign, "latency_ms", "one", archs, 0.8)
        expected = np.median(wide["high"] - wide["low"]) / 2
    else:
        rows = campaign.store.frame(metric="latency_ms", subject=campaign.target("one").fingerprint)
        half = ((rows["high"] - rows["low"]) / 2)[rows["arch_id"].isin(near["arch_id"])]
        expected = half.median() / stats.norm.ppf(0.975) * stats.norm.ppf(0.9)
    assert math.isfinite(expected) and expected > 0
    assert tight.limit.value == pytest.approx(1.5 - expected)


def test_the_limit_on_the_worst_device_is_tightened_by_the_widest_margin(boards) -> None:
    """Each device's margin near its own limit, as a share of that limit; the largest counts."""
    limits = {"one": 1.5, "two": 2.0}
    latencies = [LATENCY | {"device": d, "limit": f"<= {v} ms", "probability": 0.9} for d, v in limits.items()]
    campaign = boards(noise=0.02, search={"rounds": 0, "deployment": "worst-case"}, objective=[ACCURACY, *latencies])
    profile(campaign), evaluate(campaign)
    view = views(campaign)[-1]
    known = Known.read(campaign)
    measured = view.measured(known)
    assert view.joint and measured.scales is not None and sorted(measured.scales) == [1.5, 2.0]
    (worst,) = [o for o in view.resolved(measured) if o.name == WORST]
    shares = []
    for name, limit in limits.items():
        rows = campaign.store.frame(metric="latency_ms", subject=campaign.target(name).fingerprint).set_index("arch_id")
        there = rows.loc[[i for i in measured.ids if i in rows.index]]
        near = there.iloc[np.argsort(np.abs(there["value"] - limit).to_numpy(), kind="stable")[:NEAREST]]
        half = ((near["high"] - near["low"]) / 2).median()
        shares.append(half / stats.norm.ppf(0.975) * stats.norm.ppf(0.9) / limit)
    assert worst.limit is not None and min(shares) < max(shares)
    tight = tightened(campaign, view, measured, known, worst)
    assert tight.limit is not None and tight.limit.value == pytest.approx(worst.limit.value - max(shares), rel=1e-6)
