"""Rules for arithmetic, comparisons and choices, element by element."""

from __future__ import annotations

import torch
from torch import Tensor

from hwsearch.exporters.onnx.dims import NoRuleError, Size, broadcast
from hwsearch.exporters.onnx.registry import rule
from hwsearch.exporters.onnx.tracer import OnnxTracer
from hwsearch.exporters.onnx.values import Argument, Operand, TracedTensor, result_type


def _shape(x: Argument) -> tuple[Size, ...]:
    return tuple(x.shape) if isinstance(x, Tensor) else ()


def _elementwise(kind: str, *names: str) -> None:
    def apply(tracer: OnnxTracer, input: TracedTensor) -> TracedTensor:
        if not input.dtype.is_floating_point:
            raise NoRuleError(f"{names[0]} of integers")
        return tracer.op(kind, [input], input.shape, input.dtype)

    rule(*names)(apply)


for _kind in ("Abs", "Neg", "Exp", "Log", "Sqrt", "Erf", "Floor", "Ceil", "Round", "Reciprocal", "Sin", "Cos"):
    _elementwise(_kind, _kind.lower())


def _binary(kind: str, *names: str, compare: bool = False) -> None:
    def apply(tracer: OnnxTracer, input: Operand, other: Operand) -> TracedTensor:
        dtype = result_type(input, other)
        if kind == "Div" and not dtype.is_floating_point:
            dtype = torch.get_default_dtype()
        if dtype == torch.bool and not compare:
            raise NoRuleError(f"{names[0]} of two masks")
        shape = broadcast(_shape(input), _shape(other))
        operands = [tracer.operand(x, dtype) for x in (input, other)]
        return tracer.op(kind, operands, shape, torch.bool if compare else dtype)

    rule(*names)(apply)
    if f"r{names[0]}" in ("rsub", "rdiv", "rpow"):
        rule(f"r{names[0]}")(lambda tracer, input, other: apply(tracer, other, input))


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
    def apply(tracer: OnnxTracer, input: Tensor, other: Tensor) -> TracedTensor:
        if input.dtype != torch.bool or other.dtype != torch.bool:
            raise NoRuleError(f"{names[0]} of numbers")
        return tracer.op(kind, [input, other], broadcast(_shape(input), _shape(other)), torch.bool)

    rule(*names)(apply)


_logical("And", "logical_and", "bitwise_and")


_logical("Or", "logical_or", "bitwise_or")


_logical("Xor", "logical_xor", "bitwise_xor")


@rule("logical_not", "bitwise_not")
def _logical_not(tracer: OnnxTracer, input: TracedTensor) -> TracedTensor:
    if input.dtype != torch.bool:
        raise NoRuleError("the negation of numbers")
    return tracer.op("Not", [input], input.shape, torch.bool)


@rule("ne")
def _not_equal(tracer: OnnxTracer, input: Operand, other: Operand) -> TracedTensor:
    from_equal: TracedTensor = tracer.call("eq", (input, other))
    return _logical_not(tracer, from_equal)


@rule("clamp")
def _clamp(
    tracer: OnnxTracer, input: TracedTensor, min: Operand | None = None, max: Operand | None = None
) -> TracedTensor:
    result = input
    for name, bound in (("maximum", min), ("minimum", max)):
        if bound is not None:
            result = tracer.call(name, (result, bound))
    return result


@rule("where")
def _where(tracer: OnnxTracer, condition: Operand, input: Operand, other: Operand) -> TracedTensor:
    dtype = result_type(input, other)
    operands = [tracer.operand(condition, torch.bool), *(tracer.operand(x, dtype) for x in (input, other))]
    return tracer.op("Where", operands, broadcast(_shape(condition), _shape(input), _shape(other)), dtype)


@rule("masked_fill")
def _masked_fill(tracer: OnnxTracer, input: TracedTensor, mask: Argument, value: Argument) -> TracedTensor:
    shape = broadcast(input.shape, _shape(mask))
    return tracer.op("Where", [mask, tracer.operand(value, input.dtype), input], shape, input.dtype)
