"""Rules that reduce axes, and cumulative sums."""

from __future__ import annotations

import torch

from hwsearch.exporters.onnx.dims import NoRuleError, Size
from hwsearch.exporters.onnx.registry import rule
from hwsearch.exporters.onnx.rules.arguments import Axes
from hwsearch.exporters.onnx.tracer import OnnxTracer
from hwsearch.exporters.onnx.values import Argument, OptionalType, TracedTensor


def _reduced(input: TracedTensor, dim: Argument, keepdim: bool) -> tuple[list[int], tuple[Size, ...]]:
    """Return (axes from 0, the shape without them)."""
    rank = len(input.shape)
    axes = list(range(rank)) if dim is None else sorted(d % rank for d in ([dim] if isinstance(dim, int) else dim))
    return axes, tuple(1 if i in axes else s for i, s in enumerate(input.shape) if keepdim or i not in axes)


@rule("mean")
def _mean(
    tracer: OnnxTracer, input: TracedTensor, dim: Axes = None, keepdim: bool = False, *, dtype: OptionalType = None
) -> TracedTensor:
    axes, shape = _reduced(input, dim, keepdim)
    if not input.dtype.is_floating_point or dtype not in (None, input.dtype):
        raise NoRuleError("a mean of another type")
    if keepdim and len(input.shape) == 4 and axes == [2, 3]:
        return tracer.op("GlobalAveragePool", [input], shape, input.dtype)
    return tracer.op("ReduceMean", [input], shape, input.dtype, axes=axes, keepdims=int(keepdim))


@rule("sum")
def _total(
    tracer: OnnxTracer, input: TracedTensor, dim: Axes = None, keepdim: bool = False, *, dtype: OptionalType = None
) -> TracedTensor:
    axes, shape = _reduced(input, dim, keepdim)
    kind = dtype or (input.dtype if input.dtype.is_floating_point else torch.int64)
    inputs = [tracer.cast(input, kind), tracer.graph.number(axes)]
    return tracer.op("ReduceSum", inputs, shape, kind, keepdims=int(keepdim))


def _extreme(kind: str, name: str) -> None:
    def apply(tracer: OnnxTracer, input: TracedTensor, dim: Axes = (), keepdim: bool = False) -> TracedTensor:
        axes, shape = _reduced(input, None if dim == () else dim, keepdim)
        return tracer.op(kind, [input], shape, input.dtype, axes=axes, keepdims=int(keepdim))

    rule(name)(apply)


_extreme("ReduceMax", "amax")


_extreme("ReduceMin", "amin")


@rule("cumsum")
def _cumsum(tracer: OnnxTracer, input: TracedTensor, dim: int, *, dtype: OptionalType = None) -> TracedTensor:
    kind = dtype or (input.dtype if input.dtype.is_floating_point else torch.int64)
    return tracer.op("CumSum", [tracer.cast(input, kind), tracer.graph.number(dim)], input.shape, kind)
