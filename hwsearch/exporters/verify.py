"""Verify that an ONNX file computes what its network does: structure by onnx, numbers by onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hwsearch.errors import ExportError
from hwsearch.exporters.onnx.serialise import serialise
from hwsearch.exporters.onnx.trace import evaluating


def run_onnx(model: bytes, *inputs: NDArray[Any]) -> list[NDArray[np.float32]]:
    """Run a model on the CPU with one thread.

    Parameters
    ----------
    model : bytes
        A serialised model.
    *inputs : ndarray
        Inputs in the model's order.

    Returns
    -------
    list of ndarray
        Outputs in the model's order.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {i.name: np.ascontiguousarray(x) for i, x in zip(session.get_inputs(), inputs, strict=True)}
    return [np.asarray(o) for o in session.run(None, feed)]


def verify(model: onnx.ModelProto, net: nn.Module, *inputs: Tensor, tolerance: float = 1e-4) -> float:
    """Compare onnxruntime with torch on the same inputs.

    Parameters
    ----------
    model : onnx.ModelProto
        The model.
    net : nn.Module
        The network it was made from.
    *inputs : Tensor
        Inputs in the model's order.
    tolerance : float, default 1e-4
        Largest difference allowed, relative to the largest output.

    Returns
    -------
    float
        Largest difference, relative to the largest output.

    Raises
    ------
    ExportError
        If the model is malformed, or the difference exceeds the tolerance.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"the ONNX model is malformed: {error}.") from error
    fixed = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    if len(inputs) == 1 and fixed and fixed != len(inputs[0]):
        if len(inputs[0]) < fixed:
            raise ExportError(f"a model of batch {fixed} cannot be verified on {len(inputs[0])} images.")
        inputs = (inputs[0][:fixed],)
    with evaluating(net), torch.no_grad():
        given = net(*inputs)
    expected = [given] if isinstance(given, Tensor) else list(given)
    found = run_onnx(serialise(model), *(x.numpy() for x in inputs))
    worst = 0.0
    for theirs, mine in zip(found, expected, strict=True):
        if theirs.shape != tuple(mine.shape):
            raise ExportError(f"the ONNX model gives {theirs.shape}, torch gives {tuple(mine.shape)}.")
        scale = max(1e-12, float(mine.abs().max()))
        difference = float(np.abs(theirs - mine.numpy()).max() / scale)
        if not difference <= tolerance:
            raise ExportError(
                f"the ONNX model differs from torch by {difference:.2e} of the largest output (allowed: {tolerance:.0e})."
            )
        worst = max(worst, difference)
    return worst
