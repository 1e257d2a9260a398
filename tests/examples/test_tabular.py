"""The example of a user's own task and supernet: its conformance suites, and the whole line to ONNX, small."""

from __future__ import annotations

import sys
from pathlib import Path

import onnx
import pandas as pd

import hwsearch

PLACE = Path(__file__).parents[2] / "examples" / "plugins" / "tabular"
sys.path.insert(0, str(PLACE))
import run as example  # noqa: E402
from test_hwsearch_tabular import TestSupernet, TestTask, test_r2_by_hand  # noqa: E402

__all__ = ["TestSupernet", "TestTask", "test_r2_by_hand"]


def test_from_tables_to_onnx(tmp_path: Path, quick_report: None) -> None:
    path = example.prepare(tmp_path, rows=640, epochs=4)
    result = hwsearch.run(path, folder=tmp_path / "campaign")
    front = pd.read_csv(tmp_path / "campaign" / "front.csv")
    assert len(front) and result["score"] == "R²"
    assert 0 < front["accuracy"].max() <= 100
    page = (tmp_path / "campaign" / "report.html").read_text(encoding="utf-8")
    assert "R², test data (%)" in page and "400 test rows" in page
    models = [onnx.load(tmp_path / "campaign" / m) for m in result["models"]]
    assert models and all([i.name for i in m.graph.input] == ["input"] for m in models)
