"""Rules that change the shape of a tensor and no numbers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from hwsearch.exporters.onnx.dims import Dim, NoRuleError, Size, same
from hwsearch.exporters.onnx.registry import rule
from hwsearch.exporters.onnx.rules.arguments import Axes, listed_sizes
from hwsearch.exporters.onnx.tracer import OnnxTracer
from hwsearch.exporters.onnx.values import Argument, TracedTensor


def _product(sizes: Sequence[Size]) -> Size:
    total: Size = 1
    for size in sizes:
        total = total * size
    return total


@rule("reshape", "view", view=True)
def _reshape(tracer: OnnxTracer, x: Argument, *shape: Argument, **named: Argument) -> TracedTensor:
    """Lower a reshape: sizes that stay where they are are copied, and one is left to be inferred, before any is read at run time."""
    target = listed_sizes(shape or tuple(named.values()))
    if not isinstance(x, TracedTensor):
        x = TracedTensor(tracer, tracer.name(x), x.shape, x.dtype)
    free = [i for i, s in enumerate(target) if same(s, -1)]
    if free:
        target[free[0]] = _inferred(x.shape, [s for i, s in enumerate(target) if i != free[0]])
    if len(target) == len(x.shape) and all(map(same, target, x.shape)):
        return TracedTensor(tracer, x.name, x.shape, x.dtype)
    written: list[Size] = [
        0 if isinstance(s, Dim) and i < len(x.shape) and same(s, x.shape[i]) else s for i, s in enumerate(target)
    ]
    variable = [i for i, s in enumerate(written) if isinstance(s, Dim)]
    if variable:
        written[free[0] if free and free[0] in variable else variable[-1]] = -1
    return tracer.op("Reshape", [x, tracer.sizes(written)], target, x.dtype)


def _inferred(shape: Sequence[Size], others: list[Size]) -> Size:
    """Infer the one size that is left open from all others."""
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
    raise NoRuleError(f"a shape of {list(shape)} with {others} and one unknown")


@rule("reshape_as", "view_as", view=True)
def _reshape_as(tracer: OnnxTracer, x: TracedTensor, other: Tensor) -> TracedTensor:
    return _reshape(tracer, x, tuple(other.shape))


@rule("flatten", view=True)
def _flatten(tracer: OnnxTracer, x: TracedTensor, start_dim: int = 0, end_dim: int = -1) -> TracedTensor:
    rank = len(x.shape)
    start, end = start_dim % rank, end_dim % rank
    shape = (*x.shape[:start], _product(x.shape[start : end + 1]), *x.shape[end + 1 :])
    if start == 1 and end == rank - 1:
        return tracer.op("Flatten", [x], shape, x.dtype, axis=1)
    return _reshape(tracer, x, shape)


@rule("unflatten", view=True)
def _unflatten(tracer: OnnxTracer, x: TracedTensor, dim: int, sizes: Argument) -> TracedTensor:
    axis = dim % len(x.shape)
    sizes = list(sizes)
    if any(same(s, -1) for s in sizes):
        free = next(i for i, s in enumerate(sizes) if same(s, -1))
        sizes[free] = _inferred([x.shape[axis]], [s for i, s in enumerate(sizes) if i != free])
    return _reshape(tracer, x, (*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))


@rule("squeeze", view=True)
def _squeeze(tracer: OnnxTracer, x: TracedTensor, dim: Axes = None) -> TracedTensor:
    rank = len(x.shape)
    if dim is None and any(isinstance(s, Dim) for s in x.shape):
        raise NoRuleError("axes that are squeezed if they happen to be 1")
    dims = range(rank) if dim is None else [d % rank for d in ([dim] if isinstance(dim, int) else dim)]
    axes = [d for d in dims if x.shape[d] == 1]
    shape = [s for i, s in enumerate(x.shape) if i not in axes]
    return tracer.op("Squeeze", [x, tracer.graph.number(axes)], shape, x.dtype) if axes else x


@rule("unsqueeze", view=True)
def _unsqueeze(tracer: OnnxTracer, x: TracedTensor, dim: int) -> TracedTensor:
    axis = dim % (len(x.shape) + 1)
    shape = [*x.shape[:axis], 1, *x.shape[axis:]]
    return tracer.op("Unsqueeze", [x, tracer.graph.number([axis])], shape, x.dtype)


@rule("expand", view=True)
def _expand(tracer: OnnxTracer, x: Argument, *sizes: Argument, **_: Argument) -> TracedTensor:
    target = listed_sizes(sizes)
    own = [1] * (len(target) - len(x.shape)) + list(x.shape)
    shape = [o if same(t, -1) else t for t, o in zip(target, own, strict=True)]
    if len(target) == len(x.shape) and all(map(same, shape, own)):
        return TracedTensor(tracer, tracer.name(x), x.shape, x.dtype)
    written: list[Size] = [1 if same(s, o) else s for s, o in zip(shape, own, strict=True)]
    return tracer.op("Expand", [x, tracer.sizes(written)], shape, x.dtype)


@rule("expand_as", view=True)
def _expand_as(tracer: OnnxTracer, x: Argument, other: Tensor) -> TracedTensor:
    return _expand(tracer, x, tuple(other.shape))


@rule("repeat", "tile")
def _repeat(tracer: OnnxTracer, x: Argument, *sizes: Argument) -> TracedTensor:
    counts = listed_sizes(sizes)
    counts = [1] * (len(x.shape) - len(counts)) + counts  # type: ignore[operator, assignment]
    own: list[Size] = [1] * (len(counts) - len(x.shape)) + list(x.shape)
    if all(same(c, 1) for c in counts) and len(counts) == len(x.shape):
        return TracedTensor(tracer, tracer.name(x), x.shape, x.dtype)
    wide = x if len(own) == len(x.shape) else _reshape(tracer, x, own)
    return tracer.op("Tile", [wide, tracer.sizes(counts)], [o * c for o, c in zip(own, counts, strict=True)], x.dtype)


@rule("contiguous", "detach", "requires_grad_", "cpu", view=True)
def _unchanged(tracer: OnnxTracer, x: TracedTensor, *_: Argument, **__: Argument) -> TracedTensor:
    return x


@rule("clone")
def _clone(tracer: OnnxTracer, x: TracedTensor, **_: Argument) -> TracedTensor:
    return TracedTensor(tracer, x.name, x.shape, x.dtype)
