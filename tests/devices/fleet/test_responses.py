"""What is believed of a measuring process."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from hwsearch.devices import Device, TimingProtocol, Workload
from hwsearch.devices.fleet.jobs import pack_workload
from hwsearch.devices.fleet.responses import WorkerError, validate_response
from hwsearch.tasks.inputs import Input

TIME = "2026-01-01T00:00:00+00:00"
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


def good() -> tuple[dict[str, Any], dict[str, Any]]:
    spec, _ = job()
    times = {k: [1.0, 1.1] for k in ("ratio", "raw", "minima", "runs")}
    sample = {**times, "reference": 1.0, "reference_error": 0.01, "levels": [0.9], "throttled": 0, "failure": None}
    rows = [{"arch_id": e["arch_id"], "sample": dict(sample)} for e in spec["workloads"]]
    return spec, {"rows": rows, "load": [0, 0], "started_at": TIME, "ended_at": TIME}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *(("reference", v) for v in (None, "1", float("nan"), float("inf"), -1.0, 0.0)),
        ("levels", [0.9, -1.0]),
        ("levels", []),
        ("ratio", [0.1, float("nan")]),
        ("runs", []),
        ("throttled", 0.5),
        ("unknown", 1),
    ],
)
def test_nonsense_in_a_row_is_not_believed(place: str, value: object) -> None:
    spec, answer = good()
    assert validate_response(spec, answer) is answer
    answer["rows"][1]["sample"][place] = value
    with pytest.raises(WorkerError, match="Invalid worker response"):
        validate_response(spec, answer)
    for change in (
        {"sample": [1]},
        {"metrics": [1]},
        {"arch_id": "another"},
        {"metrics": {"peak_memory_mib": float("nan")}},
        {"sample": None},
    ):
        spec, answer = good()
        answer["rows"][1] |= change
        with pytest.raises(WorkerError):
            validate_response(spec, answer)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "change",
    [
        {"rows": None},
        {"rows": []},
        {"rows": [1]},
        {"load": None},
        {"load": [0]},
        {"load": [0, 10**400]},
        {"started_at": "yesterday"},
        {"ended_at": None},
        {"more": nested(60)},
    ],
)
def test_nonsense_around_the_rows_is_not_believed(change: dict[str, Any]) -> None:
    spec, answer = good()
    with pytest.raises(WorkerError):
        validate_response(spec, answer | change)


@pytest.mark.parametrize(("name", "value"), [("energy_mj", 10**400), ("peak_memory_mib", True), ("energy_mj", -1.0)])
def test_metrics_are_finite_numbers(name: str, value: object) -> None:
    """A whole number of hundreds of digits is none."""
    spec, answer = good()
    answer["rows"][0]["metrics"] = {name: value}
    with pytest.raises(WorkerError, match=f"{name} = "):
        validate_response(spec, answer)
    del answer["rows"][0]["metrics"]
    answer["rows"][0]["sample"]["raw"] = [1, 10**400]
    with pytest.raises(WorkerError, match="not a sample of a latency"):
        validate_response(spec, answer)


@pytest.mark.parametrize(
    "answer",
    [
        {"counts": {"CPU": 3}, "run_ms": 10**400},
        {"counts": {"CPU": 3}, "run_ms": True},
        {"counts": {"CPU": 3}},
        {"counts": {"CPU": "many"}, "run_ms": 1.0},
        {"counts": [3], "run_ms": 1.0},
    ],
)
def test_a_check_has_counts_and_a_time(answer: dict[str, Any]) -> None:
    spec, _ = job(do="verify")
    with pytest.raises(WorkerError, match="Invalid worker response"):
        validate_response(spec, answer)
    with pytest.raises(WorkerError, match="nested too deeply"):
        validate_response(job(do="facts")[0], {"facts": {"a": nested(900)}})
