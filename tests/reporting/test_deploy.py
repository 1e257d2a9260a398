"""The first screen: which file to deploy, how far it is from the limit, and whether the search was worth it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hwsearch.reporting import ReportData
from hwsearch.reporting.deploy import (
    deployed,
    margin_text,
    pick_to_deploy,
    run_command,
    runner_source,
    worth_compared,
    worth_words,
)
from hwsearch.reporting.facts import AxisLimit

Make = Callable[..., ReportData]
AT_MOST_ONE = AxisLimit("latency_ms", 1.0, "limit ≤ 1 ms")
AT_LEAST_80 = AxisLimit("accuracy", 80.0, "limit ≥ 80 %")
PICK = {
    "label": "knee",
    "accuracy": 82.0,
    "accuracy_se": 0.5,
    "latency_ms": 0.8,
    "latency_low": 0.7,
    "latency_high": 1.1,
}


def test_the_pick_under_the_limit_is_deployed(make_report: Make) -> None:
    report = make_report(2)
    found = deployed(report.devices[0], report)  # the first device has a limit of 0.4 ms
    assert found is not None and found.label == "latency ≤ 0.4 ms" and len(found.margins) == 1
    assert found.margins[0].startswith("+") and "inside the limit ≤ 0.4 ms" in found.margins[0]
    other = deployed(report.devices[1], report)
    assert other is not None and other.label.startswith("fastest within") and other.margins == ()


def test_no_pick_beyond_a_limit_is_deployed(make_report: Make) -> None:
    device = make_report(1).devices[0]
    device.picks = [PICK | {"label": "fastest within 1 pt"}, PICK | {"label": "latency_ms <= 1", "latency_ms": 0.9}]
    assert pick_to_deploy(device, [AT_MOST_ONE]) == 1
    assert pick_to_deploy(device, [AT_MOST_ONE, AxisLimit("accuracy", 83.0, "limit ≥ 83 %")]) is None
    assert pick_to_deploy(device, []) == 0


def test_a_margin_is_positive_inside_and_tells_its_risk() -> None:
    assert margin_text(PICK, AT_MOST_ONE, 2, "top-1") == (
        "+0.20 (−0.10 to +0.30) ms inside the limit ≤ 1 ms; another campaign may find it outside"
    )
    assert margin_text(PICK, AT_LEAST_80, 2, "top-1") == "+2.0 (+1.0 to +3.0) points inside the limit ≥ 80 %"
    outside = margin_text(PICK | {"latency_ms": 1.05}, AT_MOST_ONE, 2, "top-1")
    assert outside.startswith("−0.05") and "another campaign" not in outside


def test_steps_go_both_ways_with_their_signs(make_report: Make) -> None:
    report = make_report(2)
    device = report.devices[1]
    step = {
        "accuracy": 1.0,
        "accuracy_low": 0.5,
        "accuracy_high": 1.5,
        "latency_ms": 2.0,
        "latency_low": 1.0,
        "latency_high": 3.0,
    }
    here = device.picks[0]["arch_id"]
    device.trade_offs = [step | {"faster": "x", "slower": here}, step | {"faster": here, "slower": "y"}]
    found = deployed(device, report)
    assert found is not None and found.steps == (
        ("One step slower", "+1.0 (+0.5 to +1.5) points for +2 (+1 to +3) ms"),
        ("One step faster", "−1.0 (−1.5 to −0.5) points for −2 (−3 to −1) ms"),
    )


def test_the_command_is_quoted_and_only_for_images() -> None:
    card = {"preprocess": {"mean": [0.5], "std": [0.5]}, "side": 32}
    pick = {"file": "models/my device/a.onnx"}
    assert run_command(pick, card, "CPUExecutionProvider") == (
        "python models/classify.py 'models/my device/a.onnx' photo.jpg"
    )
    assert run_command(pick, card, "CUDAExecutionProvider").endswith("--provider CUDAExecutionProvider")
    assert run_command(pick, {}, "CPUExecutionProvider") == ""
    assert b"onnxruntime" in runner_source()


WORTH = {
    "n": 20,
    "searched": 24,
    "random": 20,
    "profiled": 48,
    "search_share": 0.96,
    "random_share": 0.72,
    "dominated": 17,
}


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [((2.7, 1.9, 3.4), "Yes"), ((-2.7, -3.4, -1.9), "No"), ((0.2, -0.5, 0.9), "Not clearly"), (None, "Not clearly")],
)
def test_whether_the_search_was_worth_it(make_report: Make, gain: tuple[float, ...] | None, verdict: str) -> None:
    report = make_report(1)
    given = dict(zip(("gain", "gain_low", "gain_high"), gain, strict=True)) | {"compared": 18} if gain else {}
    report.devices[0].worth = WORTH | given
    words = worth_words(report.devices[0], report)
    assert words.startswith(f"{verdict}: of 20 random subnets 17 are dominated")
    assert "96 % of the best hypervolume known, the random ones 72 %" in words
    assert "48 profiled subnets" in worth_compared(report)


def test_too_few_to_tell_is_said(make_report: Make) -> None:
    report = make_report(1)
    assert worth_words(report.devices[0], report) == ""
    report.devices[0].worth = {"n": 3, "searched": 24, "random": 3, "profiled": 9}
    assert "cannot tell" in worth_words(report.devices[0], report) and "random = 20" in worth_words(
        report.devices[0], report
    )
