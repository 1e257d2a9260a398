"""Rules for what layers do: convolutions, linears, norms, activations, pools, embeddings, attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hwsearch.exporters.onnx.dims import NoRule, Size, broadcast
from hwsearch.exporters.onnx.trace import RULES, Trace, Value, rule


# ---------------------------------------------------------------------- convolutions and linears
def _tuple(value: Any, n: int) -> list[int]:
    return [int(v) for v in value] if isinstance(value, (tuple, list)) else [int(value)] * n


@rule("conv1d", "conv2d", "conv3d")
def conv(
    trace: Trace,
    input: Value,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Value:
    n = len(weight.shape) - 2
    if isinstance(padding, str) or len(input.shape) != n + 2:
        raise NoRule(f"a convolution of {len(input.shape)} axes with padding {padding}")
    kernel = [int(k) for k in weight.shape[2:]]
    strides, pads, dilations = _tuple(stride, n), _tuple(padding, n), _tuple(dilation, n)
    sides = [
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, s, p, d in zip(input.shape[2:], kernel, strides, pads, dilations, strict=True)
    ]
    return trace.op(
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
def linear(trace: Trace, input: Value, weight: Tensor, bias: Tensor | None = None) -> Value:
    if isinstance(weight, Value):
        raise NoRule("a linear layer whose weight is computed")
    shape = (*input.shape[:-1], weight.shape[0])
    if len(input.shape) == 2:
        return trace.op("Gemm", [input, weight, *([] if bias is None else [bias])], shape, input.dtype, transB=1)
    product = trace.op("MatMul", [input, trace.transposed(weight)], shape, input.dtype)
    return product if bias is None else trace.op("Add", [product, bias], shape, input.dtype)


@rule("matmul", "bmm")
def matmul(trace: Trace, a: Any, b: Any) -> Value:
    if min(len(a.shape), len(b.shape)) < 2 or a.dtype != b.dtype:
        raise NoRule("a product of vectors, or of tensors of two types")
    shape = (*broadcast(tuple(a.shape[:-2]), tuple(b.shape[:-2])), a.shape[-2], b.shape[-1])
    return trace.op("MatMul", [a, b], shape, a.dtype)


@rule("rmatmul")
def rmatmul(trace: Trace, a: Any, b: Any) -> Value:
    return matmul(trace, b, a)


@rule("embedding")
def embedding(
    trace: Trace,
    input: Value,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Value:
    if max_norm is not None or isinstance(weight, Value):
        raise NoRule("an embedding with a largest norm, or one that is computed")
    return trace.op("Gather", [weight, input], (*input.shape, weight.shape[1]), weight.dtype, axis=0)


# ---------------------------------------------------------------------- norms
@rule("batch_norm")
def batch_norm(
    trace: Trace,
    input: Value,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Value:
    if training or running_mean is None or running_var is None:
        raise NoRule("a batch norm without statistics")
    scale = torch.rsqrt(running_var.double() + eps)
    if weight is not None:
        scale = weight.detach().double() * scale
    shift = -running_mean.double() * scale
    if bias is not None:
        shift = shift + bias.detach().double()
    shape = (1, -1, *(1,) * (len(input.shape) - 2))
    name = trace.graph.norm(input.name, scale.reshape(shape), shift.reshape(shape))
    return Value(trace, name, input.shape, input.dtype)


def _affine(trace: Trace, x: Value, weight: Tensor | None, bias: Tensor | None, shape: Sequence[int]) -> Value:
    for kind, value in (("Mul", weight), ("Add", bias)):
        if value is not None:
            x = trace.op(kind, [x, value.detach().reshape(*shape)], x.shape, x.dtype)
    return x


@rule("layer_norm")
def layer_norm(
    trace: Trace,
    input: Value,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Value:
    factors = torch.ones(*normalized_shape) if weight is None else weight
    inputs = [input, factors, *([] if bias is None else [bias])]
    axis = -len(normalized_shape)
    return trace.op("LayerNormalization", inputs, input.shape, input.dtype, axis=axis, epsilon=float(eps))


@rule("group_norm")
def group_norm(
    trace: Trace,
    input: Value,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Value:
    n, channels = input.shape[:2]
    flat = RULES["reshape"](trace, input, (n, num_groups, -1))
    ones, zeros = torch.ones(num_groups), torch.zeros(num_groups)
    normed = trace.op("InstanceNormalization", [flat, ones, zeros], flat.shape, flat.dtype, epsilon=float(eps))
    x = RULES["reshape"](trace, normed, input.shape)
    return _affine(trace, x, weight, bias, (int(channels), *(1,) * (len(input.shape) - 2)))


# ---------------------------------------------------------------------- activations
def _activation(kind: str, *names: str, **attributes: Any) -> None:
    def apply(trace: Trace, input: Value, inplace: bool = False) -> Value:
        if not input.dtype.is_floating_point:
            raise NoRule(f"{names[0]} of integers")
        result = trace.op(kind, [input], input.shape, input.dtype, **attributes)
        return trace.overwrite(input, result) if inplace else result

    rule(*names)(apply)


_activation("Relu", "relu")
_activation("HardSwish", "hardswish")
_activation("HardSigmoid", "hardsigmoid", alpha=1 / 6, beta=0.5)
_activation("Sigmoid", "sigmoid")
_activation("Tanh", "tanh")


@rule("relu6")
def relu6(trace: Trace, input: Value, inplace: bool = False) -> Value:
    return hardtanh(trace, input, 0.0, 6.0, inplace)


@rule("hardtanh")
def hardtanh(trace: Trace, input: Value, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Value:
    bounds = [trace.graph.number(float(v), input.dtype) for v in (min_val, max_val)]
    result = trace.op("Clip", [input, *bounds], input.shape, input.dtype)
    return trace.overwrite(input, result) if inplace else result


@rule("silu")
def silu(trace: Trace, input: Value, inplace: bool = False) -> Value:
    gate = trace.op("Sigmoid", [input], input.shape, input.dtype)
    result = trace.op("Mul", [input, gate], input.shape, input.dtype)
    return trace.overwrite(input, result) if inplace else result


@rule("leaky_relu")
def leaky_relu(trace: Trace, input: Value, negative_slope: float = 0.01, inplace: bool = False) -> Value:
    result = trace.op("LeakyRelu", [input], input.shape, input.dtype, alpha=float(negative_slope))
    return trace.overwrite(input, result) if inplace else result


@rule("elu")
def elu(trace: Trace, input: Value, alpha: float = 1.0, inplace: bool = False) -> Value:
    result = trace.op("Elu", [input], input.shape, input.dtype, alpha=float(alpha))
    return trace.overwrite(input, result) if inplace else result


@rule("gelu")
def gelu(trace: Trace, input: Value, approximate: str = "none") -> Value:
    def op(kind: str, *inputs: Any) -> Value:
        return trace.op(kind, [trace.operand(x, input.dtype) for x in inputs], input.shape, input.dtype)

    if approximate == "tanh":
        cubic = op("Mul", op("Mul", op("Mul", input, input), input), 0.044715)
        inner = op("Tanh", op("Mul", op("Add", input, cubic), math.sqrt(2 / math.pi)))
    else:
        inner = op("Erf", op("Div", input, math.sqrt(2)))
    return op("Mul", op("Mul", input, op("Add", inner, 1.0)), 0.5)


@rule("softmax")
def softmax(
    trace: Trace, input: Value, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None
) -> Value:
    if dim is None or dtype not in (None, input.dtype):
        raise NoRule("a softmax that changes the type, or over no axis")
    return trace.op("Softmax", [input], input.shape, input.dtype, axis=dim)


@rule("log_softmax")
def log_softmax(
    trace: Trace, input: Value, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None
) -> Value:
    return trace.op("Log", [softmax(trace, input, dim, _stacklevel, dtype)], input.shape, input.dtype)


@rule("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout")
def dropout(trace: Trace, input: Value, p: float = 0.5, training: bool = True, inplace: bool = False) -> Value:
    if training:
        raise NoRule("dropout in training")
    return input


# ---------------------------------------------------------------------- pools
def _pooled(size: Size, kernel: int, stride: int, pad: int, ceil: bool) -> Size:
    if not ceil:
        return (size + 2 * pad - kernel) // stride + 1
    out = -((kernel - size - 2 * pad) // stride) + 1  # rounded up
    return out - ((out - 1) * stride >= size + pad)


def _pool(
    trace: Trace, kind: str, x: Value, kernel: Any, stride: Any, padding: Any, ceil: bool, **attributes: Any
) -> Value:
    n = len(x.shape) - 2
    kernels, pads = _tuple(kernel, n), _tuple(padding, n)
    strides = kernels if stride is None or stride == [] else _tuple(stride, n)
    sides = [_pooled(*s, ceil) for s in zip(x.shape[2:], kernels, strides, pads, strict=True)]
    return trace.op(
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
def max_pool(
    trace: Trace,
    input: Value,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Value:
    if set(_tuple(dilation, 1)) != {1} or return_indices:
        raise NoRule("dilated pooling or pooling with indices")
    return _pool(trace, "MaxPool", input, kernel_size, stride, padding, ceil_mode)


@rule("avg_pool1d", "avg_pool2d", "avg_pool3d")
def avg_pool(
    trace: Trace,
    input: Value,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:
    if divisor_override is not None:
        raise NoRule("pooling with another divisor")
    included = int(count_include_pad)
    return _pool(trace, "AveragePool", input, kernel_size, stride, padding, ceil_mode, count_include_pad=included)


@rule("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def adaptive_avg_pool(trace: Trace, input: Value, output_size: Any) -> Value:
    sides = input.shape[2:]
    sizes = list(output_size) if isinstance(output_size, (tuple, list)) else [output_size] * len(sides)
    targets = [side if size is None else size for size, side in zip(sizes, sides, strict=True)]
    if all(t == 1 for t in targets):
        return trace.op("GlobalAveragePool", [input], (*input.shape[:2], *targets), input.dtype)
    if not all(isinstance(s, int) and s % t == 0 for s, t in zip(sides, targets, strict=True)):
        raise NoRule(f"adaptive pooling of {sides} to {targets}")
    kernel = [int(s // t) for s, t in zip(sides, targets, strict=True)]
    return avg_pool(trace, input, kernel)


# ---------------------------------------------------------------------- attention
@rule("scaled_dot_product_attention")
def attention(
    trace: Trace,
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Value:
    width = query.shape[-1]
    if dropout_p or is_causal or enable_gqa or not isinstance(width, int):
        raise NoRule("attention with dropout, a causal flag or grouped queries")
    q = RULES["mul"](trace, query, 1 / math.sqrt(width) if scale is None else scale)
    scores = matmul(trace, q, RULES["transpose"](trace, key, -2, -1))
    if attn_mask is None:
        return matmul(trace, softmax(trace, scores, -1), value)
    if attn_mask.dtype == torch.bool:
        scores = RULES["where"](trace, attn_mask, scores, -math.inf)
    else:
        scores = RULES["add"](trace, scores, attn_mask)
    nothing = RULES["eq"](trace, RULES["amax"](trace, scores, -1, True), -math.inf)  # such a query gets zeros
    return matmul(trace, RULES["where"](trace, nothing, 0.0, softmax(trace, scores, -1)), value)
