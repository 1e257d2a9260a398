"""Passes over a graph of ONNX nodes: fold batch norms into convolutions, remove what nothing needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hwsearch.exporters.onnx.graph import Graph, Node


def fold_norms(graph: Graph, results: Sequence[str]) -> None:
    """Fold batch norms into the convolution before them, else write them as a product and a sum; changes the graph.

    Folding is computed in float64 and rounded once.

    Parameters
    ----------
    graph : Graph
        The graph; afterwards it has no ``Norm`` nodes.
    results : sequence of str
        Names of the graph's outputs.
    """
    uses = Counter(n for node in graph.nodes for n in node.inputs) + Counter(results)
    makers = {node.outputs[0]: node for node in graph.nodes if node.kind == "Conv"}
    kept: list[Node] = []
    for node in graph.nodes:
        if node.kind != "Norm":
            kept.append(node)
            continue
        scale, shift = node.attributes["scale"], node.attributes["shift"]
        conv = makers.get(node.inputs[0])
        if conv is None or uses[node.inputs[0]] > 1 or not all(n in graph.constants for n in conv.inputs[1:]):
            names = [_add_constant(graph, f"{node.outputs[0]}.{k}", v.float()) for k, v in node.attributes.items()]
            middle = graph.fresh("Mul")
            kept += [Node("Mul", [node.inputs[0], names[0]], [middle]), Node("Add", [middle, names[1]], node.outputs)]
            continue
        weight, scale, shift = conv.inputs[1], scale.flatten(), shift.flatten()
        folded = scaled(graph.constants[weight], scale)
        if len(conv.inputs) > 2:
            shift = graph.constants[conv.inputs[2]].double() * scale + shift
        bias = conv.inputs[2] if len(conv.inputs) > 2 else f"{weight.removesuffix('.weight')}.bias"
        conv.inputs[1:] = [_replace(graph, weight, folded, uses), _replace(graph, bias, shift.float(), uses)]
        conv.outputs = node.outputs
        makers[node.outputs[0]] = conv
    graph.nodes = kept


def _add_constant(graph: Graph, hint: str, value: Tensor) -> str:
    name = graph.fresh(hint)
    graph.constants[name] = value
    return name


def _replace(graph: Graph, name: str, value: Tensor, uses: Counter[str]) -> str:
    """Store a changed constant under its own name, unless others use what it was."""
    if uses[name] > 1 or name not in graph.constants:
        return _add_constant(graph, name, value)
    graph.constants[name] = value
    return name


def prune(graph: Graph, results: Sequence[str]) -> None:
    """Remove nodes and constants that no output needs; changes the graph.

    Parameters
    ----------
    graph : Graph
        The graph.
    results : sequence of str
        Names of its outputs.
    """
    needed, kept = set(results), []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    graph.nodes = kept[::-1]
    graph.constants = {k: v for k, v in graph.constants.items() if k in needed}


def scaled(weight: Tensor, scale: Tensor) -> Tensor:
    """Multiply each output channel of a weight by a factor, rounded once.

    Parameters
    ----------
    weight : Tensor
        float32, of shape (O, …).
    scale : Tensor
        float64, of shape (O,).

    Returns
    -------
    Tensor
        float32, of the weight's shape.
    """
    factors = scale.numpy().reshape(-1, *(1,) * (weight.ndim - 1))
    out = np.empty(tuple(weight.shape), np.float32)
    np.multiply(weight.numpy(), factors, out=out, casting="same_kind")
    return torch.from_numpy(out)
