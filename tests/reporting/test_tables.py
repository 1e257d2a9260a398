"""Tables of the page, by hand."""

from __future__ import annotations

import math

import pandas as pd

from hwsearch.reporting import DeviceReport, ReportData
from hwsearch.reporting import tables as module


def row(arch_id: str, accuracy: float, latency: float, **more: object) -> dict[str, object]:
    return {"arch_id": arch_id, "role": "validated", "genes": {"r": 28}, "accuracy": accuracy, "accuracy_se": 0.5} | {
        "latency_ms": latency, "latency_low": latency - 0.05, "latency_high": latency + 0.05, "macs": 2.5e6, **more
    }  # fmt: skip


def device() -> DeviceReport:
    front = pd.DataFrame([row("a", 70, 1.0, front_probability=0.9999), row("b", 80, 2.0, front_probability=0.5)])
    seen = pd.DataFrame([row("a", 70, 1.0), row("a", 71, 1.0) | {"role": "search"}, row("c", math.nan, 3.0)])
    picks = [{"label": "latency_ms <= 1.5", "arch_id": "a", "accuracy": 70.0, "latency_ms": 1.0, "size_bytes": 12_345}]
    return DeviceReport("cpu", {"threads": 2}, points=seen, front=front, picks=picks)


def report(**more: object) -> ReportData:
    card = {"name": "net", "subnets": 3.2e11, "macs_range": [1e6, 1.04e7], "classes": 10}
    return ReportData("Title", "campaign", "2026-01-31T12:00:00", supernet=card, devices=[device()], **more)


def test_subnets_are_counted_once() -> None:
    assert module.count_subnets(device(), "latency_ms") == 2
    assert module.count_subnets(device(), "accuracy") == 1
    many = device()
    many.measured_subnets = {"latency_ms": 250_000}
    assert module.count_subnets(many, "latency_ms") == 250_000  # of which some are drawn
    assert module.count_subnets(many, "accuracy") == 1


def test_rows_of_the_front() -> None:
    first, second = module.front_rows(device())
    assert (first["place"], first["letters"], first["accuracy"]) == ("1", "A", "70.0 ± 1.0")
    assert first["latency"] == "1.00 (0.95–1.05)" and first["macs"] == "2.50 M" and first["genes"] == "r 28"
    assert first["sure"].endswith("> 0.999") and second["sure"].endswith("0.5") and second["letters"] == ""


def test_rows_of_picks() -> None:
    (pick,) = module.pick_rows(device(), report())
    assert (pick["letter"], pick["label"], pick["size"]) == ("A", "latency ≤ 1.5 ms", "12.3 kB")
    assert pick["accuracy"] == "70.0" and pick["latency"] == "1.00" and pick["code"] == ""


def test_the_supernet_in_a_line() -> None:
    assert module.supernet_line(report()) == "net: 3.2 × 10¹¹ subnets, 1.00 M to 10.4 M MACs, 10 classes"
    assert module.supernet_line(ReportData("t", "campaign", "")) == "campaign"


def test_devices_side_by_side() -> None:
    table = dict(module.comparison([device(), DeviceReport("empty")], "top-1"))
    assert table["Pareto-optimal, measured"] == ["2 subnets", "0 subnets"]
    assert table["Fastest point"] == ["70.0 ± 1.0 % at 1.00 (0.95–1.05) ms", "–"]
    assert table["Most accurate point"][0].startswith("80.0 ± 1.0 %")
    assert table["Threads"] == ["2", "–"]


def test_a_predictor_in_words() -> None:
    found = module.predictor_row(
        {"metric": "latency_ms", "device": "cpu", "mae": 0.0123, "mape": 2.0, "spearman": 0.987, "coverage": 0.91}
        | {"n_train": 40, "n_test": 12},
        report(),
    )
    assert (found["metric"], found["mae"], found["mape"]) == ("Latency", "0.012 ms", "2 %")
    assert (found["n"], found["spearman"], found["coverage"]) == ("40 / 12", "0.99", "91 %")
    assert (found["kendall"], found["nominal"], found["model"]) == ("–", "–", "–")
    assert module.predictor_row({"metric": "accuracy", "mae": 0.5}, report())["mae"] == "0.5 points"
    exact = {"metric": "accuracy", "coverage": 0.91, "coverage_low": 0.62, "coverage_high": 0.998}
    assert module.predictor_row(exact, report())["coverage"] == "91 %, 62 to 100 %"


def test_serving_rows_have_a_cell_a_device() -> None:
    serving = [{"label": "knee", "arch_id": "a", "accuracy": 70.0, "latency": {"cpu": {"latency_ms": 1.0}}}]
    (found,) = module.serving_rows(report(serving=serving))
    assert found["latency"] == ["1.00"] and found["accuracy"] == "70.0" and found["share"] == "–"


def test_a_word_is_not_broken_and_nothing_is_markup() -> None:
    html = module.unbroken("1 < 2 points of top-1", "top-1")
    assert html == '1 &lt; 2 points of <span class="whole">top-1</span>'
    assert module.command_lines({"commands": ["a", "b"]}) == "a\nb" and module.command_lines({}) == ""
