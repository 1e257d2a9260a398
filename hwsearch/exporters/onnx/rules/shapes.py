"""Rules for what moves numbers without changing them: shapes, axes, parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hwsearch.exporters.onnx.dims import Dim, NoRule, Size, broadcast, same
from hwsearch.exporters.onnx.trace import Trace, Value, result_type, rule


def _sizes(args: tuple[Any, ...]) -> list[Size]:
    """Sizes that are given one by one or as one sequence."""
    sizes = list(args[0]) if len(args) == 1 and isinstance(args[0], (tuple, list)) else list(args)
    if not all(isinstance(s, (int, Dim)) for s in sizes):
        raise NoRule(f"sizes {sizes}")
    return sizes


def _product(sizes: Sequence[Size]) -> Size:
    total: Size = 1
    for size in sizes:
        total = total * size
    return total


# ---------------------------------------------------------------------- shapes
@rule("reshape", "view", view=True)
def reshape(trace: Trace, x: Any, *shape: Any, **named: Any) -> Value:
    """Sizes that stay where they are are copied, and one is left to be inferred, before any is read at run time."""
    target = _sizes(shape or tuple(named.values()))
    if not isinstance(x, Value):
        x = Value(trace, trace.name(x), x.shape, x.dtype)
    free = [i for i, s in enumerate(target) if same(s, -1)]
    if free:
        target[free[0]] = _inferred(x.shape, [s for i, s in enumerate(target) if i != free[0]])
    if len(target) == len(x.shape) and all(map(same, target, x.shape)):
        return Value(trace, x.name, x.shape, x.dtype)
    written: list[Size] = [
        0 if isinstance(s, Dim) and i < len(x.shape) and same(s, x.shape[i]) else s for i, s in enumerate(target)
    ]
    variable = [i for i, s in enumerate(written) if isinstance(s, Dim)]
    if variable:
        written[free[0] if free and free[0] in variable else variable[-1]] = -1
    return trace.op("Reshape", [x, trace.sizes(written)], target, x.dtype)


def _inferred(shape: Sequence[Size], others: list[Size]) -> Size:
    """The size that is left, given all others."""
    have = list(shape)
    left = []
    for size in others:
        found = next((i for i, s in enumerate(have) if same(s, size)), None)
        if found is None:
            left.append(size)
        else:
            del have[found]
    whole, rest = _product(have), _product(left)
    if isinstance(whole, int) and isinstance(rest, int) and rest and whole % rest == 0:
        return whole // rest
    if isinstance(whole, Dim) and (isinstance(rest, Dim) or all(v % rest == 0 for v in whole.terms.values())):
        return whole // rest  # type: ignore[no-any-return]
    raise NoRule(f"a shape of {list(shape)} with {others} and one unknown")


@rule("reshape_as", "view_as", view=True)
def reshape_as(trace: Trace, x: Value, other: Any) -> Value:
    return reshape(trace, x, tuple(other.shape))


@rule("flatten", view=True)
def flatten(trace: Trace, x: Value, start_dim: int = 0, end_dim: int = -1) -> Value:
    rank = len(x.shape)
    start, end = start_dim % rank, end_dim % rank
    shape = (*x.shape[:start], _product(x.shape[start : end + 1]), *x.shape[end + 1 :])
    if start == 1 and end == rank - 1:
        return trace.op("Flatten", [x], shape, x.dtype, axis=1)
    return reshape(trace, x, shape)


@rule("unflatten", view=True)
def unflatten(trace: Trace, x: Value, dim: int, sizes: Any) -> Value:
    axis = dim % len(x.shape)
    sizes = list(sizes)
    if any(same(s, -1) for s in sizes):
        free = next(i for i, s in enumerate(sizes) if same(s, -1))
        sizes[free] = _inferred([x.shape[axis]], [s for i, s in enumerate(sizes) if i != free])
    return reshape(trace, x, (*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))


@rule("squeeze", view=True)
def squeeze(trace: Trace, x: Value, dim: Any = None) -> Value:
    rank = len(x.shape)
    if dim is None and any(isinstance(s, Dim) for s in x.shape):
        raise NoRule("axes that are squeezed if they happen to be 1")
    dims = range(rank) if dim is None else [d % rank for d in ([dim] if isinstance(dim, int) else dim)]
    axes = [d for d in dims if x.shape[d] == 1]
    shape = [s for i, s in enumerate(x.shape) if i not in axes]
    return trace.op("Squeeze", [x, trace.graph.number(axes)], shape, x.dtype) if axes else x


@rule("unsqueeze", view=True)
def unsqueeze(trace: Trace, x: Value, dim: int) -> Value:
    axis = dim % (len(x.shape) + 1)
    shape = [*x.shape[:axis], 1, *x.shape[axis:]]
    return trace.op("Unsqueeze", [x, trace.graph.number([axis])], shape, x.dtype)


@rule("expand", view=True)
def expand(trace: Trace, x: Any, *sizes: Any, **_: Any) -> Value:
    target = _sizes(sizes)
    own = [1] * (len(target) - len(x.shape)) + list(x.shape)
    shape = [o if same(t, -1) else t for t, o in zip(target, own, strict=True)]
    if len(target) == len(x.shape) and all(map(same, shape, own)):
        return Value(trace, trace.name(x), x.shape, x.dtype)
    written: list[Size] = [1 if same(s, o) else s for s, o in zip(shape, own, strict=True)]
    return trace.op("Expand", [x, trace.sizes(written)], shape, x.dtype)


@rule("expand_as", view=True)
def expand_as(trace: Trace, x: Any, other: Any) -> Value:
    return expand(trace, x, tuple(other.shape))


@rule("repeat", "tile")
def repeat(trace: Trace, x: Any, *sizes: Any) -> Value:
    counts = _sizes(sizes)
    counts = [1] * (len(x.shape) - len(counts)) + counts  # type: ignore[operator, assignment]
    own: list[Size] = [1] * (len(counts) - len(x.shape)) + list(x.shape)
    if all(same(c, 1) for c in counts) and len(counts) == len(x.shape):
        return Value(trace, trace.name(x), x.shape, x.dtype)
    wide = x if len(own) == len(x.shape) else reshape(trace, x, own)
    return trace.op("Tile", [wide, trace.sizes(counts)], [o * c for o, c in zip(own, counts, strict=True)], x.dtype)


@rule("contiguous", "detach", "requires_grad_", "cpu", view=True)
def unchanged(trace: Trace, x: Value, *_: Any, **__: Any) -> Value:
    return x


@rule("clone")
def clone(trace: Trace, x: Value, **_: Any) -> Value:
    return Value(trace, x.name, x.shape, x.dtype)


# ---------------------------------------------------------------------- axes
def _moved(trace: Trace, x: Value, order: Sequence[int]) -> Value:
    return trace.op("Transpose", [x], [x.shape[i] for i in order], x.dtype, perm=list(order))


@rule("transpose", view=True)
def transpose(trace: Trace, x: Value, dim0: int, dim1: int) -> Value:
    order = list(range(len(x.shape)))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return _moved(trace, x, order)


@rule("t", view=True)
def t(trace: Trace, x: Value) -> Value:
    if len(x.shape) != 2:
        raise NoRule(f"the transpose of {len(x.shape)} axes")
    return _moved(trace, x, (1, 0))


@rule("permute", view=True)
def permute(trace: Trace, x: Value, *dims: Any) -> Value:
    return _moved(trace, x, [int(d) % len(x.shape) for d in _sizes(dims)])


@rule("cat")
def cat(trace: Trace, tensors: Sequence[Any], dim: int = 0, **named: Any) -> Value:
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
    return trace.op("Concat", [trace.operand(x, dtype) for x in tensors], shape, dtype, axis=axis)


@rule("stack")
def stack(trace: Trace, tensors: Sequence[Any], dim: int = 0) -> Value:
    return cat(trace, [x.unsqueeze(dim) for x in tensors], dim)


# ---------------------------------------------------------------------- parts
@rule("split", view=True)
def split(trace: Trace, x: Value, split_size: Any = None, dim: int = 0, *, split_size_or_sections: Any = None) -> Any:
    asked = split_size if split_size_or_sections is None else split_size_or_sections
    axis = dim % len(x.shape)
    whole = x.shape[axis]
    if not isinstance(whole, int) or isinstance(asked, Dim):
        raise NoRule("parts of an axis of variable size")
    lengths = list(asked) if isinstance(asked, (tuple, list)) else [asked] * (whole // asked)
    if sum(lengths) < whole:
        lengths.append(whole - sum(lengths))
    names = trace.graph.emit("Split", [x.name, trace.graph.number(lengths)], len(lengths), axis=axis)
    shapes = [[*x.shape[:axis], n, *x.shape[axis + 1 :]] for n in lengths]
    return tuple(Value(trace, n, s, x.dtype) for n, s in zip(names, shapes, strict=True))


@rule("chunk", view=True)
def chunk(trace: Trace, x: Value, chunks: int, dim: int = 0) -> Any:
    whole = x.shape[dim]
    if not isinstance(whole, int):
        raise NoRule("chunks of an axis of variable size")
    return split(trace, x, -(-whole // chunks), dim)


@rule("unbind", view=True)
def unbind(trace: Trace, x: Value, dim: int = 0) -> Any:
    whole = x.shape[dim]
    if not isinstance(whole, int):
        raise NoRule("parts of an axis of variable size")
    return tuple(select(trace, x, dim, i) for i in range(whole))


@rule("select", view=True)
def select(trace: Trace, x: Any, dim: int, index: Any) -> Value:
    axis = dim % len(x.shape)
    shape = [*x.shape[:axis], *x.shape[axis + 1 :]]
    return trace.op("Gather", [x, trace.operand(index, torch.int64)], shape, x.dtype, axis=axis)


@rule("narrow", view=True)
def narrow(trace: Trace, x: Any, dim: int, start: Any, length: Any) -> Value:
    return _sliced(trace, x, {dim % len(x.shape): slice(start, start + length)})


@rule("index_select")
def index_select(trace: Trace, x: Any, dim: int, index: Any) -> Value:
    axis = dim % len(x.shape)
    shape = [*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]]
    return trace.op("Gather", [x, index], shape, x.dtype, axis=axis)


@rule("gather")
def gather(trace: Trace, x: Any, dim: int, index: Any) -> Value:
    return trace.op("GatherElements", [x, index], tuple(index.shape), x.dtype, axis=dim)


@rule("getitem", view=True)
def getitem(trace: Trace, x: Any, index: Any) -> Value:
    entries = list(index) if isinstance(index, tuple) else [index]
    taken = sum(e is not None and e is not Ellipsis for e in entries)
    rest = [slice(None)] * (len(x.shape) - taken)
    dots = [i for i, e in enumerate(entries) if e is Ellipsis]
    at = dots[0] if dots else len(entries)
    entries[at : at + len(dots)] = rest
    if sum(isinstance(e, Tensor) for e in entries) > 1:
        raise NoRule("an index of several tensors")
    slices: dict[int, slice] = {}
    axis = 0
    for entry in entries:
        if isinstance(entry, slice) and entry != slice(None):
            slices[axis] = entry
        axis += entry is not None
    result = _sliced(trace, x, slices) if slices else x
    axis = 0
    for entry in entries:
        if entry is None:
            result = unsqueeze(trace, result, axis)
        elif isinstance(entry, Tensor):
            if entry.dtype not in (torch.int64, torch.int32):
                raise NoRule("an index of another type than integers")
            result = index_select(trace, result, axis, entry)
            axis += len(entry.shape) - 1
        elif not isinstance(entry, slice):
            if isinstance(entry, bool):
                raise NoRule("a mask as an index")
            result = select(trace, result, axis, entry)
            continue
        axis += 1
    return result if isinstance(result, Value) else Value(trace, trace.name(result), result.shape, result.dtype)


def _sliced(trace: Trace, x: Any, slices: dict[int, slice]) -> Value:
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
    lists = [trace.sizes(v) for v in (starts, ends)] + [trace.graph.number(list(slices)), trace.sizes(steps)]
    result = trace.op("Slice", [x, *lists], shape, x.dtype)
    for axis in unknown:
        result = trace.measured(result, axis)
    return result


def _length(whole: Size, start: Any, stop: Any, step: Any) -> Size | None:
    """How long a slice is, if that is known; a slice to a variable place is taken to lie within the axis."""
    if not isinstance(step, int) or step < 1:
        raise NoRule(f"a slice in steps of {step}")
    if all(not isinstance(v, Dim) for v in (whole, start, stop)):
        return len(range(*slice(start, stop, step).indices(int(whole))))
    if isinstance(stop, Dim) or isinstance(start, Dim):
        length = None if stop is None else stop - start
        return length if isinstance(length, int) and step == 1 else None
    return None
