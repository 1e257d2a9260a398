"""Operator profiles on models whose operators are known, and signatures."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from hwsearch.devices import Device, Workload
from hwsearch.devices.onnxruntime import OnnxRuntime
from hwsearch.devices.operators import kernels, profile
from hwsearch.errors import MeasurementError
from hwsearch.inputs import Input


def conv_relu(stride: int) -> bytes:
    weight = numpy_helper.from_array(np.ones((8, 3, 3, 3), np.float32), "w")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], "c", strides=[stride, stride], kernel_shape=[3, 3]),
        helper.make_node("Relu", ["c"], ["y"], "r"),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 16, 16])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def profiled(stride: int, level: str):
    runtime = OnnxRuntime(Device("cpu", options={"optimization": level}))
    model = Workload.of(conv_relu(stride), (Input("x", (3, 16, 16)),)).parts[0]
    return profile(runtime, model, runs=4, warmup=1)


def test_a_plain_graph_has_its_own_nodes():
    found = profiled(2, "none")
    assert [k.signature.op for k in found] == ["Conv", "Relu"]
    assert found[0].signature.attributes["strides"] == [2, 2]
    assert found[0].signature.outputs == ({"float": [1, 8, 7, 7]},)
    assert all(len(k.us) == 4 for k in found)


def test_fusion_shows_the_activation():
    (conv,) = [k for k in profiled(1, "all") if "Conv" in k.signature.op]
    assert conv.signature.attributes["activation"] == "Relu"


def test_equal_work_has_one_signature_and_other_work_another():
    first, again, other = (profiled(s, "none")[0].signature for s in (1, 1, 2))
    assert first.id == again.id != other.id
    assert dataclasses.replace(first, precision="fp16").id != first.id


def test_a_profile_without_nodes_is_an_error():
    with pytest.raises(MeasurementError, match="no executed node"):
        kernels([{"cat": "Session", "name": "model_run", "dur": 3}], {})
