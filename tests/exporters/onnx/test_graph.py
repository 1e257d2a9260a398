"""The graph before it is written: names, equal nodes, constants."""

from __future__ import annotations

import pytest
import torch

from hwsearch.exporters.onnx.dims import NoRuleError
from hwsearch.exporters.onnx.graph import TRANSPOSED, Graph


def test_names_are_unique_and_reserved_ones_are_not_given() -> None:
    graph = Graph(["Relu", "Relu_1"], {})
    assert [graph.fresh("Relu") for _ in range(2)] == ["Relu_2", "Relu_3"]
    assert [graph.fresh("Conv") for _ in range(3)] == ["Conv", "Conv_1", "Conv_2"]


def test_a_node_is_written_once_unless_an_attribute_or_an_input_differs() -> None:
    graph = Graph(["x", "y"], {})
    first = graph.emit("Softmax", ["x"], axis=1)
    assert graph.emit("Softmax", ["x"], axis=1) == first
    assert graph.emit("Softmax", ["x"], axis=2) != first
    assert graph.emit("Softmax", ["y"], axis=1) != first
    assert len(graph.nodes) == 3
    assert len(graph.emit("Split", ["x"], 3, axis=0)) == 3


def test_a_constant_has_one_name_whatever_uses_it() -> None:
    weight, other = torch.randn(2, 3), torch.zeros(2)
    graph = Graph([], {id(weight): "fc.weight"})
    assert graph.constant(weight) == graph.constant(weight) == "fc.weight"
    assert graph.constant(weight, TRANSPOSED) == "fc.weight.T"
    assert graph.constants["fc.weight.T"].shape == (3, 2)
    assert graph.constant(other) == "constant"
    with pytest.raises(NoRuleError, match="float16"):
        graph.constant(torch.zeros(1, dtype=torch.float16))


def test_numbers_that_python_takes_for_equal_are_different_constants() -> None:
    graph = Graph([], {})
    names = {graph.number(1), graph.number(True, torch.bool), graph.number(1.0, torch.float32), graph.number([1])}
    assert len(names) == 4
    assert graph.number(1) in names and len(graph.constants) == 4


def test_renaming_reaches_makers_and_users() -> None:
    graph = Graph(["x"], {})
    (a,) = graph.emit("Relu", ["x"])
    graph.emit("Add", [a, a])
    graph.rename(a, "hidden")
    assert graph.nodes[0].outputs == ["hidden"] and graph.nodes[1].inputs == ["hidden", "hidden"]
