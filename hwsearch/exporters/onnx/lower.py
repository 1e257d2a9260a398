"""Lower a plain torch network to ONNX in milliseconds.

The network's own forward pass is run on values without numbers, and each operation is written down as ONNX nodes by a
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
from hwsearch.exporters.onnx.dims import NoRule
from hwsearch.exporters.onnx.graph import axis_names
from hwsearch.exporters.onnx.rules import layers, numbers, shapes  # noqa: F401  (they register themselves)
from hwsearch.exporters.onnx.trace import evaluating, trace
from hwsearch.tasks.inputs import Input, InputsLike, as_inputs

OPSET = 17
IR_VERSION = 9
INPUT, OUTPUT = "image", "logits"

log = logging.getLogger(__name__)


class Interface(TypedDict, total=False):
    """What a model offers besides its inputs.

    outputs : names, in order; one that is called ``logits`` where none are given
    output_axes : variable axes of each output, by number (none given: axis 0 is the batch)
    batch : a fixed batch size, or None for any
    """

    outputs: Sequence[str]
    output_axes: Sequence[dict[int, str]]
    batch: int | None


def lower(net: nn.Module, inputs: InputsLike, **interface: Unpack[Interface]) -> onnx.ModelProto:
    """The ONNX model of a network in evaluation mode.

    net : takes the tensors of `inputs`, gives those of ``outputs``; its batch norms use running statistics
    inputs : what it takes, or the (C, H, W) of its one image
    """
    try:
        return by_rules(net, inputs, **interface)
    except NoRule as error:
        log.debug("%s has no rule for %s", type(net).__name__, error)
        return torch_export(net, inputs, **interface)


def by_rules(net: nn.Module, inputs: InputsLike, **interface: Unpack[Interface]) -> onnx.ModelProto:
    """As `lower`; raises `NoRule` for what the rules cannot express."""
    inputs, batch = as_inputs(inputs), interface.get("batch")
    graph, taken, given = trace(net, inputs, batch, interface.get("outputs", (OUTPUT,)))
    in_axes = [i.dynamic_axes(None if batch else "batch") for i in inputs]
    return graph.proto(
        [(v.name, v.dtype, axis_names(v.shape, a)) for v, a in zip(taken, in_axes, strict=True)],
        [(v.name, v.dtype, axis_names(v.shape, a)) for v, a in zip(given, _output_axes(interface), strict=True)],
        OPSET,
        IR_VERSION,
    )


def _output_axes(interface: Interface) -> list[dict[int, str]]:
    """Variable axes of each output: number → name."""
    names = interface.get("outputs", (OUTPUT,))
    axes = interface.get("output_axes") or [{0: "batch"}] * len(names)
    fixed = bool(interface.get("batch"))
    return [{a: n for a, n in found.items() if not (fixed and n == "batch")} for found in axes]


def torch_export(net: nn.Module, inputs: InputsLike, **interface: Unpack[Interface]) -> onnx.ModelProto:
    """As `lower`, by `torch.onnx.export`, for networks that have operations without rules."""
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
    except Exception as error:  # torch raises many kinds
        raise ExportError(f"{type(net).__name__} cannot be exported to ONNX: {error}.") from error
    return onnx.load_model_from_string(buffer.getvalue())


def _samples(inputs: Sequence[Input], batch: int) -> tuple[torch.Tensor, ...]:
    rng = np.random.default_rng(0)
    return tuple(torch.from_numpy(np.asarray(i.sample(batch, rng))) for i in inputs)
