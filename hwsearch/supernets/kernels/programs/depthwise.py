"""Depth-wise convolution by Triton: programs, operator, shapes and gradients.

Tensors lie channels last; a program computes some pixels of some channels. Sums are in float32, and those over pixels are split
into parts that torch adds in order, without atomic operations: equal inputs give equal bits.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.library import custom_op

from hwsearch.supernets.kernels.operators.binding import Gradients, rows, wanted
from hwsearch.supernets.kernels.operators.depthwise import depthwise_output
from hwsearch.supernets.kernels.programs.launching import BLOCK_C, BLOCK_P, SIZES, blocks, on_device, parts


@triton.jit(do_not_specialize=SIZES)
def _forward(
    x, w, y, pixels, C, H, W, OH, OW, stride: tl.constexpr, K: tl.constexpr, BP: tl.constexpr, BC: tl.constexpr
):
    """y[n, oh, ow, c] = sum of x[n, oh·stride − K/2 + i, ow·stride − K/2 + j, c]·w[c, i, j]."""
    p = tl.program_id(0).to(tl.int64) * BP + tl.arange(0, BP)
    c = tl.program_id(1) * BC + tl.arange(0, BC)
    n, oh, ow = p // (OH * OW), p // OW % OH, p % OW
    total = tl.zeros((BP, BC), tl.float32)
    for i in range(K):  # one row of taps is unrolled, all of them would take minutes to compile
        for j in tl.static_range(K):
            ih, iw = oh * stride - K // 2 + i, ow * stride - K // 2 + j
            inside = (p < pixels) & (ih >= 0) & (ih < H) & (iw >= 0) & (iw < W)
            at = ((n * H + ih) * W + iw) * C
            value = tl.load(x + at[:, None] + c[None, :], mask=inside[:, None] & (c < C)[None, :], other=0.0)
            weight = tl.load(w + c * (K * K) + i * K + j, mask=c < C, other=0.0)
            total += value.to(tl.float32) * weight.to(tl.float32)[None, :]
    to = y + (p * C)[:, None] + c[None, :]
    tl.store(to, total.to(y.dtype.element_ty), mask=(p < pixels)[:, None] & (c < C)[None, :])


@triton.jit(do_not_specialize=SIZES)
def _input_gradient(
    g, w, dx, pixels, C, H, W, OH, OW, stride: tl.constexpr, K: tl.constexpr, BP: tl.constexpr, BC: tl.constexpr
):
    """Gather, for each pixel of the input, the outputs that read it."""
    p = tl.program_id(0).to(tl.int64) * BP + tl.arange(0, BP)
    c = tl.program_id(1) * BC + tl.arange(0, BC)
    n, ih, iw = p // (H * W), p // W % H, p % W
    total = tl.zeros((BP, BC), tl.float32)
    for i in range(K):  # one row of taps is unrolled, all of them would take minutes to compile
        for j in tl.static_range(K):
            up, left = ih + K // 2 - i, iw + K // 2 - j  # stride times the output's place
            reads = (up >= 0) & (left >= 0) & (up % stride == 0) & (left % stride == 0)
            oh, ow = up // stride, left // stride
            reads = reads & (p < pixels) & (oh < OH) & (ow < OW)
            at = ((n * OH + oh) * OW + ow) * C
            value = tl.load(g + at[:, None] + c[None, :], mask=reads[:, None] & (c < C)[None, :], other=0.0)
            weight = tl.load(w + c * (K * K) + i * K + j, mask=c < C, other=0.0)
            total += value.to(tl.float32) * weight.to(tl.float32)[None, :]
    to = dx + (p * C)[:, None] + c[None, :]
    tl.store(to, total.to(dx.dtype.element_ty), mask=(p < pixels)[:, None] & (c < C)[None, :])


@triton.jit(do_not_specialize=[*SIZES, "each"])
def _weight_gradient(
    g, x, dw, pixels, C, H, W, OH, OW, each, stride: tl.constexpr, K: tl.constexpr, BP: tl.constexpr, BC: tl.constexpr
):
    """One tap of some channels, summed over one part of the pixels, into dw[part, tap, c]."""
    part, tap = tl.program_id(0).to(tl.int64), tl.program_id(2)
    c = tl.program_id(1) * BC + tl.arange(0, BC)
    i, j = tap // K, tap % K
    total = tl.zeros((BC,), tl.float32)
    for start in range(0, each, BP):
        p = part * each + start + tl.arange(0, BP)
        n, oh, ow = p // (OH * OW), p // OW % OH, p % OW
        ih, iw = oh * stride - K // 2 + i, ow * stride - K // 2 + j
        inside = (p < pixels) & (start + tl.arange(0, BP) < each) & (ih >= 0) & (ih < H) & (iw >= 0) & (iw < W)
        both = inside[:, None] & (c < C)[None, :]
        at = ((n * H + ih) * W + iw) * C
        value = tl.load(x + at[:, None] + c[None, :], mask=both, other=0.0).to(tl.float32)
        gradient = tl.load(g + (p * C)[:, None] + c[None, :], mask=both, other=0.0).to(tl.float32)
        total += tl.sum(value * gradient, axis=0)
    tl.store(dw + (part * K * K + tap) * C + c, total, mask=c < C)


@custom_op("hwsearch::triton_depthwise", mutates_args=())
def depthwise(x: Tensor, w: Tensor, stride: int) -> Tensor:
    """Compute a depth-wise convolution, padded by half of the kernel.

    Parameters
    ----------
    x : Tensor
        Input, shape ``(N, C, H, W)``, not empty.
    w : Tensor
        Convolution weight, shape ``(C, 1, k, k)`` with odd k, of the input's type.
    stride : int
        Stride along both axes.

    Returns
    -------
    Tensor
        Output, shape ``(N, C, H', W')``, channels last.
    """
    x, w, y = rows(x), w.contiguous(), depthwise_output(x, stride)
    pixels = y.numel() // y.shape[1]
    with on_device(x):
        _forward[blocks(pixels, x.shape[1])](
            x, w, y, pixels, *_sizes(x, y), stride=stride, K=w.shape[-1], BP=BLOCK_P, BC=BLOCK_C
        )
    return y


def _sizes(x: Tensor, y: Tensor) -> tuple[int, ...]:
    return (*x.shape[1:], *y.shape[2:])


@depthwise.register_fake
def _(x: Tensor, w: Tensor, stride: int) -> Tensor:
    return depthwise_output(x, stride)


@custom_op("hwsearch::triton_depthwise_backward", mutates_args=())
def _backward(g: Tensor, x: Tensor, w: Tensor, stride: int, need_x: bool, need_w: bool) -> tuple[Tensor, Tensor]:
    """Compute the gradients of `depthwise`; one that is not needed is empty."""
    g, x, w = rows(g), rows(x), w.contiguous()
    dx, dw = wanted(x, need_x), w.new_empty(w.shape if need_w else (0,))
    channels, side, sizes = x.shape[1], w.shape[-1], _sizes(x, g)
    with on_device(x):
        if need_x:
            pixels = x.numel() // channels
            _input_gradient[blocks(pixels, channels)](
                g, w, dx, pixels, *sizes, stride=stride, K=side, BP=BLOCK_P, BC=BLOCK_C
            )
        if need_w:
            pixels = g.numel() // channels
            count, each = parts(pixels)
            sums = torch.empty(count, side * side, channels, dtype=torch.float32, device=x.device)
            _weight_gradient[(count, triton.cdiv(channels, BLOCK_C), side * side)](
                g, x, sums, pixels, *sizes, each, stride=stride, K=side, BP=BLOCK_P, BC=BLOCK_C
            )
            dw.copy_(sums.sum(0).t().reshape(w.shape))
    return dx, dw


@_backward.register_fake
def _(g: Tensor, x: Tensor, w: Tensor, stride: int, need_x: bool, need_w: bool) -> tuple[Tensor, Tensor]:
    return wanted(x, need_x), w.new_empty(w.shape if need_w else (0,))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    x, w, ctx.stride = inputs
    ctx.save_for_backward(x, w)


def _vjp(ctx: Any, g: Tensor) -> Gradients:
    need_x, need_w = ctx.needs_input_grad[:2]
    dx, dw = _backward(g, *ctx.saved_tensors, ctx.stride, need_x, need_w)
    return dx if need_x else None, dw if need_w else None, None


depthwise.register_autograd(_vjp, setup_context=_keep)
