"""Folding of batch norms and removal of dead nodes, on graphs written by hand."""

from __future__ import annotations

import torch

from hwsearch.exporters.onnx.graph import Graph
from hwsearch.exporters.onnx.passes import fold_norms, prune, scaled


def norm_of(graph: Graph, name: str, scale: list[float], shift: list[float]) -> str:
    sides = (torch.tensor(v, dtype=torch.float64).reshape(1, -1, 1, 1) for v in (scale, shift))
    return graph.norm(name, *sides)


def conv(graph: Graph, weight: torch.Tensor, *bias: torch.Tensor) -> str:
    return graph.emit("Conv", ["x", *(graph.constant(c) for c in (weight, *bias))])[0]


def test_a_norm_behind_a_convolution_goes_into_its_weight_and_bias() -> None:
    """2 · (w·x + 1) + 3 is 2w·x + 5; -1 · (w·x + 1) + 0 is -w·x - 1."""
    weight, bias = torch.ones(2, 1, 1, 1), torch.ones(2)
    graph = Graph(["x"], {id(weight): "conv.weight", id(bias): "conv.bias"})
    out = norm_of(graph, conv(graph, weight, bias), [2, -1], [3, 0])
    fold_norms(graph, [out])
    (node,) = graph.nodes
    assert node.kind == "Conv" and node.outputs == [out]
    assert graph.constants[node.inputs[1]].flatten().tolist() == [2, -1]
    assert graph.constants[node.inputs[2]].tolist() == [5, -1]
    assert weight.flatten().tolist() == [1, 1] and bias.tolist() == [1, 1]


def test_a_convolution_without_bias_gets_the_shift_as_its_bias() -> None:
    weight = torch.ones(2, 1, 1, 1)
    graph = Graph(["x"], {id(weight): "conv.weight"})
    out = norm_of(graph, conv(graph, weight), [2, 4], [3, 5])
    fold_norms(graph, [out])
    assert graph.nodes[0].inputs[1:] == ["conv.weight", "conv.bias"]
    assert graph.constants["conv.bias"].tolist() == [3, 5]


def test_a_norm_stays_a_product_and_a_sum_where_others_use_the_convolution() -> None:
    weight = torch.ones(2, 1, 1, 1)
    graph = Graph(["x"], {id(weight): "w"})
    middle = conv(graph, weight)
    out = norm_of(graph, middle, [2, 4], [3, 5])
    fold_norms(graph, [out, middle])
    assert [n.kind for n in graph.nodes] == ["Conv", "Mul", "Add"]
    assert graph.constants["w"].flatten().tolist() == [1, 1]


def test_a_weight_of_two_convolutions_keeps_its_value_for_the_other() -> None:
    weight = torch.ones(2, 1, 1, 1)
    graph = Graph(["x", "y"], {id(weight): "w"})
    out = norm_of(graph, conv(graph, weight), [2, 4], [0, 0])
    (other,) = graph.emit("Conv", ["y", "w"])
    fold_norms(graph, [out, other])
    first, second = graph.nodes
    assert second.inputs[1] == "w" and graph.constants["w"].flatten().tolist() == [1, 1]
    assert graph.constants[first.inputs[1]].flatten().tolist() == [2, 4]


def test_two_norms_in_a_row_are_both_folded() -> None:
    """3 · (2 · w·x + 1) + 1 is 6w·x + 4."""
    weight = torch.ones(1, 1, 1, 1)
    graph = Graph(["x"], {id(weight): "w"})
    out = norm_of(graph, norm_of(graph, conv(graph, weight), [2], [1]), [3], [1])
    fold_norms(graph, [out])
    (node,) = graph.nodes
    assert [graph.constants[n].item() for n in node.inputs[1:]] == [6, 4]


def test_what_no_output_needs_is_removed() -> None:
    graph = Graph(["x"], {})
    (kept,) = graph.emit("Add", ["x", graph.number(1)])
    graph.emit("Mul", ["x", graph.number(2)])
    prune(graph, [kept])
    assert [n.kind for n in graph.nodes] == ["Add"] and len(graph.constants) == 1


def test_scaling_multiplies_output_channels() -> None:
    weight = torch.arange(4, dtype=torch.float32).reshape(2, 2)
    assert scaled(weight, torch.tensor([2.0, 10.0], dtype=torch.float64)).tolist() == [[0, 2], [20, 30]]
