"""The measuring process: what it answers, and what its parent makes of one that crashes, hangs or lies."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hwsearch.devices import Device, Sample, TimingProtocol, Workload
from hwsearch.devices.fleet import worker
from hwsearch.devices.fleet.isolation import run_job
from hwsearch.devices.fleet.jobs import pack_workload
from hwsearch.errors import MeasurementError
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


def test_a_fresh_process_measures() -> None:
    spec, files = job()
    ticks: list[float] = []
    answer = run_job(spec, files, 60, tick=ticks.append)
    assert [r["arch_id"] for r in answer["rows"]] == ["a0", "a1"]
    for r in answer["rows"]:
        sample = Sample.from_dict(r["sample"])
        assert len(sample.ratio) == 2 and len(sample.raw) == 4 and len(sample.runs) >= 8 and len(sample.levels) == 16
    assert all(0 <= t <= 1 for t in ticks)


def test_it_needs_no_torch() -> None:
    code = "import sys, hwsearch.devices.fleet.worker; print([m for m in ('torch', 'pandas', 'sqlalchemy') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_a_model_that_is_refused_does_not_spoil_the_others() -> None:
    spec, files = job()
    files[spec["workloads"][0]["parts"][0]["file"]] = b"not a model"
    first, second = run_job(spec, files, 60)["rows"]
    assert "cannot load the model" in first["sample"]["failure"] and min(second["sample"]["levels"]) > 0


def test_facts_and_check_of_a_device() -> None:
    spec, files = job(do="facts")
    assert run_job(spec, files, 60)["facts"]["runtime"] == "onnxruntime"
    assert sum(run_job({**spec, "do": "verify"}, files, 60)["counts"].values()) >= 1


def test_it_does_not_outlive_its_parent(tmp_path: Path) -> None:
    read, write = os.pipe()
    code = "import threading, time; from hwsearch.devices.fleet import worker; worker._end_with_parent()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=read, start_new_session=True)
    os.close(read)
    time.sleep(0.3)
    assert process.poll() is None
    os.close(write)
    assert process.wait(timeout=30) != 0


class Counting:
    """A runtime of sessions that take a known time, with further metrics."""

    form = "genes"

    def __init__(self) -> None:
        self.closed = 0

    def load(self, work: Workload) -> Any:
        outer, ms = self, float(work.genes["ms"])

        class Timed:
            def time(self, runs: int) -> list[float]:
                return [ms] * runs

            def close(self) -> None:
                outer.closed += 1

        if ms < 0:
            raise MeasurementError("no such model")
        return Timed()

    def footprint(self, work: Workload) -> dict[str, float]:
        return {"peak_memory_mib": 10 * float(work.genes["ms"]), "arena_mib": 1.0}


def test_values_metrics_and_failures_of_known_sessions() -> None:
    runtime = Counting()
    works = [Workload((), str(ms), {"ms": ms}) for ms in (1.0, -1.0, 3.0)]
    answer = worker.measure_workloads(
        runtime,  # type: ignore[arg-type]
        [lambda w=w: w for w in works],  # type: ignore[misc]
        ["a", "b", "c"],
        lambda: Workload((), "r", {"ms": 2.0}),
        QUICK,
        seed=[1],
        metrics=["peak_memory_mib", "energy_mj"],
    )
    a, b, c = answer["rows"]
    assert np.allclose([a["sample"]["ratio"], c["sample"]["ratio"]], [[0.5], [1.5]])
    assert b["sample"] == {"failure": "no such model"} and a["sample"]["levels"] == pytest.approx([2.0] * 16)
    assert a["metrics"] == {"peak_memory_mib": 10.0} and c["metrics"] == {"peak_memory_mib": 30.0}
    assert runtime.closed == 2 * 2 + 2 * 2  # two loads of two models, and of two anchors


def test_what_a_library_prints_is_no_answer(tmp_path, monkeypatch) -> None:
    body = """
    from hwsearch.devices.fleet import worker
    def do(*_):
        os.write(1, b"answer []")
        return {"facts": {}}
    worker.perform_job = do
    worker.main()
    """
    spec, files = job(do="facts")
    assert run_job(spec, files, 60, module=program(tmp_path, monkeypatch, body)) == {"facts": {}}
