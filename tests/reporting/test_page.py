"""The page is whole, safe and self-contained, and says every number of the front."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hwsearch.reporting import DeviceReport, ReportData, render, write_page
from hwsearch.reporting.chart import latency_places

Make = Callable[..., ReportData]
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Checks that tags balance; collects ids, references, elements, readable text and programs (``pre``)."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.programs: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert len(given) == len(attrs), f"<{tag}> repeats an attribute"
        self.elements.append((tag, given))
        self.ids += [str(given["id"])] if "id" in given else []
        self.references += [str(v) for k, v in attrs if k in ("src", "href", "xlink:href", "action", "data", "srcset")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        raise AssertionError(f"<{tag}/> closes itself, which HTML does not know")

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.open):
            (self.programs if "pre" in self.open else self.words).append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def count(self, tag: str, css: str) -> int:
        return sum(t == tag and css in (a.get("class") or "").split() for t, a in self.elements)


@pytest.fixture(scope="module")
def page(make_report: Make) -> tuple[ReportData, str, Page]:
    report = make_report(2)
    text = render(report)
    return report, text, Page(text)


def test_every_number_of_the_front_is_said(page: tuple[ReportData, str, Page]) -> None:
    report, _, parsed = page
    for device in report.devices:
        places = latency_places(device)
        for row in device.front.itertuples():
            assert row.arch_id in parsed.text
            assert f"{row.accuracy:.1f} ± {1.959964 * row.accuracy_se:.1f}" in parsed.text
            numbers = [f"{v:.{places}f}" for v in (row.latency_ms, row.latency_low, row.latency_high)]
            assert f"{numbers[0]} ({numbers[1]}–{numbers[2]})" in parsed.text


def test_every_pick_has_file_hash_and_program(page: tuple[ReportData, str, Page]) -> None:
    report, _, parsed = page
    for device in report.devices:
        for pick in device.picks:
            assert pick["file"] in parsed.text and pick["sha256"] in parsed.text
            assert f"ort.InferenceSession('{pick['arch_id']}.onnx'" in " ".join(parsed.programs)
    assert report.warnings[0] in parsed.text and "3.2 × 10¹¹ subnets" in parsed.text
    assert "\n".join(report.provenance["commands"]) in parsed.programs


def test_nothing_comes_from_outside(page: tuple[ReportData, str, Page]) -> None:
    _, text, parsed = page
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", text, re.IGNORECASE)
    assert parsed.references and all(r.startswith("#") for r in parsed.references)
    assert {r[1:] for r in parsed.references} <= set(parsed.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(parsed.ids)
    assert not {"link", "img", "iframe", "object", "base"} & {t for t, _ in parsed.elements}


def test_ids_are_unique(page: tuple[ReportData, str, Page]) -> None:
    _, _, parsed = page
    assert len(parsed.ids) == len(set(parsed.ids))


def test_numbers_are_short_and_unknowns_are_not_nan(page: tuple[ReportData, str, Page]) -> None:
    _, _, parsed = page
    hashes = re.compile(r"\b[0-9a-f]{12,64}\b")
    assert not re.search(r"\d\.\d{5,}", hashes.sub("", parsed.text))
    assert not re.search(r"\b(nan|None|inf|NaT)\b", parsed.text)


def test_points_read_without_script_and_by_keyboard(page: tuple[ReportData, str, Page]) -> None:
    report, _, parsed = page
    points = [a for t, a in parsed.elements if t == "g" and a.get("tabindex") == "0"]
    assert len(points) == 2 * sum(len(d.front) for d in report.devices)  # wide and narrow drawings
    for device in report.devices:
        for arch_id in device.front["arch_id"]:
            assert sum(arch_id in str(a["aria-label"]) for a in points) >= 2
    assert all("ms" in str(a["aria-label"]) and "%" in str(a["aria-label"]) for a in points)
    hidden = [a for t, a in parsed.elements if t == "p" and a.get("class") == "readout"]
    assert len(hidden) == 2 and all("hidden" in a for a in hidden)
    assert parsed.count("circle", "ring") > 0 and parsed.count("path", "limit") > 0


HOSTILE = "<script>alert(1)</script>\"'&{{ 7*7 }} $\\frac{$"


def test_hostile_words_stay_words(make_report: Make) -> None:
    report = make_report(1)
    plain = Page(render(report))
    report.title = report.campaign = HOSTILE
    report.supernet["name"] = HOSTILE
    report.warnings = [HOSTILE]
    report.provenance = {"host": HOSTILE, "commands": [HOSTILE], HOSTILE: HOSTILE}
    report.accuracy_protocol["metric"] = HOSTILE
    device = report.devices[0]
    device.name = HOSTILE
    device.description["cpu"] = HOSTILE
    device.picks[0] |= {"label": HOSTILE, "file": HOSTILE, "sha256": HOSTILE}
    device.front.at[0, "arch_id"] = HOSTILE
    device.front.at[0, "genes"] = {HOSTILE: HOSTILE, "r": 20}
    report.predictors[0]["model"] = HOSTILE
    text = render(report)
    parsed = Page(text)
    scripts = [t for t, _ in parsed.elements if t == "script"]
    assert scripts == ["script"] and "<script>alert" not in text
    assert {t for t, _ in parsed.elements} <= {t for t, _ in plain.elements} | {"clippath"}
    assert not any(k.startswith("on") for _, a in parsed.elements for k in a)
    assert HOSTILE in html.unescape(text) and "49" not in re.findall(r"alert\(1\)\D*(\d+)", text)


@pytest.mark.parametrize("devices", [0, 1, 3])
def test_any_number_of_devices(make_report: Make, devices: int) -> None:
    report = make_report(devices)
    parsed = Page(render(report, {}, {}))  # without the matplotlib figures, which take the time
    assert parsed.count("figure", "front") == devices
    assert all(d.name in parsed.text for d in report.devices)
    assert ("Devices side by side" in parsed.text) == (devices > 1)


def test_figures_of_several_devices_stand_on_the_page(page: tuple[ReportData, str, Page]) -> None:
    _, _, parsed = page
    assert parsed.text.count("Hypervolume kept") == 2  # wide and narrow
    assert parsed.text.count("place along the front: 1 is the fastest") == 4


def test_one_point_no_picks_no_predictions(make_report: Make) -> None:
    report = make_report(1)
    full = report.devices[0]
    points = full.points.assign(predicted_accuracy=np.nan, predicted_latency_ms=np.nan)
    report.devices = [DeviceReport("lone", points=points, front=full.front.head(1))]
    report.predictors, report.warnings, report.timings = [], [], {}
    parsed = Page(render(report))
    assert "one measured subnet is Pareto-optimal" in parsed.text
    assert "No pick was asked for" in parsed.text
    assert "no subnet was both predicted and measured" in parsed.text
    assert full.front["arch_id"][0] in parsed.text and full.front["arch_id"][1] not in parsed.text.split("All picks")[1]


def test_nothing_measured(make_report: Make) -> None:
    report = ReportData("empty", "empty", "2025-01-01", devices=[DeviceReport("idle")])
    parsed = Page(render(report))
    assert "On idle , no subnet was validated yet." in parsed.text


def test_unknown_intervals_are_left_out(make_report: Make) -> None:
    report = make_report(1)
    device = report.devices[0]
    device.front = device.front.assign(accuracy_se=np.nan, latency_low=np.nan, latency_high=np.nan)
    for pick in device.picks:
        pick |= {"accuracy_se": None, "latency_low": None, "latency_high": None}
    text = render(report, {}, {})
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)
    assert f"{device.front['accuracy'][0]:.1f} " in Page(text).text


def test_a_table_space_is_shown_gene_by_gene() -> None:
    genes = [{"op_0": "skip", "op_1": "conv3x3"}, {"op_0": "conv1x1", "op_1": "conv3x3"}]
    front = pd.DataFrame(
        {"arch_id": ["a", "b"], "role": "validated", "genes": genes, "accuracy": [70.0, 80.0], "latency_ms": [1.0, 2.0]}
    )
    parsed = Page(render(ReportData("t", "c", "2025", devices=[DeviceReport("d", points=front, front=front)])))
    assert "op_0 skip · op_1 conv3x3" in parsed.text and "conv1x1" in parsed.text.split("in common")[1]


def test_write_page(make_report: Make, tmp_path: Path) -> None:
    path = write_page(make_report(1), tmp_path / "deep" / "report.html")
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
