"""Native 1×1 convolution, alone and with norm, activation and residual: operator, shapes and gradients."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.library import custom_op

from hwsearch.supernets.kernels.operators.binding import Gradients, address, call, image, moments, rows, wanted


@custom_op("hwsearch::pointwise", mutates_args=())
def pointwise(x: Tensor, w: Tensor) -> Tensor:
    """Compute a 1×1 convolution as a product of pixels with a matrix.

    Parameters
    ----------
    x : Tensor
        Input, shape ``(N, C, H, W)``.
    w : Tensor
        Convolution weight of any strides, shape ``(O, C, 1, 1)``.

    Returns
    -------
    Tensor
        Output, shape ``(N, O, H, W)``.
    """
    x = rows(x)
    n, c, h, wide = x.shape
    y = image(x, w.shape[0], h, wide)
    call("pointwise", address(x), address(w), w.stride(0), w.stride(1), address(y), n * h * wide, c, w.shape[0])
    return y


@pointwise.register_fake
def _(x: Tensor, w: Tensor) -> Tensor:
    return image(x, w.shape[0], x.shape[2], x.shape[3])


@custom_op("hwsearch::pointwise_backward", mutates_args=())
def _pointwise_backward(g: Tensor, x: Tensor, w: Tensor, need_x: bool, need_w: bool) -> tuple[Tensor, Tensor]:
    """Compute the gradients of `pointwise`; one that is not needed is empty."""
    g, x = rows(g), rows(x)
    n, c, h, wide = x.shape
    dx, dw = _pointwise_gradients(x, w, need_x, need_w)
    call(
        "pointwise_backward", address(g), address(x), address(w), w.stride(0), w.stride(1), address(dx) if need_x else None,
        address(dw) if need_w else None, n * h * wide, c, w.shape[0],
    )  # fmt: skip
    return dx, dw


def _pointwise_gradients(x: Tensor, w: Tensor, need_x: bool, need_w: bool) -> tuple[Tensor, Tensor]:
    return wanted(x, need_x), w.new_empty(w.shape if need_w else (0,))


@_pointwise_backward.register_fake
def _(g: Tensor, x: Tensor, w: Tensor, need_x: bool, need_w: bool) -> tuple[Tensor, Tensor]:
    return _pointwise_gradients(x, w, need_x, need_w)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(*inputs[:2])


def _pointwise_vjp(ctx: Any, g: Tensor) -> Gradients:
    x, w = ctx.saved_tensors
    need_x, need_w = ctx.needs_input_grad[:2]
    dx, dw = _pointwise_backward(g, x, w, need_x, need_w)
    return dx if need_x else None, dw if need_w else None


pointwise.register_autograd(_pointwise_vjp, setup_context=_keep)


@custom_op("hwsearch::pointwise_norm", mutates_args=())
def pointwise_norm(
    x: Tensor, w: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None, act: int, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute a 1×1 convolution, batch norm in training mode, activation and residual.

    Parameters
    ----------
    x : Tensor
        Input, shape ``(N, C, H, W)``.
    w : Tensor
        Convolution weight of any strides, shape ``(O, C, 1, 1)``.
    weight, bias : Tensor
        Of the norm, shape ``(O,)``.
    residual : Tensor or None
        What is added in the end, of the output's shape.
    act : int
        Number of the activation, as in `ACTIVATION_NUMBERS`.
    eps : float
        Added to the variance.

    Returns
    -------
    out : Tensor
        ``act(norm(y)) + residual``, shape ``(N, O, H, W)``.
    y : Tensor
        The convolution's output, without gradient.
    mean, variance : Tensor
        Of `y` over the batch, biased, shape ``(O,)``, without gradient.
    """
    x, weight, bias = rows(x), weight.contiguous(), bias.contiguous()
    n, c, h, wide = x.shape
    outputs = w.shape[0]
    y, out, mean, variance = image(x, outputs, h, wide), image(x, outputs, h, wide), *moments(weight)
    residual = None if residual is None else rows(residual)
    call(
        "pointwise_norm", address(x), address(w), w.stride(0), w.stride(1), address(weight), address(bias),
        address(residual), address(y), address(mean), address(variance), address(out), n * h * wide, c, outputs, act, eps,
    )  # fmt: skip
    return out, y, mean, variance


@pointwise_norm.register_fake
def _(
    x: Tensor, w: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None, act: int, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    y = image(x, w.shape[0], x.shape[2], x.shape[3])
    return y, image(x, w.shape[0], x.shape[2], x.shape[3]), *moments(weight)


@custom_op("hwsearch::pointwise_norm_backward", mutates_args=())
def _pointwise_norm_backward(
    g: Tensor, x: Tensor, w: Tensor, weight: Tensor, bias: Tensor, y: Tensor, mean: Tensor, variance: Tensor,
    act: int, eps: float, need_x: bool, need_w: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Compute the gradients of `pointwise_norm` for input, convolution weight, norm weight and norm bias."""
    g, x, weight, bias = rows(g), rows(x), weight.contiguous(), bias.contiguous()
    n, c, h, wide = x.shape
    dx, dw = _pointwise_gradients(x, w, need_x, need_w)
    dweight, dbias = moments(weight)
    call(
        "pointwise_norm_backward", address(g), address(x), address(w), w.stride(0), w.stride(1), address(weight),
        address(bias), address(y), address(mean), address(variance), address(dx) if need_x else None, address(dw) if need_w else None,
        address(dweight), address(dbias), n * h * wide, c, w.shape[0], act, eps,
    )  # fmt: skip
    return dx, dw, dweight, dbias


@_pointwise_norm_backward.register_fake
def _(
    g: Tensor, x: Tensor, w: Tensor, weight: Tensor, bias: Tensor, y: Tensor, mean: Tensor, variance: Tensor,
    act: int, eps: float, need_x: bool, need_w: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    return *_pointwise_gradients(x, w, need_x, need_w), *moments(weight)


def _keep_pointwise_norm(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    x, w, weight, bias, residual, ctx.act, ctx.eps = inputs
    ctx.save_for_backward(x, w, weight, bias, *output[1:])
    ctx.set_materialize_grads(False)


def _pointwise_norm_vjp(ctx: Any, g: Tensor | None, *_: Any) -> Gradients:
    if g is None:
        return (None,) * 7
    need = ctx.needs_input_grad
    dx, dw, dweight, dbias = _pointwise_norm_backward(g, *ctx.saved_tensors, ctx.act, ctx.eps, need[0], need[1])
    return dx if need[0] else None, dw if need[1] else None, dweight, dbias, g if need[4] else None, None, None


pointwise_norm.register_autograd(_pointwise_norm_vjp, setup_context=_keep_pointwise_norm)
