"""Rules that take parts of a tensor."""

from __future__ import annotations

import torch
from torch import Tensor

from hwsearch.exporters.onnx.dims import Dim, NoRuleError, Size
from hwsearch.exporters.onnx.registry import RULES, rule
from hwsearch.exporters.onnx.tracer import OnnxTracer
from hwsearch.exporters.onnx.values import Argument, TracedTensor


@rule("split", view=True)
def _split(
    tracer: OnnxTracer,
    x: TracedTensor,
    split_size: Argument = None,
    dim: int = 0,
    *,
    split_size_or_sections: Argument = None,
) -> Argument:
    asked = split_size if split_size_or_sections is None else split_size_or_sections
    axis = dim % len(x.shape)
    whole = x.shape[axis]
    if not isinstance(whole, int) or isinstance(asked, Dim):
        raise NoRuleError("parts of an axis of variable size")
    lengths = list(asked) if isinstance(asked, (tuple, list)) else [asked] * (whole // asked)
    if sum(lengths) < whole:
        lengths.append(whole - sum(lengths))
    names = tracer.graph.emit("Split", [x.name, tracer.graph.number(lengths)], len(lengths), axis=axis)
    shapes = [[*x.shape[:axis], n, *x.shape[axis + 1 :]] for n in lengths]
    return tuple(TracedTensor(tracer, n, s, x.dtype) for n, s in zip(names, shapes, strict=True))


@rule("chunk", view=True)
def _chunk(tracer: OnnxTracer, x: TracedTensor, chunks: int, dim: int = 0) -> Argument:
    whole = x.shape[dim]
    if not isinstance(whole, int):
        raise NoRuleError("chunks of an axis of variable size")
    return _split(tracer, x, -(-whole // chunks), dim)


@rule("unbind", view=True)
def _unbind(tracer: OnnxTracer, x: TracedTensor, dim: int = 0) -> Argument:
    whole = x.shape[dim]
    if not isinstance(whole, int):
        raise NoRuleError("parts of an axis of variable size")
    return tuple(_select(tracer, x, dim, i) for i in range(whole))


@rule("select", view=True)
def _select(tracer: OnnxTracer, x: Argument, dim: int, index: Argument) -> TracedTensor:
    axis = dim % len(x.shape)
    shape = [*x.shape[:axis], *x.shape[axis + 1 :]]
    return tracer.op("Gather", [x, tracer.operand(index, torch.int64)], shape, x.dtype, axis=axis)


@rule("narrow", view=True)
def _narrow(tracer: OnnxTracer, x: Argument, dim: int, start: Argument, length: Argument) -> TracedTensor:
    return _sliced(tracer, x, {dim % len(x.shape): slice(start, start + length)})


@rule("index_select")
def _index_select(tracer: OnnxTracer, x: Argument, dim: int, index: Argument) -> TracedTensor:
    axis = dim % len(x.shape)
    shape = [*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]]
    return tracer.op("Gather", [x, index], shape, x.dtype, axis=axis)


@rule("gather")
def _gather(tracer: OnnxTracer, x: Argument, dim: int, index: Argument) -> TracedTensor:
    return tracer.op("GatherElements", [x, index], tuple(index.shape), x.dtype, axis=dim)


@rule("getitem", view=True)
def _getitem(tracer: OnnxTracer, x: Argument, index: Argument) -> TracedTensor:
    entries = list(index) if isinstance(index, tuple) else [index]
    taken = sum(e is not None and e is not Ellipsis for e in entries)
    rest = [slice(None)] * (len(x.shape) - taken)
    dots = [i for i, e in enumerate(entries) if e is Ellipsis]
    at = dots[0] if dots else len(entries)
    entries[at : at + len(dots)] = rest
    if sum(isinstance(e, Tensor) for e in entries) > 1:
        raise NoRuleError("an index of several tensors")
    slices: dict[int, slice] = {}
    axis = 0
    for entry in entries:
        if isinstance(entry, slice) and entry != slice(None):
            slices[axis] = entry
        axis += entry is not None
    result = _sliced(tracer, x, slices) if slices else x
    axis = 0
    for entry in entries:
        if entry is None:
            result = RULES["unsqueeze"](tracer, result, axis)
        elif isinstance(entry, Tensor):
            if entry.dtype not in (torch.int64, torch.int32):
                raise NoRuleError("an index of another type than integers")
            result = _index_select(tracer, result, axis, entry)
            axis += len(entry.shape) - 1
        elif not isinstance(entry, slice):
            if isinstance(entry, bool):
                raise NoRuleError("a mask as an index")
            result = _select(tracer, result, axis, entry)
            continue
        axis += 1
    return (
        result
        if isinstance(result, TracedTensor)
        else TracedTensor(tracer, tracer.name(result), result.shape, result.dtype)
    )


def _sliced(tracer: OnnxTracer, x: Argument, slices: dict[int, slice]) -> TracedTensor:
    starts: list[Size] = []
    ends: list[Size] = []
    steps: list[Size] = []
    shape = list(x.shape)
    unknown = []
    for axis, part in slices.items():
        start, stop, step = 0 if part.start is None else part.start, part.stop, 1 if part.step is None else part.step
        length = _length(shape[axis], start, stop, step)
        if length is None:
            unknown.append(axis)
        else:
            shape[axis] = length
        starts.append(start)
        ends.append(2**63 - 1 if stop is None else stop)
        steps.append(step)
    lists = [tracer.sizes(v) for v in (starts, ends)] + [tracer.graph.number(list(slices)), tracer.sizes(steps)]
    result = tracer.op("Slice", [x, *lists], shape, x.dtype)
    for axis in unknown:
        result = tracer.measured(result, axis)
    return result


def _length(whole: Size, start: Argument, stop: Argument, step: Argument) -> Size | None:
    """Compute how long a slice is, if that is known; a slice to a variable place is taken to lie within the axis."""
    if not isinstance(step, int) or step < 1:
        raise NoRuleError(f"a slice in steps of {step}")
    if all(not isinstance(v, Dim) for v in (whole, start, stop)):
        return len(range(*slice(start, stop, step).indices(int(whole))))
    if isinstance(stop, Dim) or isinstance(start, Dim):
        length = None if stop is None else stop - start
        return length if isinstance(length, int) and step == 1 else None
    return None
