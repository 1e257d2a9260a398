"""Batch norm in training mode with activation and residual by Triton: programs, operator, shapes and gradients.

Tensors lie channels last, as a matrix of pixels and channels. Sums over pixels are split into parts that torch adds in double
precision, without atomic operations: equal inputs give equal bits.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.library import custom_op

from hwsearch.supernets.kernels.operators.binding import bind_norm, rows, wanted
from hwsearch.supernets.kernels.programs.launching import BLOCK_C, BLOCK_P, blocks, on_device, parts

SIZES = ["pixels", "C", "each"]


@triton.jit
def _activated(z, act: tl.constexpr):
    """Apply the activation of this number in `ACTIVATION_NUMBERS`; what is not a number stays so."""
    if act == 1:
        z = tl.where(z < 0, 0.0, z)
    if act == 2:
        z = tl.where(z < 0, 0.0, tl.where(z > 6, 6.0, z))
    if act == 3:
        z = tl.where(z < -3, 0.0, tl.where(z > 3, z, z * (z + 3) / 6))
    if act == 4:
        z = z / (1 + tl.exp(-z))
    return z


@triton.jit
def _slope(g, z, act: tl.constexpr):
    """Compute the gradient before the activation."""
    if act == 1:
        g = tl.where(z <= 0, 0.0, g)
    if act == 2:
        g = tl.where((z <= 0) | (z >= 6), 0.0, g)
    if act == 3:
        g = tl.where(z < -3, 0.0, tl.where(z > 3, g, g * (z / 3 + 0.5)))
    if act == 4:
        s = 1 / (1 + tl.exp(-z))
        g = g * s * (1 + z * (1 - s))
    return g


@triton.jit(do_not_specialize=SIZES)
def _sums(x, sums, squares, pixels, C, each, BP: tl.constexpr, BC: tl.constexpr):
    """Sum x − x[pixel 0] and its square over one part of the pixels."""
    part = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * BC + tl.arange(0, BC)
    first = tl.load(x + c, mask=c < C, other=0.0).to(tl.float32)
    one, two = tl.zeros((BC,), tl.float32), tl.zeros((BC,), tl.float32)
    for start in range(0, each, BP):
        p = part * each + start + tl.arange(0, BP)
        inside = ((p < pixels) & (start + tl.arange(0, BP) < each))[:, None] & (c < C)[None, :]
        value = tl.load(x + (p * C)[:, None] + c[None, :], mask=inside, other=0.0).to(tl.float32)
        value = tl.where(inside, value - first[None, :], 0.0)
        one += tl.sum(value, axis=0)
        two += tl.sum(value * value, axis=0)
    tl.store(sums + part * C + c, one, mask=c < C)
    tl.store(squares + part * C + c, two, mask=c < C)


@triton.jit(do_not_specialize=SIZES)
def _apply(
    x, weight, bias, mean, inverse, residual, y, pixels, C,
    act: tl.constexpr, RESIDUAL: tl.constexpr, BP: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    """Y = act((x − mean)·inverse·weight + bias) + residual."""
    p = tl.program_id(0).to(tl.int64) * BP + tl.arange(0, BP)
    c = tl.program_id(1) * BC + tl.arange(0, BC)
    inside = (p < pixels)[:, None] & (c < C)[None, :]
    at = (p * C)[:, None] + c[None, :]
    scale = tl.load(weight + c, mask=c < C, other=0.0) * tl.load(inverse + c, mask=c < C, other=0.0)
    shift = tl.load(bias + c, mask=c < C, other=0.0)
    centre = tl.load(mean + c, mask=c < C, other=0.0)
    z = (tl.load(x + at, mask=inside, other=0.0).to(tl.float32) - centre[None, :]) * scale[None, :] + shift[None, :]
    z = _activated(z, act)
    if RESIDUAL:
        z += tl.load(residual + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(y + at, z.to(y.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=SIZES)
def _gradient_sums(
    g, x, weight, bias, mean, inverse, sums, products, pixels, C, each,
    act: tl.constexpr, BP: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    """Sum the gradient before the activation, and it times the normalised input, over one part of the pixels."""
    part = tl.program_id(0).to(tl.int64)
    c = tl.program_id(1) * BC + tl.arange(0, BC)
    gain = tl.load(weight + c, mask=c < C, other=0.0)
    shift = tl.load(bias + c, mask=c < C, other=0.0)
    centre = tl.load(mean + c, mask=c < C, other=0.0)
    rate = tl.load(inverse + c, mask=c < C, other=0.0)
    one, two = tl.zeros((BC,), tl.float32), tl.zeros((BC,), tl.float32)
    for start in range(0, each, BP):
        p = part * each + start + tl.arange(0, BP)
        inside = ((p < pixels) & (start + tl.arange(0, BP) < each))[:, None] & (c < C)[None, :]
        at = (p * C)[:, None] + c[None, :]
        normal = (tl.load(x + at, mask=inside, other=0.0).to(tl.float32) - centre[None, :]) * rate[None, :]
        up = tl.load(g + at, mask=inside, other=0.0).to(tl.float32)
        up = tl.where(inside, _slope(up, normal * gain[None, :] + shift[None, :], act), 0.0)
        one += tl.sum(up, axis=0)
        two += tl.sum(tl.where(inside, up * normal, 0.0), axis=0)
    tl.store(sums + part * C + c, one, mask=c < C)
    tl.store(products + part * C + c, two, mask=c < C)


@triton.jit(do_not_specialize=SIZES)
def _input_gradient(
    g, x, weight, bias, mean, inverse, average, slope, dx, pixels, C,
    act: tl.constexpr, BP: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    """Dx = weight·inverse·(g' − average − normalised x·slope), where both are means over the pixels."""
    p = tl.program_id(0).to(tl.int64) * BP + tl.arange(0, BP)
    c = tl.program_id(1) * BC + tl.arange(0, BC)
    inside = (p < pixels)[:, None] & (c < C)[None, :]
    at = (p * C)[:, None] + c[None, :]
    gain = tl.load(weight + c, mask=c < C, other=0.0)
    shift = tl.load(bias + c, mask=c < C, other=0.0)
    centre = tl.load(mean + c, mask=c < C, other=0.0)
    rate = tl.load(inverse + c, mask=c < C, other=0.0)
    first = tl.load(average + c, mask=c < C, other=0.0)
    second = tl.load(slope + c, mask=c < C, other=0.0)
    normal = (tl.load(x + at, mask=inside, other=0.0).to(tl.float32) - centre[None, :]) * rate[None, :]
    up = tl.load(g + at, mask=inside, other=0.0).to(tl.float32)
    up = _slope(up, normal * gain[None, :] + shift[None, :], act)
    found = (gain * rate)[None, :] * (up - first[None, :] - normal * second[None, :])
    tl.store(dx + at, found.to(dx.dtype.element_ty), mask=inside)


@custom_op("hwsearch::triton_norm", mutates_args=())
def norm(
    x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None, act: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute batch norm in training mode, activation and residual.

    Parameters
    ----------
    x : Tensor
        Input, shape ``(N, C, H, W)``, not empty.
    weight, bias : Tensor
        Of the norm, shape ``(C,)``, float32.
    residual : Tensor or None
        What is added in the end, of the output's shape.
    act : int
        Number of the activation, as in `ACTIVATION_NUMBERS`.
    eps : float
        Added to the variance.

    Returns
    -------
    out : Tensor
        ``act(norm(x)) + residual``, of the input's shape and type.
    mean, variance : Tensor
        Of the input over the batch, biased, shape ``(C,)``, without gradient.
    """
    x, weight, bias = rows(x), weight.contiguous(), bias.contiguous()
    channels = x.shape[1]
    pixels = x.numel() // channels
    count, each = parts(pixels)
    sums, squares = (torch.empty(count, channels, dtype=torch.float32, device=x.device) for _ in range(2))
    out = wanted(x, True)
    with on_device(x):
        _sums[(count, triton.cdiv(channels, BLOCK_C))](x, sums, squares, pixels, channels, each, BP=BLOCK_P, BC=BLOCK_C)
        offset = sums.double().sum(0) / pixels
        variance = (squares.double().sum(0) / pixels - offset.square()).clamp_min(0)
        mean = x[0, :, 0, 0].double() + offset
        means, inverse = mean.float(), (variance + eps).rsqrt().float()
        _apply[blocks(pixels, channels)](
            x, weight, bias, means, inverse, x if residual is None else rows(residual), out, pixels, channels,
            act=act, RESIDUAL=residual is not None, BP=BLOCK_P, BC=BLOCK_C,
        )  # fmt: skip
    return out, means, variance.float()


@custom_op("hwsearch::triton_norm_backward", mutates_args=())
def _norm_backward(
    g: Tensor, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, act: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the gradients of `norm` for input, weight and bias."""
    g, x, weight, bias = rows(g), rows(x), weight.contiguous(), bias.contiguous()
    channels = x.shape[1]
    pixels = x.numel() // channels
    count, each = parts(pixels)
    sums, products = (torch.empty(count, channels, dtype=torch.float32, device=x.device) for _ in range(2))
    dx, inverse = wanted(x, True), (variance.double() + eps).rsqrt().float()
    with on_device(x):
        _gradient_sums[(count, triton.cdiv(channels, BLOCK_C))](
            g, x, weight, bias, mean, inverse, sums, products, pixels, channels, each, act=act, BP=BLOCK_P, BC=BLOCK_C
        )
        dbias, dweight = sums.double().sum(0), products.double().sum(0)
        average, slope = (dbias / pixels).float(), (dweight / pixels).float()
        _input_gradient[blocks(pixels, channels)](
            g, x, weight, bias, mean, inverse, average, slope, dx, pixels, channels, act=act, BP=BLOCK_P, BC=BLOCK_C
        )
    return dx, dweight.float(), dbias.float()


bind_norm(norm, _norm_backward)
