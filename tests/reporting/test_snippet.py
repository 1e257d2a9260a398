"""The five lines do what they promise: they run, and they prepare images as the evaluation did."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from hwsearch.reporting import ReportData
from hwsearch.reporting.snippet import run_lines, side_of
from hwsearch.tasks.images.preprocess import Preprocess


def _identity(path: Path, side: int) -> None:
    """A model that returns its input."""
    shape = ["batch", 3, side, side]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "identity",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


@pytest.mark.parametrize(
    ("crop", "size"), [(1.0, (96, 96)), (1.0, (120, 96)), (0.875, (128, 128)), (0.875, (150, 128))]
)
def test_five_lines_prepare_images_as_the_evaluation_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crop: float, size: tuple[int, int]
) -> None:
    side = 28
    prepare = Preprocess((0.49, 0.48, 0.44), (0.247, 0.243, 0.261), crop)
    y, x = np.mgrid[: size[1], : size[0]]
    pixels = np.stack([127 + 90 * np.sin(x / 17 + k) * np.cos(y / 13) for k in range(3)], axis=-1).astype(np.uint8)
    image = Image.fromarray(pixels)
    image.save(tmp_path / "photo.png")
    _identity(tmp_path / "m.onnx", side)

    program = run_lines(
        {"file": "models/edge/m.onnx", "genes": {"r": side}}, {"preprocess": prepare.to_dict()}, "CPUExecutionProvider"
    )
    assert len(program.splitlines()) == 5
    program = program.replace("photo.jpg", "photo.png").replace("print(", "seen = (").replace("[0].argmax())", "[0])")
    monkeypatch.chdir(tmp_path)
    scope: dict[str, object] = {}
    exec(compile(program, "report", "exec"), scope)  # the text that the page shows, from this repository's template
    seen = np.asarray(scope["seen"])
    expected = prepare.normalise(prepare.pixels(image, side)[None]).numpy()
    assert seen.shape == expected.shape == (1, 3, side, side)
    step = 1 / 255 / 0.243  # one grey level, in normalised units
    exact = size[0] == size[1]  # other shapes are cropped to whole pixels at one of two moments
    assert np.abs(seen - expected).max() <= (1.01 if exact else 16) * step
    assert np.abs(seen - expected).mean() <= (0.1 if exact else 4) * step


def test_the_program_prints_a_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _identity(tmp_path / "m.onnx", 8)
    Image.new("RGB", (20, 10), (0, 0, 255)).save(tmp_path / "photo.jpg")
    card = {"preprocess": {"mean": [0, 0, 0], "std": [1, 1, 1]}, "side": 8}
    monkeypatch.chdir(tmp_path)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(run_lines({"file": "m.onnx"}, card, "CPUExecutionProvider"), "report", "exec"), {})
    assert 128 <= int(out.getvalue()) < 192  # the largest value is a blue one


def test_nothing_is_made_up(make_report: Callable[..., ReportData]) -> None:
    report = make_report(1)
    pick, card = report.devices[0].picks[0], report.supernet
    assert side_of(pick, card) == pick["genes"]["r"]
    assert run_lines(pick, card, "P")
    assert run_lines(pick | {"file": None}, card, "P") == ""
    assert run_lines(pick | {"genes": {}}, card, "P") == ""
    assert run_lines(pick, card | {"preprocess": {}}, "P") == ""


def test_file_names_cannot_leave_their_quotes() -> None:
    card = {"preprocess": {"mean": [0.5], "std": [0.5]}, "side": 8}
    line = run_lines({"file": "a');import os#.onnx"}, card, "P").splitlines()[1]
    compile(line, "report", "exec")
    assert '"a\');import os#.onnx"' in line
