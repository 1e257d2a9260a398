"""Rules that make new tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hwsearch.exporters.onnx.dims import Dim, NoRuleError, Size
from hwsearch.exporters.onnx.graph import TYPES
from hwsearch.exporters.onnx.registry import rule
from hwsearch.exporters.onnx.tracer import OnnxTracer
from hwsearch.exporters.onnx.values import Argument, Device, OptionalType, TracedTensor


def _filled(tracer: OnnxTracer, shape: Sequence[Size], value: Argument, dtype: torch.dtype) -> Argument:
    if not any(isinstance(s, Dim) for s in shape):
        return torch.full(tuple(int(s) for s in shape), value, dtype=dtype)
    if dtype not in TYPES:
        raise NoRuleError(f"type {dtype}")
    return tracer.op("Expand", [tracer.graph.number(value, dtype), tracer.sizes(shape)], shape, dtype)


def _listed(sizes: tuple[Argument, ...]) -> tuple[Size, ...]:
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes


def _made(name: str, value: int) -> None:
    def made(
        tracer: OnnxTracer, *size: Argument, dtype: OptionalType = None, device: Device = None, **_: Argument
    ) -> Argument:
        return _filled(tracer, _listed(size), value, dtype or torch.get_default_dtype())

    def made_like(
        tracer: OnnxTracer, input: Tensor, *, dtype: OptionalType = None, device: Device = None, **_: Argument
    ) -> Argument:
        return _filled(tracer, input.shape, value, dtype or input.dtype)

    def made_new(
        tracer: OnnxTracer,
        input: Tensor,
        *size: Argument,
        dtype: OptionalType = None,
        device: Device = None,
        **_: Argument,
    ) -> Argument:
        return _filled(tracer, _listed(size), value, dtype or input.dtype)

    rule(name)(made)
    rule(f"{name}_like")(made_like)
    rule(f"new_{name}")(made_new)


_made("zeros", 0)


_made("ones", 1)


@rule("full")
def _full(
    tracer: OnnxTracer, size: Argument, fill_value: Argument, *, dtype: OptionalType = None, device: Device = None
) -> Argument:
    if not isinstance(fill_value, (bool, int, float)):
        raise NoRuleError("a tensor filled with a computed number")
    return _filled(tracer, size, fill_value, dtype or torch.tensor(fill_value).dtype)


@rule("arange")
def _arange(tracer: OnnxTracer, *limits: Argument, dtype: OptionalType = None, device: Device = None) -> TracedTensor:
    start, end, step = limits if len(limits) == 3 else (*limits, 1) if len(limits) == 2 else (0, limits[0], 1)
    if dtype not in (None, torch.int64) or step != 1 or any(isinstance(v, float) for v in (start, end)):
        raise NoRuleError("a range of other numbers")
    scalars = [tracer.operand(x, torch.int64) for x in (start, end, step)]
    return tracer.op("Range", scalars, (end - start,), torch.int64)


def _triangle(name: str, upper: int) -> None:
    def apply(tracer: OnnxTracer, input: TracedTensor, diagonal: int = 0) -> TracedTensor:
        inputs = [input, tracer.graph.number(diagonal)]
        return tracer.op("Trilu", inputs, input.shape, input.dtype, upper=upper)

    rule(name)(apply)


_triangle("triu", 1)


_triangle("tril", 0)
