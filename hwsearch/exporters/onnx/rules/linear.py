"""Rules for convolutions, linear layers, matrix products and embeddings."""

from __future__ import annotations

from torch import Tensor

from hwsearch.exporters.onnx.dims import NoRuleError, broadcast
from hwsearch.exporters.onnx.registry import rule
from hwsearch.exporters.onnx.rules.arguments import IntOrInts, int_list
from hwsearch.exporters.onnx.tracer import OnnxTracer
from hwsearch.exporters.onnx.values import Argument, TracedTensor


@rule("conv1d", "conv2d", "conv3d")
def _conv(
    tracer: OnnxTracer,
    input: TracedTensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrInts = 1,
    padding: IntOrInts = 0,
    dilation: IntOrInts = 1,
    groups: int = 1,
) -> TracedTensor:
    n = len(weight.shape) - 2
    if isinstance(padding, str) or len(input.shape) != n + 2:
        raise NoRuleError(f"a convolution of {len(input.shape)} axes with padding {padding}")
    kernel = [int(k) for k in weight.shape[2:]]
    strides, pads, dilations = int_list(stride, n), int_list(padding, n), int_list(dilation, n)
    sides = [
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, s, p, d in zip(input.shape[2:], kernel, strides, pads, dilations, strict=True)
    ]
    return tracer.op(
        "Conv",
        [input, weight, *([] if bias is None else [bias])],
        (input.shape[0], weight.shape[0], *sides),
        input.dtype,
        kernel_shape=kernel,
        strides=strides,
        dilations=dilations,
        group=groups,
        pads=pads * 2,
    )


@rule("linear")
def _linear(tracer: OnnxTracer, input: TracedTensor, weight: Tensor, bias: Tensor | None = None) -> TracedTensor:
    if isinstance(weight, TracedTensor):
        raise NoRuleError("a linear layer whose weight is computed")
    shape = (*input.shape[:-1], weight.shape[0])
    if len(input.shape) == 2:
        return tracer.op("Gemm", [input, weight, *([] if bias is None else [bias])], shape, input.dtype, transB=1)
    product = tracer.op("MatMul", [input, tracer.transposed(weight)], shape, input.dtype)
    return product if bias is None else tracer.op("Add", [product, bias], shape, input.dtype)


@rule("matmul", "bmm")
def _matmul(tracer: OnnxTracer, a: Argument, b: Argument) -> TracedTensor:
    if min(len(a.shape), len(b.shape)) < 2 or a.dtype != b.dtype:
        raise NoRuleError("a product of vectors, or of tensors of two types")
    shape = (*broadcast(tuple(a.shape[:-2]), tuple(b.shape[:-2])), a.shape[-2], b.shape[-1])
    return tracer.op("MatMul", [a, b], shape, a.dtype)


@rule("rmatmul")
def _rmatmul(tracer: OnnxTracer, a: Argument, b: Argument) -> TracedTensor:
    return _matmul(tracer, b, a)


@rule("embedding")
def _embedding(
    tracer: OnnxTracer,
    input: TracedTensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> TracedTensor:
    if max_norm is not None or isinstance(weight, TracedTensor):
        raise NoRuleError("an embedding with a largest norm, or one that is computed")
    return tracer.op("Gather", [weight, input], (*input.shape, weight.shape[1]), weight.dtype, axis=0)
