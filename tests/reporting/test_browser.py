"""Pages of many devices and many points: their size, and what a real browser makes of them."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hwsearch.reporting import ReportData, figures, render
from hwsearch.reporting.data import MOST_COMPARED

Make = Callable[..., ReportData]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed to open the page with")
WORTH = {
    "n": 20,
    "searched": 24,
    "random": 20,
    "profiled": 48,
    "search_share": 0.9,
    "random_share": 0.7,
    "dominated": 17,
}


def of_devices(make: Make, n: int) -> ReportData:
    report = make(2)
    first = report.devices
    report.devices = []
    for i in range(n):
        device = copy.deepcopy(first[i % 2])
        device.name, device.cross, device.worth = f"device-{i:03}", {}, WORTH
        report.devices.append(device)
    return report


def of_points(make: Make, n: int) -> ReportData:
    report = make(1)
    device, rng = report.devices[0], np.random.default_rng(0)
    seen = device.points[device.points["role"] == "profile"]
    more = pd.concat([seen] * (n // len(seen) + 1), ignore_index=True).head(n)
    more["arch_id"] = [f"{i:012x}" for i in range(n)]
    more["accuracy"] = rng.uniform(60, 70, n)
    more["accuracy_se"] = 1.0
    more["latency_ms"] *= np.exp(rng.normal(0, 0.1, n))
    device.points = pd.concat([more, device.points[device.points["role"] != "profile"]], ignore_index=True)
    return report


def opened(page: str, folder: Path, *options: str) -> str:
    """What Chromium gives for a page: its document after the script ran."""
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    words = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run([*words, *options, path.as_uri()], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_page_grows_with_its_devices_and_no_faster(make_report: Make) -> None:
    sizes = [len(render(of_devices(make_report, n), {}, {})) for n in (13, 18, 28)]
    assert sizes[2] - sizes[1] == pytest.approx(2 * (sizes[1] - sizes[0]), rel=0.02)


def test_figures_compare_the_first_devices_alone(make_report: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    for name in ("predicted_figure", "hypervolume_figure", "devices_figure"):
        monkeypatch.setattr(figures, name, lambda report, narrow: compared.append(len(report.devices)))
    monkeypatch.setattr(figures, "choices_figure", lambda device, narrow: None)
    drawn = figures.make_all(of_devices(make_report, MOST_COMPARED + 8), fronts=False)
    assert compared == [MOST_COMPARED] * 3 and sum(k.startswith("choices-") for k in drawn) == MOST_COMPARED


def test_a_page_of_many_devices_says_so_and_has_a_row_for_each(make_report: Make) -> None:
    page = render(of_devices(make_report, 20), {}, {})
    assert "20 devices were measured" in page and f"first {MOST_COMPARED} of 20 devices" in page
    assert page.count('<article class="deploy">') == 20
    assert page.count('<th scope="row">device-019</th>') >= 1


def test_a_page_of_five_thousand_points_has_at_most_eight_mebibytes(make_report: Make) -> None:
    report = of_points(make_report, 5000)
    wide, small = ({"predicted": figures.predicted_figure(report, narrow=narrow)} for narrow in (False, True))
    page = render(report, wide, small)
    assert page.count('class="pt speck"') >= 2 * 5000  # wide and narrow
    assert len(page.encode()) <= 8 * 2**20


@needs_browser
def test_a_page_of_five_thousand_points_opens_in_a_browser(make_report: Make, tmp_path: Path) -> None:
    found = opened(render(of_points(make_report, 5000), {}, {}), tmp_path, "--dump-dom")
    assert 'class="readout filled"' in found and found.count('class="pt speck"') >= 2 * 5000


@needs_browser
def test_the_script_shows_the_words_of_the_small_drawing_too(make_report: Make, tmp_path: Path) -> None:
    report = make_report(1)
    page = opened(render(report, {}, {}), tmp_path, "--window-size=500,900", "--dump-dom")
    shown = re.search(r'<p class="readout filled"[^>]*>([^<]*)</p>', page)
    assert shown is not None and any(p["arch_id"] in shown[1] for p in report.devices[0].picks)


@needs_browser
def test_a_page_of_two_devices_is_printed_on_four_pages_with_its_tables(
    make_report: Make, tmp_path: Path, quick_report: None
) -> None:
    printed = tmp_path / "page.pdf"
    opened(render(make_report(2)), tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={printed}")
    assert 1 <= len(re.findall(rb"/Type\s*/Page[^s]", printed.read_bytes())) <= 4
