from __future__ import annotations

import sys
from importlib.metadata import EntryPoint

import numpy as np
import onnxruntime
import pytest
import torch

from hwsearch.api.host_speed import _mean
from hwsearch.api.inspection import _availability, devices
from hwsearch.devices import runtime_names


def rows_of(name):
    return [row for row in devices() if row["runtime"] == name]


def test_every_runtime_is_listed():
    assert {row["runtime"] for row in devices()} == set(runtime_names())
    assert [r["provider"] for r in rows_of("onnxruntime")] == onnxruntime.get_available_providers()
    assert rows_of("torch-cpu")[0]["mode"] == "eager, compiled"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_told_in_one_line():
    (row,) = rows_of("cuda")
    assert row["unavailable"].startswith("no CUDA device: ") and "\n" not in row["unavailable"]
    assert _availability("cuda") == row["unavailable"]


def test_a_runtime_whose_package_is_missing_does_not_spoil_the_list(monkeypatch, tmp_path):
    (tmp_path / "broken_runtime.py").write_text("import no_such_package\n")
    (tmp_path / "plain_runtime.py").write_text("class Plain:\n    form = 'onnx'\n")
    monkeypatch.syspath_prepend(tmp_path)
    points = [
        EntryPoint("broken", "broken_runtime:Broken", "hwsearch.runtimes"),
        EntryPoint("plain", "plain_runtime:Plain", "hwsearch.runtimes"),
        EntryPoint("onnxruntime", "hwsearch.devices.runtimes.onnxruntime:OnnxRuntime", "hwsearch.runtimes"),
    ]
    monkeypatch.setattr("hwsearch.registry.entry_points", lambda group: points)
    (broken,) = rows_of("broken")
    assert "No module named 'no_such_package'" in broken["unavailable"]
    assert rows_of("plain") == [{"runtime": "plain"}] and _availability("plain") == "here"
    assert rows_of("onnxruntime")
    sys.modules.pop("plain_runtime", None)


def test_availability_in_one_line():
    assert "CPUExecutionProvider" in _availability("onnxruntime")
    assert _availability("command") == "what options.command reaches"


def test_the_mean_of_a_recording_is_of_what_is_known():
    assert _mean(np.array([1.0, np.nan, 2.006])) == 1.5
    assert _mean(np.array([np.nan, np.nan])) is None and _mean(np.array([])) is None
