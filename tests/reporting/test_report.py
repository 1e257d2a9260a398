"""The report from plain values: numbers, escaping, self-containment, and the odd cases."""

from __future__ import annotations

from html.parser import HTMLParser

import pandas as pd
import pytest

from hwsearch.errors import DataError
from hwsearch.reporting import DeviceReport, ReportData, make_all, render, save_all

VOID = {"meta", "link", "br", "hr", "img", "input", "line", "circle", "rect", "path", "use", "polyline", "polygon"}


class Balanced(HTMLParser):
    """Collects tags that are not closed in order, and every address the page refers to."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if tag in ("p", "li", "td", "th", "tr", "thead", "tbody", "dt", "dd"):
            while self.open and self.open[-1] != tag and self.open[-1] in ("p", "li", "td", "th", "tr"):
                self.open.pop()
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def device(name: str = "cpu", points: int = 6) -> DeviceReport:
    rows = pd.DataFrame(
        {
            "arch_id": [f"{i:012x}" for i in range(points)],
            "role": "validated",
            "genes": [{"r": 20 + 4 * (i % 3), "d[0]": 1 + i % 3, "ks[0]": 3, "e[0]": 2} for i in range(points)],
            "accuracy": [70.0 + 2.5 * i for i in range(points)],
            "accuracy_se": 0.7,
            "latency_ms": [0.1 * (i + 1) for i in range(points)],
            "latency_low": [0.099 * (i + 1) for i in range(points)],
            "latency_high": [0.102 * (i + 1) for i in range(points)],
            "macs": [1e6 * (i + 1) for i in range(points)],
            "params": 3e5,
            "on_front": True,
        }
    )
    pick = rows.iloc[-1].to_dict() | {
        "label": "knee",
        "file": f"models/{name}/x.onnx",
        "sha256": "ab" * 32,
        "size_bytes": 10**6,
    }
    cloud = rows.assign(
        role="search", on_front=False, accuracy=rows["accuracy"] - 3, predicted_accuracy=rows["accuracy"]
    )
    return DeviceReport(
        name=name,
        description={"runtime": "onnxruntime", "provider": "CPUExecutionProvider"},
        points=pd.concat([cloud, rows], ignore_index=True),
        front=rows,
        picks=[pick] if points else [],
        random_points=pd.DataFrame({"accuracy": [66.0, 68.0], "latency_ms": [0.2, 0.4]}),
    )


def report(*devices: DeviceReport) -> ReportData:
    card = {
        "name": "net",
        "subnets": 10**10,
        "macs_range": [1e6, 12e6],
        "preprocess": {"mean": [0.5] * 3, "std": [0.2] * 3},
    }
    return ReportData("Subnets", "demo", "2025-01-02T03:04:05Z", supernet=card, devices=list(devices))


def parsed(html: str) -> Balanced:
    parser = Balanced()
    parser.feed(html)
    return parser


def page(data: ReportData, tmp_path) -> str:
    return render(data, make_all(data))


def test_the_page_holds_every_number_of_the_front_and_nothing_from_outside(tmp_path):
    html = page(report(device()), tmp_path)
    for i in range(6):
        assert f"{70.0 + 2.5 * i:.1f}" in html and f"{i:012x}" in html
    assert "ab" * 8 in html
    found = parsed(html)
    assert not found.wrong and not found.open
    assert all(a.startswith(("#", "data:", "models/")) for a in found.addresses), found.addresses
    assert "<script src" not in html and "@import" not in html


def test_hostile_names_are_text(tmp_path):
    html = page(report(device("<script>alert(1)</script>")), tmp_path)
    assert "<script>alert" not in html and "&lt;script&gt;alert" in html


@pytest.mark.parametrize("devices", [[device(points=1)], [device("a"), device("b", 3)], [device(points=2)]])
def test_few_points_and_several_devices(devices, tmp_path):
    data = report(*devices)
    figures = make_all(data)
    paths = save_all(data, tmp_path / "plots", figures)
    assert {p.suffix for p in paths} == {".png", ".svg"} and all(p.stat().st_size > 1000 for p in paths)
    html = render(data, figures)
    assert not parsed(html).wrong
    for d in devices:
        assert d.name in html


def test_json_round_trip():
    data = report(device("a"), device("b"))
    again = ReportData.from_json(data.to_json())
    assert again.to_json() == data.to_json()
    pd.testing.assert_frame_equal(again.devices[0].front, data.devices[0].front)
    with pytest.raises(DataError, match="format"):
        ReportData.from_json("{}")
    with pytest.raises(DataError, match="not JSON"):
        ReportData.from_json("{")


def test_points_without_a_needed_column_are_refused():
    with pytest.raises(DataError, match="latency_ms"):
        DeviceReport("d", points=pd.DataFrame({"arch_id": ["a"], "role": ["search"], "genes": [{}], "accuracy": [1.0]}))
    with pytest.raises(DataError, match="unknown role 'nonsense'"):
        DeviceReport("d", points=device().points.assign(role="nonsense"))
