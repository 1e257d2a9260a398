from __future__ import annotations

import dataclasses

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from hwsearch.devices import (
    Device,
    Protocol,
    Workload,
    create_runtime,
    fingerprint,
    host_facts,
    measure_group,
    runtime_names,
)
from hwsearch.devices.host import usable_cores
from hwsearch.errors import DeviceError, ProviderError

SHAPE = (3, 8, 8)


@pytest.fixture(scope="module")
def model() -> bytes:
    nodes = [helper.make_node("Relu", ["image"], ["a"]), helper.make_node("GlobalAveragePool", ["a"], ["logits"])]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", *SHAPE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3, 1, 1])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def test_a_provider_that_is_not_there_is_an_error_not_a_fallback():
    missing = next(
        p for p in ("CUDAExecutionProvider", "QNNExecutionProvider") if p not in onnxruntime.get_available_providers()
    )
    with pytest.raises(ProviderError, match=missing):
        create_runtime(Device("gpu", provider=missing))
    with pytest.raises(ProviderError, match="Did you mean 'CPUExecutionProvider'"):
        create_runtime(Device("cpu", provider="CPUExecutonProvider"))


def test_a_session_that_fell_back_is_an_error(monkeypatch, model):
    runtime = create_runtime(Device("cpu"))
    monkeypatch.setattr(onnxruntime.InferenceSession, "get_providers", lambda self: ["OtherExecutionProvider"])
    with pytest.raises(ProviderError, match="fell back to 'OtherExecutionProvider'"):
        runtime.load(Workload.of(model, SHAPE))


def test_verify_counts_the_nodes_that_ran(model):
    counts = create_runtime(Device("cpu")).verify(Workload.of(model, SHAPE))
    assert set(counts) == {"CPUExecutionProvider"} and counts["CPUExecutionProvider"] >= 1


def test_measures_a_real_model(model):
    runtime = create_runtime(Device("cpu", batch=4))

    def load():
        return runtime.load(Workload.of(model, SHAPE))

    timings = measure_group(
        [load] * 2, load, Protocol(processes=(1, 1), visits=3, block_ms=0.2), np.random.default_rng(0)
    )
    for t in timings:
        assert t.failure is None and 0 < t.low <= t.value <= t.high
        assert len(t.loads) == 2 and len(t.raw) == 6


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"threads": usable_cores() + 1}, "threads"),
        ({"precision": "int4"}, "int4"),
        ({"options": {"spining": True}}, "spinning"),
        ({"options": {"optimization": "alll"}}, "'all'"),
        ({"runtime": "onnxruntim"}, "onnxruntime"),
    ],
)
def test_settings_that_cannot_be_met(change, text):
    with pytest.raises(DeviceError, match=text):
        create_runtime(dataclasses.replace(Device("d"), **change))


def test_a_file_that_is_no_model():
    with pytest.raises(DeviceError, match="cannot load"):
        create_runtime(Device("d")).load(Workload.of(b"not a model", SHAPE))
    assert "onnxruntime" in runtime_names()


def test_fingerprint_changes_with_everything_but_the_name():
    base = Device("a")
    same = fingerprint(create_runtime(Device("b")).facts())
    assert fingerprint(create_runtime(base).facts()) == same
    for change in ({"batch": 2}, {"options": {"spinning": True}}, {"options": {"optimization": "basic"}}):
        assert fingerprint(create_runtime(dataclasses.replace(base, **change)).facts()) != same
    assert host_facts()["cores_usable"] == usable_cores()
