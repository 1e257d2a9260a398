"""Every tutorial runs from top to bottom, and does what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .pages import DOCS

TUTORIALS = DOCS / "tutorials"
Run = Callable[..., dict[str, Any]]


def test_first_front(run_page: Run, quick_report: None, capsys) -> None:
    names = run_page(TUTORIALS / "first-front.md")
    assert names["logits"].shape == (1, 10)
    assert "sha256" in names["card"] and len(names["front"]) >= 1
    assert Path("runs/first/report.html").stat().st_size > 10_000


def test_own_network(run_page: Run, quick_report: None) -> None:
    names = run_page(TUTORIALS / "own-network.md")
    assert names["net"].macs(names["smallest"]) < names["net"].macs(names["largest"])
    assert Path("runs/mine/store.sqlite").exists()


def test_a_phone_through_a_command(run_page: Run, capsys) -> None:
    names = run_page(TUTORIALS / "phone.md")
    times = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert len(times) == 5 and min(times) > 0 and names["session"] is not None


def test_compare_tactics(run_page: Run) -> None:
    names = run_page(TUTORIALS / "compare-tactics.md")
    assert {t: [v.shape for v in r] for t, r in names["runs"].items()} == {
        "random": [(24, 2)] * 2,
        "nsga2": [(24, 2)] * 2,
    }
    assert np.isfinite(names["surface"]).all() and Path("attainment.png").stat().st_size > 0


def test_three_devices(run_page: Run, quick_report: None) -> None:
    names = run_page(TUTORIALS / "three-devices.md")
    shares = names["frame"].filter(like="latency_share").to_numpy()
    assert (shares > 0).all()
    assert json.loads(Path("model.json").read_text())["sha256"]
    run_page(DOCS / "gallery" / "index.md", names)
    assert Path("mine.png").stat().st_size > 0


def test_every_tutorial_is_run() -> None:
    run = {
        name.replace("_", "-") for name in ("first_front", "own_network", "phone", "compare_tactics", "three_devices")
    }
    assert {p.stem for p in TUTORIALS.glob("*.md")} == run | {"index"}
