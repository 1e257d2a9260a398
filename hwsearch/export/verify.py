"""Is the ONNX file the network it was made from? Structure by onnx, numbers by onnxruntime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hwsearch.errors import ExportError
from hwsearch.export.lower import INPUT


def run_onnx(model: bytes, x_NCHW: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (N, classes) of a model on the CPU, one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {INPUT: x_NCHW})[0])


@torch.no_grad()
def verify(model: onnx.ModelProto, net: nn.Module, x_NCHW: Tensor, *, tolerance: float = 1e-4) -> float:
    """The largest difference between onnxruntime and torch on real images, relative to the largest logit.

    Raises `ExportError` when the file is malformed or the difference exceeds `tolerance`.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ExportError(f"the ONNX model is malformed: {error}.") from error
    training = net.training
    net.eval()
    expected = net(x_NCHW).numpy()
    net.train(training)
    fixed = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
    x = np.ascontiguousarray(x_NCHW.numpy())
    data = model.SerializeToString()
    if fixed and fixed != len(x):
        if len(x) < fixed:
            raise ExportError(f"a model of batch {fixed} cannot be verified on {len(x)} images.")
        x, expected = x[:fixed], expected[:fixed]
    found = run_onnx(data, x)
    if found.shape != expected.shape:
        raise ExportError(f"the ONNX model gives {found.shape}, torch gives {expected.shape}.")
    difference = float(np.abs(found - expected).max() / max(1e-12, float(np.abs(expected).max())))
    if not difference <= tolerance:
        raise ExportError(
            f"the ONNX model differs from torch by {difference:.2e} of the largest logit (allowed: {tolerance:.0e})."
        )
    return difference
