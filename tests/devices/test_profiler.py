"""Operator profiles on models whose operators are known, on made-up profiles, and signatures."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from hwsearch.devices import Device, Workload, profiler
from hwsearch.devices.operators import Signature
from hwsearch.devices.profiler import Node, count_signatures, kernels, optimised_nodes, profile, signatures
from hwsearch.devices.runtimes.base import Model
from hwsearch.devices.runtimes.onnxruntime import OnnxRuntime
from hwsearch.errors import MeasurementError
from hwsearch.exporters import lower
from hwsearch.supernets import catalogue
from hwsearch.tasks.inputs import Input


def conv_relu(stride: int, names: tuple[str, str] = ("c", "r")):
    weight = numpy_helper.from_array(np.ones((8, 3, 3, 3), np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], names[0], strides=[stride, stride], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["c"], ["y"], names[1]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 16, 16])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def profiled(stride: int, level: str):
    runtime = OnnxRuntime(Device("cpu", options={"optimization": level}))
    model = Workload.of(conv_relu(stride).SerializeToString(), (Input("x", (3, 16, 16)),)).parts[0]
    return profile(runtime, model, runs=4, warmup=1)


def test_a_plain_graph_has_its_own_nodes():
    found = profiled(2, "none")
    conv, relu = found.kernels
    assert [conv.signature.op, relu.signature.op] == ["Conv", "Relu"]
    assert conv.signature.attributes["strides"] == [2, 2]
    assert conv.signature.outputs == ({"float": [1, 8, 7, 7]},)
    assert [len(k.us) for k in found.kernels] == [4, 4] and len(found.plain_ms) == 4


def test_fusion_shows_the_activation():
    (conv,) = [k for k in profiled(1, "all").kernels if "Conv" in k.signature.op]
    assert conv.signature.attributes["activation"] == "Relu"


def test_equal_work_has_one_signature_and_other_work_another():
    first, again, other = (profiled(s, "none").kernels[0].signature for s in (1, 1, 2))
    assert first.id == again.id != other.id
    assert hash(first) == hash(again) and first == again
    for change in ({"precision": "fp16"}, {"provider": "x"}, {"op": "com.microsoft.nchwc.Conv"}, {"attributes": {}}):
        assert dataclasses.replace(first, **change).id != first.id
    assert Signature.from_dict(json.loads(first.canonical)) == first


@pytest.mark.parametrize(
    ("group", "kernel", "kind"), [(1, [1, 1], "pointwise conv"), (8, [3, 3], "depthwise conv"), (1, [3, 3], "conv")]
)
def test_kinds(group, kernel, kind):
    found = Signature("com.microsoft.nchwc.Conv", "p", "fp32", (), (), {"group": group, "kernel_shape": kernel})
    assert found.kind == kind and kind in found.text


def test_every_executed_node_of_the_embedded_supernet_is_one_of_the_optimised_graph():
    """What has attributes by the ONNX specification has them here; what is optimised is in the runtime's own domain."""
    net = catalogue.entry("cifar10-mbv3").build().eval()
    runtime = OnnxRuntime(Device("cpu"))
    for arch in (net.space.smallest(), net.space.largest()):
        shape = net.input_shape(arch)
        model = lower(net.subnet(arch).eval(), shape).SerializeToString()
        found = signatures(runtime, Workload.of(bytes(model), shape).parts[0])
        blocks = sum(arch[f"d[{s}]"] for s in range(4))
        convs = {s: n for s, n in found.items() if s.op.endswith("Conv")}
        assert all({"kernel_shape", "strides", "pads", "group"} <= s.attributes.keys() for s in convs)
        assert sum(n for s, n in found.items() if s.kind == "depthwise conv") == blocks + 1
        assert all(
            s.attributes for s in found if s.op not in ("GlobalAveragePool", "Mul", "Add") and "Pool" not in s.op
        )


def event(name: str, ts: int, dur: int, op: str = "Conv", shape: int = 8) -> dict:
    args = {"op_name": op, "provider": "CPU", "input_type_shape": [{"float": [shape]}], "output_type_shape": []}
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": ts, "dur": dur, "args": args}


def run(start: int, *, other: int = 8) -> list[dict]:
    execute = {"cat": "Session", "name": "SequentialExecutor::Execute", "ts": start, "dur": 30}
    return [event("a", start + 2, 5), event("b", start + 12, 9, "Mul", other), execute]


NODES = {"a": Node("com.microsoft.nchwc.Conv", {"group": 2}), "b": Node("Mul", {})}


def test_times_are_those_between_starts():
    a, b = kernels([*run(100), *run(200), *run(300)], NODES, skip=1)
    assert a.us == (10, 10) and b.us == (18.5, 18.5)
    assert a.signature.op == "com.microsoft.nchwc.Conv" and a.signature.attributes == {"group": 2}


@pytest.mark.parametrize(
    ("events", "nodes", "words"),
    [
        ([{"cat": "Session", "name": "model_run", "dur": 3}], {}, "no executed node"),
        (run(100), {"a": NODES["a"]}, "'b' .Mul., which the optimised model does not have"),
        (run(100), {**NODES, "b": Node("Add", {})}, "has as Add"),
        ([*run(100), *run(200, other=9)], NODES, "different nodes or shapes"),
    ],
)
def test_what_cannot_be_told_apart_is_an_error(events, nodes, words):
    with pytest.raises(MeasurementError, match=words):
        kernels(events, nodes)


@pytest.mark.parametrize("names", [("same", "same"), ("", "")])
def test_nodes_that_share_a_name_are_an_error(names, tmp_path):
    save(conv_relu(1, names), str(tmp_path / "m.onnx"))
    with pytest.raises(MeasurementError, match="2 nodes of the optimised model are named"):
        optimised_nodes(tmp_path / "m.onnx")


def test_a_part_that_runs_several_times_counts_as_often(monkeypatch):
    signature = Signature("Mul", "CPU", "fp32", (), (), {})
    monkeypatch.setattr(profiler, "signatures", lambda runtime, model: {signature: 2})
    work = Workload((Model(()), Model((), runs=5)))
    assert count_signatures(None, work) == {signature: 12}
