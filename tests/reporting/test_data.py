"""Report data goes through JSON unchanged and refuses what it cannot show."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hwsearch.errors import DataError
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.objective import Objective
from hwsearch.reporting import DeviceReport, ReportData

Make = Callable[..., ReportData]


def test_json_round_trip_keeps_every_value(make_report: Make, tmp_path: Path) -> None:
    report = make_report(2)
    report.objectives.append(Objective("latency_ms", device="edge", limit=Limit("<=", 0.6, relative=True)))
    report.save(tmp_path / "report.json")
    again = ReportData.load(tmp_path / "report.json")
    assert again.to_dict() == report.to_dict()
    assert again.objectives == report.objectives
    for mine, theirs in zip(report.devices, again.devices, strict=True):
        pd.testing.assert_frame_equal(mine.points, theirs.points)
        pd.testing.assert_frame_equal(mine.front, theirs.front)
        pd.testing.assert_frame_equal(mine.hypervolume, theirs.hypervolume)
        pd.testing.assert_frame_equal(mine.random_points, theirs.random_points)


def test_json_is_strict_and_nan_becomes_null(make_report: Make) -> None:
    text = make_report(1).to_json()

    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is not JSON")

    device = json.loads(text, parse_constant=refuse)["devices"][0]
    column = device["points"]["columns"].index("predicted_accuracy")
    values = [row[column] for row in device["points"]["rows"]]
    assert None in values and any(isinstance(v, float) for v in values)


def test_front_is_sorted_and_the_input_is_not_changed() -> None:
    frame = pd.DataFrame(
        {
            "arch_id": ["b", "a"],
            "role": ["validated"] * 2,
            "genes": [{}, {}],
            "accuracy": [80, 70],
            "latency_ms": [2.0, 1.0],
        }
    )
    before = frame.copy(deep=True)
    device = DeviceReport("x", points=frame, front=frame)
    assert list(device.front["arch_id"]) == ["a", "b"]
    assert math.isnan(device.front["accuracy_se"][0]) and not device.front["on_front"].any()
    pd.testing.assert_frame_equal(frame, before)


def test_numpy_values_are_written(make_report: Make) -> None:
    report = make_report(1)
    report.devices[0].noise = {"a": np.float32(0.5), "b": np.int64(3), "c": np.array([1, 2]), "d": np.bool_(True)}
    noise = ReportData.from_json(report.to_json()).devices[0].noise
    assert noise == {"a": 0.5, "b": 3, "c": [1, 2], "d": True}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"role": ["boss"]}, "boss"),
        ({"accuracy": ["high"]}, "high"),
    ],
)
def test_bad_points_are_named(change: dict[str, list[str]], named: str) -> None:
    good = {"arch_id": ["a"], "role": ["search"], "genes": [{}], "accuracy": [1.0], "latency_ms": [1.0]}
    with pytest.raises(DataError, match=named):
        DeviceReport("x", points=pd.DataFrame(good | change))


def test_missing_column_is_named() -> None:
    with pytest.raises(DataError, match="latency_ms"):
        DeviceReport("x", points=pd.DataFrame({"arch_id": ["a"], "role": ["search"], "genes": [{}], "accuracy": [1]}))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "hwsearch-report-1"}'])
def test_foreign_json_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        ReportData.from_json(text)
