"""Measured subnets as a table: columns of computed metrics, rows in step with architectures, the largest's values."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hwsearch.campaigns import measured as module
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import MeasuredSet, largest_values, measured_set, shares
from hwsearch.campaigns.purpose import SEARCH, VALIDATE
from hwsearch.campaigns.split import Split
from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective
from hwsearch.spaces import Choice, SearchSpace
from hwsearch.store import Measurement

SPACE = SearchSpace("tiny", [Choice("depth", (1, 2, 3)), Choice("width", (8, 16))])
ARCHS = sorted(SPACE.sample(4, np.random.default_rng(1)), key=lambda a: a.id)
BY_ID = {a.id: a for a in ARCHS}


def row(arch, metric, value) -> Measurement:
    return Measurement(arch.id, metric, "d", "p", "search", value, "u")


def campaign(objectives=("accuracy", "latency")):
    asked = [Objective(o) if isinstance(o, str) else o for o in objectives]
    return SimpleNamespace(
        device_metrics=lambda name: ["latency_ms"],
        objectives=lambda name: asked,
        space=SPACE,
        loaded=SimpleNamespace(net="net"),
    )


@pytest.fixture
def metrics(monkeypatch):
    """Computed metrics in place of those of networks: ``macs`` counts depth and width; others are added here."""
    found = {"macs": lambda net, rows: rows.sum(axis=1).astype(float)}
    monkeypatch.setattr(module, "METRICS", SimpleNamespace(names=lambda: list(found)))
    monkeypatch.setattr(module, "computed_metric", lambda name: SimpleNamespace(values=found[name]))
    return found


def known(purpose=SEARCH, split=Split.VALIDATION) -> Known:
    scores = {(split, purpose): {a.id: row(a, "accuracy", 80.0 + i) for i, a in enumerate(ARCHS[:2])}}
    times = {("board", "latency_ms", purpose): {a.id: row(a, "latency_ms", 1.0 + i) for i, a in enumerate(ARCHS[1:3])}}
    return Known(BY_ID, scores, times)


TARGET = SimpleNamespace(name="board")


@pytest.mark.parametrize("purpose, split", [(SEARCH, Split.VALIDATION), (VALIDATE, Split.TEST)])
def test_a_row_for_each_subnet_with_any_measurement_and_nan_where_one_lacks(metrics, purpose, split) -> None:
    found = measured_set(campaign(), known(purpose, split), TARGET, purpose)
    assert found.archs == ARCHS[:3] and len(found) == 3
    np.testing.assert_array_equal(found.values("accuracy"), [80.0, 81.0, np.nan])
    np.testing.assert_array_equal(found.values("latency_ms"), [np.nan, 1.0, 2.0])
    np.testing.assert_array_equal(found.values("macs"), SPACE.to_array(ARCHS[:3]).sum(axis=1))
    assert found.complete(["accuracy", "latency_ms"]).archs == [ARCHS[1]]


def test_subnets_of_another_space_are_left_out(metrics) -> None:
    other = known()
    few = Known({ARCHS[1].id: ARCHS[1]}, other.scores, other.on_devices)
    assert measured_set(campaign(), few, TARGET).archs == [ARCHS[1]]


def test_a_plug_ins_metric_that_fails_matters_only_where_it_is_asked_for(metrics) -> None:
    def fails(net, rows):
        raise SearchError("made for another family.")

    metrics["mine"] = fails
    assert "mine" not in measured_set(campaign(), known(), TARGET).frame
    with pytest.raises(SearchError, match="another family"):
        measured_set(campaign(["accuracy", Objective("mine", "min")]), known(), TARGET)
    metrics["macs"] = fails  # one of ours must not fail
    with pytest.raises(SearchError, match="another family"):
        measured_set(campaign(), known(), TARGET)


def test_the_largest_subnets_values_are_those_that_are_known() -> None:
    largest = SPACE.largest()
    frame = pd.DataFrame({"arch_id": ["x", largest.id], "latency_ms": [1.0, 7.0], "accuracy": [50.0, np.nan]})
    assert largest_values(campaign(), MeasuredSet(frame)) == {"latency_ms": 7.0}
    assert largest_values(campaign(), MeasuredSet(frame[:1])) == {}


def test_rows_and_architectures_stay_together_when_some_are_kept() -> None:
    measured = MeasuredSet(pd.DataFrame({"arch_id": [a.id for a in ARCHS], "x": [3.0, 1.0, 2.0, 0.0]}), BY_ID)
    kept = measured.where(measured.values("x") > 1)
    assert kept.archs == [ARCHS[0], ARCHS[2]] and list(kept.frame.index) == [0, 1]


def test_a_share_is_unknown_where_one_device_is() -> None:
    found = shares(np.array([[2.0, np.nan], [2.0, 3.0]]), np.array([1.0, 6.0]), np.array([3.0, 1.0]))
    np.testing.assert_array_equal(found["latency_share_worst"], [np.nan, 2.0])
    np.testing.assert_array_equal(found["latency_share_weighted"], [np.nan, 0.75 * 2 + 0.25 * 0.5])
