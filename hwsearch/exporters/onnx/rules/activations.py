"""Rules for activation functions, softmax and dropout."""

from __future__ import annotations

import math

import torch

from hwsearch.exporters.onnx.dims import NoRuleError
from hwsearch.exporters.onnx.registry import rule
from hwsearch.exporters.onnx.tracer import OnnxTracer
from hwsearch.exporters.onnx.values import Argument, TracedTensor


def _activation(kind: str, *names: str, **attributes: Argument) -> None:
    def apply(tracer: OnnxTracer, input: TracedTensor, inplace: bool = False) -> TracedTensor:
        if not input.dtype.is_floating_point:
            raise NoRuleError(f"{names[0]} of integers")
        result = tracer.op(kind, [input], input.shape, input.dtype, **attributes)
        return tracer.overwrite(input, result) if inplace else result

    rule(*names)(apply)


_activation("Relu", "relu")


_activation("HardSwish", "hardswish")


_activation("HardSigmoid", "hardsigmoid", alpha=1 / 6, beta=0.5)


_activation("Sigmoid", "sigmoid")


_activation("Tanh", "tanh")


@rule("relu6")
def _relu6(tracer: OnnxTracer, input: TracedTensor, inplace: bool = False) -> TracedTensor:
    return _hardtanh(tracer, input, 0.0, 6.0, inplace)


@rule("hardtanh")
def _hardtanh(
    tracer: OnnxTracer, input: TracedTensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> TracedTensor:
    bounds = [tracer.graph.number(float(v), input.dtype) for v in (min_val, max_val)]
    result = tracer.op("Clip", [input, *bounds], input.shape, input.dtype)
    return tracer.overwrite(input, result) if inplace else result


@rule("silu")
def _silu(tracer: OnnxTracer, input: TracedTensor, inplace: bool = False) -> TracedTensor:
    gate = tracer.op("Sigmoid", [input], input.shape, input.dtype)
    result = tracer.op("Mul", [input, gate], input.shape, input.dtype)
    return tracer.overwrite(input, result) if inplace else result


@rule("leaky_relu")
def _leaky_relu(
    tracer: OnnxTracer, input: TracedTensor, negative_slope: float = 0.01, inplace: bool = False
) -> TracedTensor:
    result = tracer.op("LeakyRelu", [input], input.shape, input.dtype, alpha=float(negative_slope))
    return tracer.overwrite(input, result) if inplace else result


@rule("elu")
def _elu(tracer: OnnxTracer, input: TracedTensor, alpha: float = 1.0, inplace: bool = False) -> TracedTensor:
    result = tracer.op("Elu", [input], input.shape, input.dtype, alpha=float(alpha))
    return tracer.overwrite(input, result) if inplace else result


@rule("gelu")
def _gelu(tracer: OnnxTracer, input: TracedTensor, approximate: str = "none") -> TracedTensor:
    def op(kind: str, *inputs: Argument) -> TracedTensor:
        return tracer.op(kind, [tracer.operand(x, input.dtype) for x in inputs], input.shape, input.dtype)

    if approximate == "tanh":
        cubic = op("Mul", op("Mul", op("Mul", input, input), input), 0.044715)
        inner = op("Tanh", op("Mul", op("Add", input, cubic), math.sqrt(2 / math.pi)))
    else:
        inner = op("Erf", op("Div", input, math.sqrt(2)))
    return op("Mul", op("Mul", input, op("Add", inner, 1.0)), 0.5)


@rule("softmax")
def _softmax(
    tracer: OnnxTracer,
    input: TracedTensor,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: torch.dtype | None = None,
) -> TracedTensor:
    if dim is None or dtype not in (None, input.dtype):
        raise NoRuleError("a softmax that changes the type, or over no axis")
    return tracer.op("Softmax", [input], input.shape, input.dtype, axis=dim)


@rule("log_softmax")
def _log_softmax(
    tracer: OnnxTracer,
    input: TracedTensor,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: torch.dtype | None = None,
) -> TracedTensor:
    return tracer.op("Log", [_softmax(tracer, input, dim, _stacklevel, dtype)], input.shape, input.dtype)


@rule("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
def _dropout(
    tracer: OnnxTracer, input: TracedTensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> TracedTensor:
    if training:
        raise NoRuleError("dropout in training")
    return input
