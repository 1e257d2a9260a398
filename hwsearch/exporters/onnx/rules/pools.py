"""Rules for pooling."""

from __future__ import annotations

from hwsearch.exporters.onnx.dims import NoRuleError, Size
from hwsearch.exporters.onnx.registry import rule
from hwsearch.exporters.onnx.rules.arguments import IntOrInts, int_list
from hwsearch.exporters.onnx.tracer import OnnxTracer
from hwsearch.exporters.onnx.values import Argument, TracedTensor


def _pooled(size: Size, kernel: int, stride: int, pad: int, ceil: bool) -> Size:
    if not ceil:
        return (size + 2 * pad - kernel) // stride + 1
    out = -((kernel - size - 2 * pad) // stride) + 1  # rounded up
    return out - ((out - 1) * stride >= size + pad)


def _pool(
    tracer: OnnxTracer,
    kind: str,
    x: TracedTensor,
    kernel: IntOrInts,
    stride: IntOrInts | None,
    padding: IntOrInts,
    ceil: bool,
    **attributes: Argument,
) -> TracedTensor:
    n = len(x.shape) - 2
    kernels, pads = int_list(kernel, n), int_list(padding, n)
    strides = kernels if stride is None or stride == [] else int_list(stride, n)
    sides = [_pooled(*s, ceil) for s in zip(x.shape[2:], kernels, strides, pads, strict=True)]
    return tracer.op(
        kind,
        [x],
        (*x.shape[:2], *sides),
        x.dtype,
        kernel_shape=kernels,
        strides=strides,
        pads=pads * 2,
        ceil_mode=int(ceil),
        **attributes,
    )


@rule("max_pool1d", "max_pool2d", "max_pool3d")
def _max_pool(
    tracer: OnnxTracer,
    input: TracedTensor,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> TracedTensor:
    if set(int_list(dilation, 1)) != {1} or return_indices:
        raise NoRuleError("dilated pooling or pooling with indices")
    return _pool(tracer, "MaxPool", input, kernel_size, stride, padding, ceil_mode)


@rule("avg_pool1d", "avg_pool2d", "avg_pool3d")
def _avg_pool(
    tracer: OnnxTracer,
    input: TracedTensor,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> TracedTensor:
    if divisor_override is not None:
        raise NoRuleError("pooling with another divisor")
    included = int(count_include_pad)
    return _pool(tracer, "AveragePool", input, kernel_size, stride, padding, ceil_mode, count_include_pad=included)


@rule("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def _adaptive_avg_pool(tracer: OnnxTracer, input: TracedTensor, output_size: Argument) -> TracedTensor:
    sides = input.shape[2:]
    sizes = list(output_size) if isinstance(output_size, (tuple, list)) else [output_size] * len(sides)
    targets = [side if size is None else size for size, side in zip(sizes, sides, strict=True)]
    if all(t == 1 for t in targets):
        return tracer.op("GlobalAveragePool", [input], (*input.shape[:2], *targets), input.dtype)
    if not all(isinstance(s, int) and s % t == 0 for s, t in zip(sides, targets, strict=True)):
        raise NoRuleError(f"adaptive pooling of {sides} to {targets}")
    kernel = [int(s // t) for s, t in zip(sides, targets, strict=True)]
    return _avg_pool(tracer, input, kernel)
