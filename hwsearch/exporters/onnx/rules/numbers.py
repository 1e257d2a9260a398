"""Rules for arithmetic, comparisons, reductions and made tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hwsearch.exporters.onnx.dims import Dim, NoRule, Size, broadcast
from hwsearch.exporters.onnx.graph import TYPES
from hwsearch.exporters.onnx.trace import Trace, Value, result_type, rule


def _shape(x: Any) -> tuple[Size, ...]:
    return tuple(x.shape) if isinstance(x, Tensor) else ()


# ---------------------------------------------------------------------- element by element
def _elementwise(kind: str, *names: str) -> None:
    def apply(trace: Trace, input: Value) -> Value:
        if not input.dtype.is_floating_point:
            raise NoRule(f"{names[0]} of integers")
        return trace.op(kind, [input], input.shape, input.dtype)

    rule(*names)(apply)


for _kind in ("Abs", "Neg", "Exp", "Log", "Sqrt", "Erf", "Floor", "Ceil", "Round", "Reciprocal", "Sin", "Cos"):
    _elementwise(_kind, _kind.lower())


def _binary(kind: str, *names: str, compare: bool = False) -> None:
    def apply(trace: Trace, input: Any, other: Any) -> Value:
        dtype = result_type(input, other)
        if kind == "Div" and not dtype.is_floating_point:
            dtype = torch.get_default_dtype()
        if dtype == torch.bool and not compare:
            raise NoRule(f"{names[0]} of two masks")
        shape = broadcast(_shape(input), _shape(other))
        operands = [trace.operand(x, dtype) for x in (input, other)]
        return trace.op(kind, operands, shape, torch.bool if compare else dtype)

    rule(*names)(apply)
    if f"r{names[0]}" in ("rsub", "rdiv", "rpow"):
        rule(f"r{names[0]}")(lambda trace, input, other: apply(trace, other, input))


_binary("Add", "add")
_binary("Sub", "sub")
_binary("Mul", "mul")
_binary("Div", "div")
_binary("Pow", "pow")
_binary("Max", "maximum")
_binary("Min", "minimum")
_binary("Equal", "eq", compare=True)
_binary("Less", "lt", compare=True)
_binary("LessOrEqual", "le", compare=True)
_binary("Greater", "gt", compare=True)
_binary("GreaterOrEqual", "ge", compare=True)


def _logical(kind: str, *names: str) -> None:
    def apply(trace: Trace, input: Any, other: Any) -> Value:
        if input.dtype != torch.bool or other.dtype != torch.bool:
            raise NoRule(f"{names[0]} of numbers")
        return trace.op(kind, [input, other], broadcast(_shape(input), _shape(other)), torch.bool)

    rule(*names)(apply)


_logical("And", "logical_and", "bitwise_and")
_logical("Or", "logical_or", "bitwise_or")
_logical("Xor", "logical_xor", "bitwise_xor")


@rule("logical_not", "bitwise_not")
def logical_not(trace: Trace, input: Value) -> Value:
    if input.dtype != torch.bool:
        raise NoRule("the negation of numbers")
    return trace.op("Not", [input], input.shape, torch.bool)


@rule("ne")
def not_equal(trace: Trace, input: Any, other: Any) -> Value:
    from_equal: Value = trace.call("eq", (input, other))
    return logical_not(trace, from_equal)


@rule("clamp")
def clamp(trace: Trace, input: Value, min: Any = None, max: Any = None) -> Value:
    result = input
    for name, bound in (("maximum", min), ("minimum", max)):
        if bound is not None:
            result = trace.call(name, (result, bound))
    return result


@rule("where")
def where(trace: Trace, condition: Any, input: Any, other: Any) -> Value:
    dtype = result_type(input, other)
    operands = [trace.operand(condition, torch.bool), *(trace.operand(x, dtype) for x in (input, other))]
    return trace.op("Where", operands, broadcast(_shape(condition), _shape(input), _shape(other)), dtype)


@rule("masked_fill")
def masked_fill(trace: Trace, input: Value, mask: Any, value: Any) -> Value:
    shape = broadcast(input.shape, _shape(mask))
    return trace.op("Where", [mask, trace.operand(value, input.dtype), input], shape, input.dtype)


# ---------------------------------------------------------------------- types
@rule("to")
def to(trace: Trace, input: Value, *args: Any, dtype: Any = None, device: Any = None, **options: Any) -> Value:
    """Another type; devices say nothing about a model."""
    for arg in args:
        if isinstance(arg, torch.dtype):
            dtype = arg
        elif isinstance(arg, Tensor):
            dtype = arg.dtype
    return input if dtype is None else trace.cast(input, dtype)


@rule("type_as")
def type_as(trace: Trace, input: Value, other: Any) -> Value:
    return trace.cast(input, other.dtype)


for _name, _dtype in {
    "float": torch.float32,
    "double": torch.float64,
    "long": torch.int64,
    "int": torch.int32,
    "bool": torch.bool,
}.items():
    rule(_name)(lambda trace, input, _dtype=_dtype: trace.cast(input, _dtype))


# ---------------------------------------------------------------------- reductions
def _reduced(input: Value, dim: Any, keepdim: bool) -> tuple[list[int], tuple[Size, ...]]:
    """(axes from 0, the shape without them)."""
    rank = len(input.shape)
    axes = list(range(rank)) if dim is None else sorted(d % rank for d in ([dim] if isinstance(dim, int) else dim))
    return axes, tuple(1 if i in axes else s for i, s in enumerate(input.shape) if keepdim or i not in axes)


@rule("mean")
def mean(trace: Trace, input: Value, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Value:
    axes, shape = _reduced(input, dim, keepdim)
    if not input.dtype.is_floating_point or dtype not in (None, input.dtype):
        raise NoRule("a mean of another type")
    if keepdim and len(input.shape) == 4 and axes == [2, 3]:
        return trace.op("GlobalAveragePool", [input], shape, input.dtype)
    return trace.op("ReduceMean", [input], shape, input.dtype, axes=axes, keepdims=int(keepdim))


@rule("sum")
def total(trace: Trace, input: Value, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Value:
    axes, shape = _reduced(input, dim, keepdim)
    kind = dtype or (input.dtype if input.dtype.is_floating_point else torch.int64)
    inputs = [trace.cast(input, kind), trace.graph.number(axes)]
    return trace.op("ReduceSum", inputs, shape, kind, keepdims=int(keepdim))


def _extreme(kind: str, name: str) -> None:
    def apply(trace: Trace, input: Value, dim: Any = (), keepdim: bool = False) -> Value:
        axes, shape = _reduced(input, None if dim == () else dim, keepdim)
        return trace.op(kind, [input], shape, input.dtype, axes=axes, keepdims=int(keepdim))

    rule(name)(apply)


_extreme("ReduceMax", "amax")
_extreme("ReduceMin", "amin")


@rule("cumsum")
def cumsum(trace: Trace, input: Value, dim: int, *, dtype: Any = None) -> Value:
    kind = dtype or (input.dtype if input.dtype.is_floating_point else torch.int64)
    return trace.op("CumSum", [trace.cast(input, kind), trace.graph.number(dim)], input.shape, kind)


# ---------------------------------------------------------------------- made tensors
def _filled(trace: Trace, shape: Sequence[Size], value: Any, dtype: torch.dtype) -> Any:
    if not any(isinstance(s, Dim) for s in shape):
        return torch.full(tuple(int(s) for s in shape), value, dtype=dtype)
    if dtype not in TYPES:
        raise NoRule(f"type {dtype}")
    return trace.op("Expand", [trace.graph.number(value, dtype), trace.sizes(shape)], shape, dtype)


def _listed(sizes: tuple[Any, ...]) -> tuple[Size, ...]:
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)) else sizes


def _made(name: str, value: int) -> None:
    def made(trace: Trace, *size: Any, dtype: Any = None, device: Any = None, **_: Any) -> Any:
        return _filled(trace, _listed(size), value, dtype or torch.get_default_dtype())

    def made_like(trace: Trace, input: Any, *, dtype: Any = None, device: Any = None, **_: Any) -> Any:
        return _filled(trace, input.shape, value, dtype or input.dtype)

    def made_new(trace: Trace, input: Any, *size: Any, dtype: Any = None, device: Any = None, **_: Any) -> Any:
        return _filled(trace, _listed(size), value, dtype or input.dtype)

    rule(name)(made)
    rule(f"{name}_like")(made_like)
    rule(f"new_{name}")(made_new)


_made("zeros", 0)
_made("ones", 1)


@rule("full")
def full(trace: Trace, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Any:
    if not isinstance(fill_value, (bool, int, float)):
        raise NoRule("a tensor filled with a computed number")
    return _filled(trace, size, fill_value, dtype or torch.tensor(fill_value).dtype)


@rule("arange")
def arange(trace: Trace, *limits: Any, dtype: Any = None, device: Any = None) -> Value:
    start, end, step = limits if len(limits) == 3 else (*limits, 1) if len(limits) == 2 else (0, limits[0], 1)
    if dtype not in (None, torch.int64) or step != 1 or any(isinstance(v, float) for v in (start, end)):
        raise NoRule("a range of other numbers")
    scalars = [trace.operand(x, torch.int64) for x in (start, end, step)]
    return trace.op("Range", scalars, (end - start,), torch.int64)


def _triangle(name: str, upper: int) -> None:
    def apply(trace: Trace, input: Value, diagonal: int = 0) -> Value:
        inputs = [input, trace.graph.number(diagonal)]
        return trace.op("Trilu", inputs, input.shape, input.dtype, upper=upper)

    rule(name)(apply)


_triangle("triu", 1)
_triangle("tril", 0)
