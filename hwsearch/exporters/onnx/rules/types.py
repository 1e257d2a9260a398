"""Rules that change the type of a tensor."""

from __future__ import annotations

import torch
from torch import Tensor

from hwsearch.exporters.onnx.registry import rule
from hwsearch.exporters.onnx.tracer import OnnxTracer
from hwsearch.exporters.onnx.values import Argument, Device, OptionalType, TracedTensor


@rule("to")
def _to(
    tracer: OnnxTracer,
    input: TracedTensor,
    *args: Argument,
    dtype: OptionalType = None,
    device: Device = None,
    **options: Argument,
) -> TracedTensor:
    """Lower a change of type; devices say nothing about a model."""
    for arg in args:
        if isinstance(arg, torch.dtype):
            dtype = arg
        elif isinstance(arg, Tensor):
            dtype = arg.dtype
    return input if dtype is None else tracer.cast(input, dtype)


@rule("type_as")
def _type_as(tracer: OnnxTracer, input: TracedTensor, other: Tensor) -> TracedTensor:
    return tracer.cast(input, other.dtype)


for _name, _dtype in {
    "float": torch.float32,
    "double": torch.float64,
    "long": torch.int64,
    "int": torch.int32,
    "bool": torch.bool,
}.items():
    rule(_name)(lambda tracer, input, _dtype=_dtype: tracer.cast(input, _dtype))
