"""The sentence and the facts below it follow from the numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from hwsearch.objectives.limit import Limit
from hwsearch.objectives.objective import Objective
from hwsearch.reporting import DeviceReport, ReportData
from hwsearch.reporting.facts import headline, kendall, largest, limits, measured, named_points, pretty_label
from hwsearch.reporting.labels import place
from hwsearch.reporting.words import ScoreName

Make = Callable[..., ReportData]


def _report() -> ReportData:
    rows = [("small", 80.0, 1.0, 1e6), ("knee", 83.0, 2.0, 2e6), ("big", 84.0, 4.2, 4e6)]
    frame = pd.DataFrame(
        {
            "arch_id": [r[0] for r in rows],
            "role": "validated",
            "genes": [{"r": 32}] * 3,
            "accuracy": [r[1] for r in rows],
            "accuracy_se": [0.3, 0.3, 0.4],
            "latency_ms": [r[2] for r in rows],
            "latency_low": [r[2] * 0.99 for r in rows],
            "latency_high": [r[2] * 1.01 for r in rows],
            "macs": [r[3] for r in rows],
        }
    )
    pick = {"label": "knee", "arch_id": "knee"} | frame.loc[1, ["accuracy", "accuracy_se", "latency_ms"]].to_dict()
    pick |= {"latency_low": 1.98, "latency_high": 2.02}
    device = DeviceReport("edge-box", points=frame, front=frame, picks=[pick])
    return ReportData("t", "c", "2025-01-01", supernet={"macs_range": [1e6, 4e6]}, devices=[device])


def test_the_sentence() -> None:
    report = _report()
    assert headline(report.devices[0], report) == (
        "3 measured subnets are Pareto-optimal; the knee loses 1.0 ± 1.0 points of top-1 "
        "and is 2.1× (2.1–2.1) faster than the largest."
    )


def test_the_sentence_does_not_call_a_smaller_subnet_the_largest() -> None:
    report = _report()
    report.supernet["macs_range"] = [1e6, 9e6]
    assert headline(report.devices[0], report).endswith("faster than the largest that was measured.")


def test_accuracies_on_other_images_are_not_subtracted() -> None:
    report = _report()
    report.devices[0].points.loc[2, "role"] = "profile"
    sentence = headline(report.devices[0], report)
    assert "points of" not in sentence and "2.1× (2.1–2.1) faster" in sentence


def test_the_sentence_without_front_or_knee() -> None:
    report = _report()
    report.devices[0].picks = []
    assert headline(report.devices[0], report) == "3 measured subnets are Pareto-optimal."
    report.devices.append(DeviceReport("empty"))
    assert headline(report.devices[1], report) == "no subnet was validated yet."


def test_a_subnet_measured_twice_counts_once_as_validated() -> None:
    report = _report()
    p = report.devices[0].points
    early = p.iloc[[1]].assign(role="search", accuracy=50.0)
    device = DeviceReport("x", points=pd.concat([early, p, early], ignore_index=True))
    found = measured(device).set_index("arch_id")
    assert len(found) == 3 and found.loc["knee", "accuracy"] == 83.0 and largest(device)["arch_id"] == "big"  # type: ignore[index]


def test_limits_reach_the_axes() -> None:
    device = _report().devices[0]
    objectives = [
        Objective("latency_ms", device="edge-box", limit=Limit("<=", 0.5, relative=True)),
        Objective("latency_ms", device="other", limit=Limit("<=", 9.0)),
        Objective("accuracy", limit=Limit(">=", 81.0)),
        Objective("macs", limit=Limit("<=", 1e6)),
    ]
    found = limits(device, objectives)
    assert [(limit.metric, limit.value) for limit in found] == [("latency_ms", pytest.approx(2.1)), ("accuracy", 81.0)]
    assert found[0].text == "limit ≤ 2.1 ms (50 % of the largest)"
    assert found[1].text == "limit ≥ 81 %" and limits(device, objectives, ScoreName("BLEU", ""))[1].text == "limit ≥ 81"


def test_picks_of_one_subnet_share_a_name(make_report: Make) -> None:
    device = make_report(1).devices[0]
    device.picks = [device.picks[0], device.picks[0] | {"label": "accuracy >= 80"}]
    (point,) = named_points(device)
    assert point.letters == "A, B" and point.labels[1] == "accuracy ≥ 80"
    assert pretty_label("latency_ms <= 0.5") == "latency ≤ 0.5 ms"
    assert (
        pretty_label("latency_ms <= 0.5 with probability 0.95; knee") == "latency ≤ 0.5 ms with probability 0.95; knee"
    )
    assert pretty_label("peak_memory_mib <= 9") == "peak memory ≤ 9 MiB"


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30))
def test_kendall_is_scipy_s(pairs: list[tuple[int, int]]) -> None:
    x, y = np.array(pairs, dtype=float).T
    assert kendall(x, y) == pytest.approx(kendalltau(x, y).statistic, abs=1e-12, nan_ok=True)


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(120, 880), st.floats(120, 480)), min_size=1, max_size=5), st.integers(0, 99))
def test_names_do_not_overlap_and_stay_inside(anchors: list[tuple[float, float]], seed: int) -> None:
    obstacles = np.random.default_rng(seed).uniform((0, 0), (1000, 600), (40, 2))
    placed = place(anchors, [(90.0, 17.0)] * len(anchors), obstacles, (0, 0, 1000, 600))
    for a, b in itertools.combinations([p.box for p in placed], 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    assert all(p.left >= 0 and p.top >= 0 and p.box[2] <= 1000 and p.box[3] <= 600 for p in placed)
