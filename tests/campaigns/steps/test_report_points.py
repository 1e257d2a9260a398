"""Points of a report: the role of each subnet, its order, both intervals, and predictions of what was not fitted on."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import MeasuredSet
from hwsearch.campaigns.profile_set import ProfileSet
from hwsearch.campaigns.purpose import SEARCH, VALIDATE
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.steps import report_points
from hwsearch.campaigns.steps.report_points import (
    chosen,
    drawn_points,
    pick_entry,
    score_error,
    searched_points,
    validated_points,
)
from hwsearch.spaces import Choice, SearchSpace
from hwsearch.store import Measurement

SPACE = SearchSpace("tiny", [Choice("depth", (1, 2, 3)), Choice("width", (8, 16))])
A, B, C = SPACE.sample(3, np.random.default_rng(0))
TARGET = SimpleNamespace(name="board")
PROFILED = ProfileSet([A, B], [A, B], [A])


def score(arch, value, purpose="search") -> Measurement:
    return Measurement(arch.id, "accuracy", "s", "p", purpose, value, "%", details={"standard_error": 0.5})


def latency(arch, value, **details) -> Measurement:
    ends = {"low": value - 0.5, "high": value + 0.5}
    return Measurement(arch.id, "latency_ms", "d", "p", "search", value, "ms", **ends, details=details)


def table(**columns) -> MeasuredSet:
    archs = (A, B, C)
    frame = pd.DataFrame({"arch_id": [a.id for a in archs], "accuracy": [70.0, 80.0, 90.0], "latency_ms": [1.0, 2, 3]})
    return MeasuredSet(frame.assign(macs=[1e6, 2e6, 3e6], params=[10, 20, 30], **columns), {a.id: a for a in archs})


@pytest.fixture
def asked(monkeypatch) -> list:
    """Predictions are 10 times the place in what was asked for."""
    found = []

    def predict(campaign, metric, device, archs):
        found.append((metric, device, [a.id for a in archs]))
        return pd.DataFrame({"value": [10.0 * i for i, _ in enumerate(archs)]})

    monkeypatch.setattr(report_points, "predict", predict)
    return found


def test_a_score_has_its_error_and_nothing_has_none() -> None:
    assert score_error(score(A, 70.0)) == 0.5 and math.isnan(score_error(None))


def test_searched_points(asked, monkeypatch) -> None:
    monkeypatch.setattr(report_points, "measured_set", lambda *_: table())
    times = {A.id: latency(A, 1.0, ratio_low=0.9, ratio_high=1.1), C.id: latency(C, 3.0)}
    known = Known(
        scores={(Split.VALIDATION, SEARCH): {B.id: score(B, 80.0), C.id: score(C, 90.0)}},
        on_devices={("board", "latency_ms", SEARCH): times},
    )
    rows = searched_points(None, known, TARGET, PROFILED)
    assert list(rows["role"]) == ["random", "profile", "search"]
    np.testing.assert_array_equal(rows["evaluation"], [np.nan, 0, 1])
    np.testing.assert_array_equal(rows["accuracy_se"], [np.nan, 0.5, 0.5])
    np.testing.assert_array_equal(rows["latency_low"], [0.5, np.nan, 2.5])
    np.testing.assert_array_equal(rows["latency_ratio_high"], [1.1, np.nan, 3.5])
    known = Known(architectures={a.id: a for a in (A, B, C)})
    rows = drawn_points(None, known, TARGET, rows)
    assert list(rows["genes"]) == [a.to_dict() for a in (A, B, C)]
    assert asked == [("accuracy", None, [C.id]), ("latency_ms", "board", [C.id])]  # those fitted on are not predicted
    np.testing.assert_array_equal(rows["predicted_latency_ms"], [np.nan, np.nan, 0.0])


def test_a_profile_alone_is_not_predicted(asked, monkeypatch) -> None:
    monkeypatch.setattr(report_points, "measured_set", lambda *_: table())
    known = Known(architectures={a.id: a for a in (A, B, C)})
    rows = drawn_points(None, known, TARGET, searched_points(None, known, TARGET, ProfileSet([A, B, C], [A], [])))
    assert asked == [] and rows["predicted_accuracy"].isna().all()


def test_what_is_drawn_of_many() -> None:
    rng = np.random.default_rng(0)
    points = pd.DataFrame(
        {"accuracy": rng.uniform(50, 60, 400), "latency_ms": rng.uniform(5, 9, 400), "role": "search"}
    )
    points["evaluation"] = rng.permutation(400).astype(float)
    points["macs"] = rng.uniform(1, 2, 400)
    points.loc[7, ["accuracy", "latency_ms"]] = [90.0, 1.0]  # dominates all
    points.loc[8, "macs"] = 3.0
    points.loc[[20, 21], "role"] = "random"
    points.loc[30, "accuracy"] = np.nan
    keep = chosen(points, 100)
    assert keep.sum() == 100 and keep[[7, 8, 20, 21]].all()
    others = np.sort(points["evaluation"][keep & ~points.index.isin([7, 8, 20, 21])])
    assert np.diff(others).max() <= 10  # evenly over the order: 396 others, 96 of them
    assert chosen(points, 400).all() and chosen(points, 2).sum() == 4  # what has to be there is


def test_validated_points(asked) -> None:
    ends = {"latency_ms_low": 0.9, "latency_ms_high": 1.2, "latency_ms_ratio_low": 0.95, "latency_ms_ratio_high": 1.1}
    known = Known(scores={(Split.TEST, VALIDATE): {A.id: score(A, 70.0, "validate")}})
    fresh = table(**ends, front_probability=[0.1, 0.2, 0.3])
    rows = validated_points(None, known, TARGET, fresh, {B.id}, PROFILED)
    assert list(rows["role"]) == ["validated"] * 3 and list(rows["on_front"]) == [False, True, False]
    assert list(rows["front_probability"]) == [0.1, 0.2, 0.3]
    assert (rows["latency_low"][0], rows["latency_ratio_low"][0]) == (0.9, 0.95)
    np.testing.assert_array_equal(rows["accuracy_se"], [0.5, np.nan, np.nan])
    np.testing.assert_array_equal(rows["predicted_latency_ms"], [np.nan, np.nan, 20.0])


def test_a_pick_names_its_files_below_its_device() -> None:
    names = ("accuracy_se", "latency_low", "latency_high", "latency_ratio_low", "latency_ratio_high")
    validated = table(**{n: float(i) for i, n in enumerate(names)}, genes=[a.to_dict() for a in (A, B, C)]).frame
    files = [{"file": "m.onnx", "sha256": "1"}, {"file": "decoder.onnx", "sha256": "2"}]
    card = {"architecture": {"id": B.id}, "label": "best", "device": "board", "sha256": "1", "bytes": 7}
    found = pick_entry({**card, "file": "m.onnx", "files": files}, validated)
    assert (found["arch_id"], found["accuracy"], found["latency_ms"]) == (B.id, 80.0, 2.0)
    assert found["file"] == "models/board/m.onnx" and found["size_bytes"] == 7
    assert found["further_files"] == [{"file": "models/board/decoder.onnx", "sha256": "2"}]
    assert [found[n] for n in names] == [0.0, 1.0, 2.0, 3.0, 4.0]
