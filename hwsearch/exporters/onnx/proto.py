"""Write a graph as an ONNX model."""

from __future__ import annotations

from collections.abc import Sequence

import onnx
import torch
from onnx import helper

from hwsearch.exporters.onnx.dims import Size
from hwsearch.exporters.onnx.graph import TYPES, Graph

#: an input or output of a model: name, type, and shape with names of variable axes
Port = tuple[str, torch.dtype, Sequence[int | str]]


def to_proto(
    graph: Graph, inputs: Sequence[Port], outputs: Sequence[Port], opset: int, ir_version: int
) -> onnx.ModelProto:
    """Write a graph as an ONNX model.

    Parameters
    ----------
    graph : Graph
        Nodes and constants, without ``Norm`` nodes.
    inputs, outputs : sequence of (str, torch.dtype, sequence of int or str)
        Name, type and shape of each; variable axes by name.
    opset : int
        Version of the operator set.
    ir_version : int
        Version of the file format.

    Returns
    -------
    onnx.ModelProto
        The model.
    """
    model = onnx.ModelProto(ir_version=ir_version, producer_name="hwsearch")
    model.opset_import.add(version=opset)
    body = model.graph  # filled in its place: weights are many, and each copy of them is felt
    body.name = "subnet"
    for op in graph.nodes:
        node = body.node.add(op_type=op.kind, name=op.outputs[0], input=op.inputs, output=op.outputs)
        node.attribute.extend(helper.make_attribute(k, v) for k, v in op.attributes.items())
    for name, value in graph.constants.items():
        data = value.contiguous().numpy().tobytes()
        body.initializer.add(name=name, data_type=TYPES[value.dtype], dims=value.shape, raw_data=data)
    for place, ports in ((body.input, inputs), (body.output, outputs)):
        place.extend(helper.make_tensor_value_info(n, TYPES[t], list(shape)) for n, t, shape in ports)
    return model


def axis_names(shape: Sequence[Size], names: dict[int, str]) -> list[int | str]:
    """Describe a shape as it is written in a model.

    Parameters
    ----------
    shape : sequence of int or Dim
        The sizes.
    names : dict
        Axis → name of a variable axis.

    Returns
    -------
    list of int or str
        Numbers, given names, and for other variable axes the formula of their size.

    Examples
    --------
    >>> axis_names([3, 224], {})
    [3, 224]
    """
    return [size if isinstance(size, int) else names.get(i, repr(size)) for i, size in enumerate(shape)]
