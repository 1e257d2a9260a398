"""What the parent makes of a process that crashes, hangs or lies."""

from __future__ import annotations

import os
import textwrap
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import onnx
import psutil
import pytest
from onnx import TensorProto, helper

from hwsearch.devices import Device, TimingProtocol, Workload
from hwsearch.devices.fleet.isolation import run_job
from hwsearch.devices.fleet.jobs import pack_workload
from hwsearch.devices.fleet.responses import WorkerError
from hwsearch.errors import DeviceError, ProviderError
from hwsearch.tasks.inputs import Input

QUICK = TimingProtocol(visits=2, block_runs=2, block_ms=0.1, warmup_ms=1.0)


def model(width: int = 4) -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", width])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def job(**changes: Any) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A job of two models and a reference on onnxruntime."""
    files: dict[str, bytes] = {}
    works = [Workload.of(model(4), [Input("x", (4,))]) for _ in range(3)]
    entries = [pack_workload(w, i, files) | {"arch_id": f"a{i}"} for i, w in enumerate(works)]
    spec = {
        "do": "measure",
        "form": "onnx",
        "device": asdict(Device("here")),
        "protocol": QUICK.model_dump(mode="json"),
        "seed": [0, 1],
        "metrics": [],
        "workloads": entries[:2],
        "reference": entries[2],
    }
    return {**spec, **changes}, files


def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> str:
    """A module that is started in the worker's place."""
    (tmp_path / "stand_in.py").write_text("import json, os, pathlib, signal, sys, time\n" + textwrap.dedent(body))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    return "stand_in"


def test_typed_errors_of_the_device_come_through() -> None:
    spec, files = job(device=asdict(Device("gone", provider="NopeExecutionProvider")))
    with pytest.raises(ProviderError, match="NopeExecutionProvider") as caught:
        run_job(spec, files, 60)
    assert not isinstance(caught.value, WorkerError) and caught.value.hint
    spec, files = job()
    files[spec["reference"]["parts"][0]["file"]] = b"not a model"
    with pytest.raises(DeviceError, match="cannot load"):
        run_job(spec, files, 60)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.stderr.write('the board is on fire'); os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV.*on fire"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL, as the system does when memory runs out"),
        ("sys.exit(3)", "exit code 3"),
        ("pass", "without an answer"),
        ("print('answer {')", "not JSON"),
        ("print('answer []')", "not an object"),
    ],
)
def test_a_process_that_fails_is_an_error_that_says_how(tmp_path, monkeypatch, body: str, said: str) -> None:
    spec, files = job()
    with pytest.raises(WorkerError, match=said):
        run_job(spec, files, 60, module=program(tmp_path, monkeypatch, body))


def test_one_that_hangs_is_killed_with_all_it_started(tmp_path, monkeypatch) -> None:
    body = f"""
    import subprocess
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    pathlib.Path({str(tmp_path)!r}, "pids").write_text(f"{{os.getpid()}} {{child.pid}}")
    time.sleep(600)
    """
    spec, files = job()
    with pytest.raises(WorkerError, match="did not end within 3 s and was killed"):
        run_job(spec, files, 3, module=program(tmp_path, monkeypatch, body))
    for pid in map(int, (tmp_path / "pids").read_text().split()):
        until = time.monotonic() + 10
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < until, f"process {pid} still runs"
            time.sleep(0.05)
