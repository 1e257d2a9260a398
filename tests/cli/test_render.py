"""Results on a terminal: tables that can be read at 80 and at 120 columns, mappings, errors."""

from __future__ import annotations

import ast
import io
import json
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from hwsearch.cli import render
from hwsearch.cli.render import emit_json, print_frame, print_summary

LABELS = "most accurate; fastest within 1 pt of the most accurate; latency_ms <= 2.5 with probability 0.95"


def result(device: str = "edge-box", **pick) -> dict:
    picked = {
        "label": LABELS,
        "arch_id": "8647531072db",
        "accuracy": 76.66,
        "accuracy_se": 0.5,
        "latency_ms": 3.2913,
        "latency_low": 3.2511,
        "latency_high": 3.3312,
        "macs": 12_472_832.0,
        "file": "models/edge-box/8647531072db.onnx",
        "further_files": [],
    }
    return {
        "score": "top-1",
        "score_unit": "%",
        "confidence": 0.95,
        "devices": [{"device": device, "front_points": 3, "latency_span": 10.44, "picks": [{**picked, **pick}]}],
        "measured": 120,
        "seconds": 61.4,
        "report": "runs/x/report.html",
        "front": "runs/x/front.csv",
        "folder": "runs/x",
    }


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch):
    def draw(given: dict, width: int) -> list[str]:
        page = io.StringIO()
        monkeypatch.setattr(render, "out", Console(file=page, width=width))
        print_summary(given, False)
        return [line.rstrip() for line in page.getvalue().splitlines()]

    return draw


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_labels_of_a_pick_are_not_squeezed(drawn, width: int) -> None:
    lines = drawn(result(), width)
    table = lines[: next(i for i, line in enumerate(lines) if "Pareto-optimal" in line)]
    assert max(map(len, lines)) <= width
    assert lines[0].split() == ["edge-box", "top-1", "%", "(95", "%)", "latency", "ms", "(95", "%)", "MACs"] + (
        ["file"] if width >= 100 else []
    )
    assert lines[1].startswith("most accurate ") and "76.7 ±1.0" in lines[1] and "3.29 (3.25–3.33)" in lines[1]
    assert "12.5 M" in lines[1]
    assert len(table) <= (7 if width == 80 else 6)  # each label takes one line or two
    words = " ".join(" ".join(table).split())
    assert "8647531072db.onnx" in words and "fastest within 1 pt of the" in words


def test_the_file_stands_below_the_labels_where_there_is_no_room(drawn) -> None:
    narrow, wide = drawn(result(label="knee"), 80), drawn(result(label="knee"), 120)
    assert narrow[2] == "→ 8647531072db.onnx" and wide[1].endswith("8647531072db.onnx")
    assert drawn(result(label="knee", further_files=["more"]), 80)[2] == "→ 8647531072db.*.onnx"


def test_names_in_brackets_are_text(drawn) -> None:
    assert drawn(result(device="box[1]"), 80)[0].startswith("box[1] ")


def test_what_was_measured_and_where_the_results_lie(drawn) -> None:
    text = " ".join(drawn(result(), 120))
    assert "3 measured Pareto-optimal subnets, 10.4× between slowest and fastest" in text
    assert "120 measurements in 61 s" in text and "→ runs/x/report.html   runs/x/front.csv   runs/x/models" in text
    one = result()
    one["devices"][0]["front_points"] = 1
    assert "one measured subnet is Pareto-optimal" in " ".join(drawn(one, 120))


def test_json_is_written_in_place_of_text(capsys) -> None:
    print_summary(result(), True)
    assert json.loads(capsys.readouterr().out) == result()
    assert emit_json({"a": float("nan")}, False) is False and capsys.readouterr().out == ""


def test_numbers_of_a_frame_have_few_digits(monkeypatch) -> None:
    page = io.StringIO()
    monkeypatch.setattr(render, "out", Console(file=page, width=60))
    print_frame(pd.DataFrame({"name": ["a"], "ms": [1.23456], "n": [12345]}), "title", 3)
    assert page.getvalue().splitlines()[0].strip() == "title" and page.getvalue().split()[-3:] == ["a", "1.23", "12345"]


def test_text_is_no_markup(monkeypatch) -> None:
    page = io.StringIO()
    monkeypatch.setattr(render, "out", Console(file=page, width=60))
    render.print_lines("runs/a[/b]/x [red]", "\x1b]0;title\x07", "of two\nlines")
    assert page.getvalue().splitlines() == ["runs/a[/b]/x [red]", "\\x1b]0;title\\x07", "of two", "lines"]


def test_names_of_folders_devices_and_files_are_no_markup(drawn, monkeypatch) -> None:
    given = result()
    given["folder"], given["report"] = "runs/a[/b]", "runs/a[/b]/report.html"
    given["devices"][0]["device"], given["devices"][0]["picks"][0]["file"] = "cpu[/x]", "models/cpu/[red].onnx"
    text = " ".join(drawn(given, 120))
    assert (
        "runs/a[/b]/report.html" in text and "runs/a[/b]/models" in text and "cpu[/x]" in text and "[red].onnx" in text
    )
    page = io.StringIO()
    monkeypatch.setattr(render, "out", Console(file=page, width=60))
    print_frame(pd.DataFrame({"a column of a table": [1]}), "on cpu[/x]")
    assert "on cpu[/x]" in page.getvalue()


def test_commands_print_text_by_one_function() -> None:
    """A line that is printed otherwise is markup: with a bracket in a name it is lost, or an error."""
    for file in sorted(Path(render.__file__).parent.glob("*.py")):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "out.print" and call.args:
                (shown,) = call.args
                assert isinstance(shown, ast.Name | ast.Call) or "visible(" in ast.unparse(shown), (
                    f"{file.name}, line {call.lineno}"
                )
