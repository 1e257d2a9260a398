"""Rules for normalisation layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hwsearch.exporters.onnx.dims import NoRuleError
from hwsearch.exporters.onnx.registry import RULES, rule
from hwsearch.exporters.onnx.tracer import OnnxTracer
from hwsearch.exporters.onnx.values import TracedTensor


@rule("batch_norm")
def _batch_norm(
    tracer: OnnxTracer,
    input: TracedTensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> TracedTensor:
    if training or running_mean is None or running_var is None:
        raise NoRuleError("a batch norm without statistics")
    scale = torch.rsqrt(running_var.double() + eps)
    if weight is not None:
        scale = weight.detach().double() * scale
    shift = -running_mean.double() * scale
    if bias is not None:
        shift = shift + bias.detach().double()
    shape = (1, -1, *(1,) * (len(input.shape) - 2))
    name = tracer.graph.norm(input.name, scale.reshape(shape), shift.reshape(shape))
    return TracedTensor(tracer, name, input.shape, input.dtype)


def _affine(
    tracer: OnnxTracer, x: TracedTensor, weight: Tensor | None, bias: Tensor | None, shape: Sequence[int]
) -> TracedTensor:
    for kind, value in (("Mul", weight), ("Add", bias)):
        if value is not None:
            x = tracer.op(kind, [x, value.detach().reshape(*shape)], x.shape, x.dtype)
    return x


@rule("layer_norm")
def _layer_norm(
    tracer: OnnxTracer,
    input: TracedTensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> TracedTensor:
    factors = torch.ones(*normalized_shape) if weight is None else weight
    inputs = [input, factors, *([] if bias is None else [bias])]
    axis = -len(normalized_shape)
    return tracer.op("LayerNormalization", inputs, input.shape, input.dtype, axis=axis, epsilon=float(eps))


@rule("group_norm")
def _group_norm(
    tracer: OnnxTracer,
    input: TracedTensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> TracedTensor:
    n, channels = input.shape[:2]
    flat = RULES["reshape"](tracer, input, (n, num_groups, -1))
    ones, zeros = torch.ones(num_groups), torch.zeros(num_groups)
    normed = tracer.op("InstanceNormalization", [flat, ones, zeros], flat.shape, flat.dtype, epsilon=float(eps))
    x = RULES["reshape"](tracer, normed, input.shape)
    return _affine(tracer, x, weight, bias, (int(channels), *(1,) * (len(input.shape) - 2)))
