"""Lower a plain torch network to ONNX in milliseconds.

The network's own forward pass is run on tensors without numbers, and each operation is written down as ONNX nodes by a
small rule (`hwsearch.exporters.onnx.trace`); batch norms that follow a convolution are folded into it in float64.
`torch.onnx.export` takes 0.2 – 10 s a model, and a campaign needs hundreds. A network with an operation that has no
rule goes through `torch.onnx.export`. Either way the result is compared with torch (`hwsearch.exporters.verify`).
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Sequence
from typing import TypedDict, Unpack

import numpy as np
import onnx
import torch
from torch import nn

from hwsearch.errors import ExportError
from hwsearch.exporters.onnx import rules  # noqa: F401  (they register themselves)
from hwsearch.exporters.onnx.dims import NoRuleError
from hwsearch.exporters.onnx.proto import axis_names, to_proto
from hwsearch.exporters.onnx.trace import evaluating, trace_to_graph
from hwsearch.tasks.inputs import Input, InputsLike, as_inputs

OPSET = 17
IR_VERSION = 9
INPUT, OUTPUT = "image", "logits"

log = logging.getLogger(__name__)


class Interface(TypedDict, total=False):
    """Optional keyword arguments of `lower`: outputs and batch of the model.

    Attributes
    ----------
    outputs : sequence of str
        Names of the outputs, in order; by default one that is called ``logits``.
    output_axes : sequence of dict
        For each output its variable axes, number → name; by default axis 0 is the batch.
    batch : int or None
        A fixed batch size, or None for any.
    """

    outputs: Sequence[str]
    output_axes: Sequence[dict[int, str]]
    batch: int | None


def lower(net: nn.Module, inputs: InputsLike, **interface: Unpack[Interface]) -> onnx.ModelProto:
    """Convert a network in evaluation mode to an ONNX model, by rules where there are any for all it does.

    Parameters
    ----------
    net : nn.Module
        Takes the tensors of `inputs`, gives those of ``outputs``; its batch norms use running statistics.
    inputs : sequence of Input, or tuple of int
        What it takes, or the (C, H, W) of its one image.
    **interface
        See `Interface`.

    Returns
    -------
    onnx.ModelProto
        The model.

    Raises
    ------
    ExportError
        If neither the rules nor `torch.onnx.export` can convert the network.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    >>> [node.op_type for node in lower(net, (3, 8, 8)).graph.node]
    ['Conv', 'Relu']
    """
    try:
        return by_rules(net, inputs, **interface)
    except NoRuleError as error:
        log.debug("%s has no rule for %s", type(net).__name__, error)
        return torch_export(net, inputs, **interface)


def by_rules(net: nn.Module, inputs: InputsLike, **interface: Unpack[Interface]) -> onnx.ModelProto:
    """Convert a network by rules alone.

    Parameters
    ----------
    net : nn.Module
        As of `lower`.
    inputs : sequence of Input, or tuple of int
        As of `lower`.
    **interface
        See `Interface`.

    Returns
    -------
    onnx.ModelProto
        The model.

    Raises
    ------
    NoRuleError
        If the network does something that the rules cannot express.
    """
    inputs, batch = as_inputs(inputs), interface.get("batch")
    graph, taken, given = trace_to_graph(net, inputs, batch, interface.get("outputs", (OUTPUT,)))
    in_axes = [i.dynamic_axes(None if batch else "batch") for i in inputs]
    return to_proto(
        graph,
        [(v.name, v.dtype, axis_names(v.shape, a)) for v, a in zip(taken, in_axes, strict=True)],
        [(v.name, v.dtype, axis_names(v.shape, a)) for v, a in zip(given, _output_axes(interface), strict=True)],
        OPSET,
        IR_VERSION,
    )


def _output_axes(interface: Interface) -> list[dict[int, str]]:
    """Find the variable axes of each output: number → name."""
    names = interface.get("outputs", (OUTPUT,))
    axes = interface.get("output_axes") or [{0: "batch"}] * len(names)
    fixed = bool(interface.get("batch"))
    return [{a: n for a, n in found.items() if not (fixed and n == "batch")} for found in axes]


def torch_export(net: nn.Module, inputs: InputsLike, **interface: Unpack[Interface]) -> onnx.ModelProto:
    """Convert a network by `torch.onnx.export`, which also takes operations without rules.

    Parameters
    ----------
    net : nn.Module
        As of `lower`.
    inputs : sequence of Input, or tuple of int
        As of `lower`.
    **interface
        See `Interface`.

    Returns
    -------
    onnx.ModelProto
        The model.

    Raises
    ------
    ExportError
        If torch cannot export the network.
    """
    inputs, batch = as_inputs(inputs), interface.get("batch")
    outputs = interface.get("outputs", (OUTPUT,))
    axes = {i.name: i.dynamic_axes(None if batch else "batch") for i in inputs}
    axes |= zip(outputs, _output_axes(interface), strict=True)
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings(), evaluating(net):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                net,
                _samples(inputs, batch or 1),
                buffer,  # type: ignore[arg-type]
                input_names=[i.name for i in inputs],
                output_names=list(outputs),
                dynamic_axes={k: v for k, v in axes.items() if v},
                opset_version=OPSET,
                dynamo=False,
            )
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # torch raises many kinds
        raise ExportError(f"{type(net).__name__} cannot be exported to ONNX: {error}.") from error
    return onnx.load_model_from_string(buffer.getvalue())


def _samples(inputs: Sequence[Input], batch: int) -> tuple[torch.Tensor, ...]:
    rng = np.random.default_rng(0)
    return tuple(torch.from_numpy(np.asarray(i.sample(batch, rng))) for i in inputs)
