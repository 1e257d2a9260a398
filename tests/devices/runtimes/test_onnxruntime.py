from __future__ import annotations

import dataclasses
import json

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from hwsearch.devices import (
    Device,
    TimingProtocol,
    Workload,
    create_runtime,
    fingerprint,
    host_facts,
    measure_group,
    runtime_names,
)
from hwsearch.devices.host import usable_cores
from hwsearch.errors import DeviceError, MeasurementError, ProviderError
from hwsearch.testing.small_workloads import small_onnx

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
        [load] * 2, load, TimingProtocol(processes=(1, 1), visits=3, block_ms=0.2), np.random.default_rng(0)
    )
    for t in timings:
        assert t.failure is None and 0 < t.low <= t.value <= t.high
        assert len(t.loads) == 2 and len(t.raw) == 6


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


# ---------------------------------------------------------------------- providers
AZURE = "AzureExecutionProvider"  # calls models elsewhere; no node is its, so all of them fall back
azure = pytest.mark.skipif(AZURE not in onnxruntime.get_available_providers(), reason=f"no {AZURE} here")


@azure
def test_operators_that_fall_back_are_named(model):
    runtime = create_runtime(Device("far", provider="azure"))
    for use in (runtime.verify, runtime.load):
        with pytest.raises(ProviderError, match=r"2 of 2 nodes \(.*Relu.*\) ran on CPUExecutionProvider"):
            use(Workload.of(model, SHAPE))


@azure
def test_nodes_on_the_cpu_can_be_allowed_and_are_recorded(model):
    runtime = create_runtime(Device("far", provider="azure", options={"allow_cpu_nodes": True}))
    assert runtime.verify(Workload.of(model, SHAPE)) == {"CPUExecutionProvider": 2}
    assert len(runtime.load(Workload.of(model, SHAPE)).time(2)) == 2
    assert runtime.facts()["allow_cpu_nodes"] is True


def test_fallback_of_some_nodes_is_told_from_the_profile(monkeypatch, model):
    """The profile of a run in which one node ran elsewhere, as a GPU's would be."""
    runtime = create_runtime(Device("d"))
    real = json.loads

    def changed(text):
        events = real(text)
        for event in events:
            if event.get("args", {}).get("op_name") == "Relu" and "provider" in event["args"]:
                event["args"]["provider"] = "OtherExecutionProvider"
        return events

    monkeypatch.setattr("hwsearch.devices.runtimes.onnxruntime.json.loads", changed)
    with pytest.raises(ProviderError, match=r"1 of 2 nodes \(Relu\) ran on OtherExecutionProvider"):
        runtime.verify(Workload.of(model, SHAPE))


# ---------------------------------------------------------------------- settings


def test_options_of_a_provider_reach_the_provider(monkeypatch, model):
    asked = []

    def refuse(model, options, providers):
        asked.extend(providers)
        raise RuntimeError("[ONNXRuntimeError] : 1 : FAIL : no card : in slot 3. Look inside. Then again.")

    runtime = create_runtime(Device("d", options={"provider.device_id": 1, "provider.use_tf32": False}))
    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    with pytest.raises(DeviceError, match=r"no card : in slot 3\.$"):
        runtime.load(Workload.of(model, SHAPE))
    assert asked == [("CPUExecutionProvider", {"device_id": "1", "use_tf32": "0"})]


def test_bound_tensors_give_the_same_outputs(model):
    plain, bound = (
        create_runtime(Device("d", batch=3, options={"io_binding": b})).load(Workload.of(model, SHAPE))
        for b in (False, True)
    )
    bound.time(2)
    np.testing.assert_array_equal(plain.outputs()["logits"], bound.outputs()["logits"])
    assert bound.outputs()["logits"].shape == (3, 3, 1, 1)


def test_half_precision_is_near_and_not_equal():
    full, half = (
        create_runtime(Device("d", precision=p)).load(Workload.of(small_onnx(), SHAPE)).outputs()["logits"]
        for p in ("fp32", "fp16")
    )
    assert half.dtype == np.float32 and not np.array_equal(full, half)
    np.testing.assert_allclose(half, full, rtol=0.02, atol=0.02)


def test_infinite_outputs_name_the_output():
    with pytest.raises(MeasurementError, match="100 % of output 'logits' is NaN or infinite"):
        create_runtime(Device("d")).load(Workload.of(small_onnx(float("inf")), SHAPE))


def test_an_unknown_operator_is_refused_with_the_reason():
    with pytest.raises(DeviceError, match="NoSuchOperator"):
        create_runtime(Device("d")).load(Workload.of(small_onnx(pool="NoSuchOperator"), SHAPE))
