"""Running coverage of a campaign: what counts as measured after the fit, widened intervals, and what cards say."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

import predictors
from hwsearch.api.results import predictions
from hwsearch.campaigns import Campaign
from hwsearch.campaigns import running as module
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.predictions import predict, predict_rows, predictor_path
from hwsearch.campaigns.running import later_measurements, predict_widened, predicted_interval, record_coverage, running
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.steps.report_predictors import predictor_warnings
from hwsearch.spaces import Choice, SearchSpace

SPACE = SearchSpace("tiny", [Choice("depth", (1, 2, 3, 4)), Choice("width", (8, 16, 32, 64))])
ARCHS = SPACE.sample(12, np.random.default_rng(0))


@pytest.fixture
def campaign(tmp_path):
    (tmp_path / "predictors").mkdir()
    net = SimpleNamespace(features_array=lambda rows: (rows.astype(float), None))
    return SimpleNamespace(folder=tmp_path, loaded=SimpleNamespace(net=net), space=SPACE)


@pytest.fixture
def measured(with_processes: Campaign) -> Campaign:
    """A finished campaign whose predictors may be changed."""
    return with_processes


def test_the_search_and_the_validation_tell_the_cards(finished) -> None:
    campaign = Campaign.open(finished[0])
    known = Known.read(campaign)
    for metric, device in [("accuracy", None), *(("latency_ms", name) for name in campaign.targets)]:
        card, found = (
            predictors.read_card(predictor_path(campaign, metric, device)),
            running(campaign, known, metric, device),
        )
        assert card["coverage"] == (None if found is None else found.to_dict())


def test_only_what_the_fit_had_not_seen_counts_and_once(measured: Campaign) -> None:
    known = Known.read(measured)
    card = predictors.read_card(predictor_path(measured, "accuracy", None))
    ids, y = later_measurements(measured, known, "accuracy", None)
    scored = known.accuracy(Split.VALIDATION)
    assert sorted(ids) == sorted(set(scored) - set(card["ids"])) and len(ids) == len(set(ids)) > 0
    assert y.tolist() == [scored[i].value for i in ids]
    name = next(iter(measured.targets))
    ids, y = later_measurements(measured, known, "latency_ms", name)
    seen = set(predictors.read_card(predictor_path(measured, "latency_ms", name))["ids"])
    assert not seen & set(ids) and set(ids) | seen == set(known.latency(name)) and len(ids) == len(set(ids))


def test_cards_say_what_the_search_and_the_validation_measured(measured: Campaign) -> None:
    known = Known.read(measured)
    for metric, device in (("accuracy", None), ("latency_ms", next(iter(measured.targets)))):
        path = predictor_path(measured, metric, device)
        card, found = predictors.read_card(path), running(measured, known, metric, device)
        assert found is not None and card["coverage"] == found.to_dict()
        ids, y = later_measurements(measured, known, metric, device)
        told = predict(measured, metric, device, [known.architectures[i] for i in ids], 0.95)
        inside = int(((told["low"] <= y) & (y <= told["high"])).sum())
        exact = binomtest(inside, len(y)).proportion_ci(0.95, method="exact")
        assert card["coverage"]["inside"] == inside
        assert (card["coverage"]["low"], card["coverage"]["high"]) == pytest.approx((exact.low, exact.high))
        before = path.read_bytes()
        record_coverage(measured)
        assert path.read_bytes() == before


def test_intervals_that_held_too_little_are_widened_and_it_is_said(measured: Campaign, monkeypatch) -> None:
    known = Known.read(measured)
    name = next(iter(measured.targets))
    rows = measured.space.to_array(measured.space.sample(5, np.random.default_rng(0)))
    narrow = predict_rows

    def too_narrow(campaign, metric, device, rows, coverage=0.95):
        found = narrow(campaign, metric, device, rows, coverage)
        for end in ("low", "high"):
            found[end] = found["value"] + 1e-3 * (found[end] - found["value"])
        return found

    plain, before = predict_widened(measured, known, "latency_ms", name, rows, 0.9)
    monkeypatch.setattr(module, "predict_rows", too_narrow)
    wide, found = predict_widened(measured, known, "latency_ms", name, rows, 0.9)
    given = too_narrow(measured, "latency_ms", name, rows, 0.9)
    assert before is not None and found is not None and found.report.too_narrow and found.factor > 1
    np.testing.assert_allclose(wide["high"] - wide["value"], found.factor * (given["high"] - given["value"]))
    np.testing.assert_allclose(wide["value"] - wide["low"], found.factor * (given["value"] - given["low"]))
    assert any("times as wide" in said for said in predictor_warnings(measured, known))
    told = predictions(measured, "largest", name)
    assert any(said.startswith(f"latency_ms on {name}: Intervals of 95 %") for said in told.warnings)
    assert (told.running["factor"] > 1).all()
    record_coverage(measured)
    assert predictors.read_card(predictor_path(measured, "latency_ms", name))["coverage"]["factor"] > 1


def test_nothing_measured_later_widens_nothing(measured: Campaign) -> None:
    known = Known.read(measured)
    path = predictor_path(measured, "accuracy", None)
    card = predictors.read_card(path)
    predictors.replace_card(path, card | {"ids": list(known.architectures), "coverage": None})
    assert running(measured, known, "accuracy", None) is None
    predictors.replace_card(path, {k: v for k, v in card.items() if k != "ids"})  # of an earlier version
    seen = {a.id for a in measured.profile_set.timed}
    assert set(later_measurements(measured, known, "accuracy", None)[0]) == set(known.accuracy(Split.VALIDATION)) - seen


def intervals(monkeypatch, finite_below: float):
    """A predictor of value 5 ± 1 whose intervals are infinite from `finite_below` of coverage on."""
    asked = []

    def predict_widened(campaign, known, metric, device, rows, coverage):
        asked.append(coverage)
        half = 1.0 if coverage < finite_below else np.inf
        return pd.DataFrame({"value": [5.0], "low": [5.0 - half], "high": [5.0 + half]}), None

    monkeypatch.setattr(module, "predict_widened", predict_widened)
    monkeypatch.setattr(module.Known, "read", lambda campaign: None)
    return asked


@pytest.mark.parametrize(
    "finite_below, coverage, asked, half",
    [
        (1.0, 0.95, [0.95], 1.0),
        (0.92, 0.95, [0.95, 0.9], 1.959964 / 1.644854),  # quantiles of the normal distribution
        (0.7, 0.95, [0.95, 0.9, 0.68], 1.959964 / 0.994458),
        (1.0, 0.8, [0.8], 1.0),
        (0.7, 0.8, [0.8, 0.68], 1.281552 / 0.994458),  # 0.9 is wider than what is wanted and not asked
    ],
)
def test_a_coverage_that_the_fit_is_too_small_for_is_scaled_from_a_narrower_one(
    campaign, monkeypatch, finite_below, coverage, asked, half
) -> None:
    predictor_path(campaign, "latency_ms", "board").touch()
    seen = intervals(monkeypatch, finite_below)
    value, wide = predicted_interval(campaign, "latency_ms", "board", ARCHS[:1], coverage)
    assert seen == asked and value == [5.0]
    assert wide == pytest.approx([half], rel=1e-5)


def test_no_interval_without_a_fit_or_with_one_of_too_few_rows(campaign, monkeypatch) -> None:
    intervals(monkeypatch, 0.0)
    assert predicted_interval(campaign, "latency_ms", "board", ARCHS, 0.9) is None
    predictor_path(campaign, "latency_ms", "board").touch()
    assert predicted_interval(campaign, "latency_ms", "board", ARCHS, 0.9) is None
