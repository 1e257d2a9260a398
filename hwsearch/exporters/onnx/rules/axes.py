"""Rules that exchange axes or join tensors along one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hwsearch.exporters.onnx.dims import NoRuleError, Size, broadcast
from hwsearch.exporters.onnx.registry import rule
from hwsearch.exporters.onnx.rules.arguments import listed_sizes
from hwsearch.exporters.onnx.tracer import OnnxTracer
from hwsearch.exporters.onnx.values import Argument, TracedTensor, result_type


def _moved(tracer: OnnxTracer, x: TracedTensor, order: Sequence[int]) -> TracedTensor:
    return tracer.op("Transpose", [x], [x.shape[i] for i in order], x.dtype, perm=list(order))


@rule("transpose", view=True)
def _transpose(tracer: OnnxTracer, x: TracedTensor, dim0: int, dim1: int) -> TracedTensor:
    order = list(range(len(x.shape)))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return _moved(tracer, x, order)


@rule("t", view=True)
def _t(tracer: OnnxTracer, x: TracedTensor) -> TracedTensor:
    if len(x.shape) != 2:
        raise NoRuleError(f"the transpose of {len(x.shape)} axes")
    return _moved(tracer, x, (1, 0))


@rule("permute", view=True)
def _permute(tracer: OnnxTracer, x: TracedTensor, *dims: Argument) -> TracedTensor:
    return _moved(tracer, x, [int(d) % len(x.shape) for d in listed_sizes(dims)])


@rule("cat")
def _cat(tracer: OnnxTracer, tensors: Sequence[Argument], dim: int = 0, **named: Argument) -> TracedTensor:
    dtype = tensors[0].dtype
    for x in tensors[1:]:
        dtype = result_type(torch.empty(1, dtype=dtype, device="meta"), x)
    axis = dim % len(tensors[0].shape)
    shapes = [[s for i, s in enumerate(x.shape) if i != axis] for x in tensors]
    shape = list(broadcast(*map(tuple, shapes)))
    total: Size = 0
    for x in tensors:
        total = total + x.shape[axis]
    shape.insert(axis, total)
    return tracer.op("Concat", [tracer.operand(x, dtype) for x in tensors], shape, dtype, axis=axis)


@rule("stack")
def _stack(tracer: OnnxTracer, tensors: Sequence[Argument], dim: int = 0) -> TracedTensor:
    return _cat(tracer, [x.unsqueeze(dim) for x in tensors], dim)
