"""Native depth-wise convolution, alone and with norm and activation: operator, shapes and gradients."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.library import custom_op

from hwsearch.supernets.kernels.operators.binding import Gradients, address, call, image, moments, rows, wanted


@custom_op("hwsearch::depthwise", mutates_args=())
def depthwise(x: Tensor, w: Tensor, stride: int) -> Tensor:
    """Compute a depth-wise convolution, padded by half of the kernel.

    Parameters
    ----------
    x : Tensor
        Input, shape ``(N, C, H, W)``.
    w : Tensor
        Convolution weight, shape ``(C, 1, k, k)`` with k of 3, 5 or 7.
    stride : int
        1 or 2.

    Returns
    -------
    Tensor
        Output, shape ``(N, C, H', W')``.
    """
    x, w = rows(x), even_taps(w)
    y = depthwise_output(x, stride)
    call("depthwise", address(x), address(w), w.stride(0), w.stride(3), address(y), *_geometry(x, w, stride))
    return y


def even_taps(w: Tensor) -> Tensor:
    """Return a depth-wise weight, copied where its taps do not lie at even distances.

    Parameters
    ----------
    w : Tensor
        Weight, shape ``(C, 1, k, k)``.

    Returns
    -------
    Tensor
        The same numbers, of which tap i lies i times the last stride behind the first.
    """
    return w if w.stride(2) == w.shape[3] * w.stride(3) else w.contiguous()


def _geometry(x: Tensor, w: Tensor, stride: int) -> tuple[int, ...]:
    return (x.shape[0], x.shape[2], x.shape[3], x.shape[1], w.shape[2], stride)


def depthwise_output(x: Tensor, stride: int) -> Tensor:
    """Make an uninitialised output of a depth-wise convolution.

    Parameters
    ----------
    x : Tensor
        Input, shape ``(N, C, H, W)``.
    stride : int
        1 or 2.

    Returns
    -------
    Tensor
        Shape ``(N, C, H', W')``, channels last.
    """
    return image(x, x.shape[1], (x.shape[2] - 1) // stride + 1, (x.shape[3] - 1) // stride + 1)


@depthwise.register_fake
def _(x: Tensor, w: Tensor, stride: int) -> Tensor:
    return depthwise_output(x, stride)


@custom_op("hwsearch::depthwise_backward", mutates_args=())
def _depthwise_backward(
    g: Tensor, x: Tensor, w: Tensor, stride: int, need_x: bool, need_w: bool
) -> tuple[Tensor, Tensor]:
    """Compute the gradients of `depthwise`; one that is not needed is empty."""
    g, x, w = rows(g), rows(x), even_taps(w)
    dx, dw = _gradients(x, w, need_x, need_w)
    call(
        "depthwise_backward", address(g), address(x), address(w), w.stride(0), w.stride(3),
        address(dx) if need_x else None, address(dw) if need_w else None, *_geometry(x, w, stride),
    )  # fmt: skip
    return dx, dw


def _gradients(x: Tensor, w: Tensor, need_x: bool, need_w: bool) -> tuple[Tensor, Tensor]:
    return wanted(x, need_x), w.new_empty(w.shape if need_w else (0,))


@_depthwise_backward.register_fake
def _(g: Tensor, x: Tensor, w: Tensor, stride: int, need_x: bool, need_w: bool) -> tuple[Tensor, Tensor]:
    return _gradients(x, w, need_x, need_w)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    x, w, ctx.stride = inputs
    ctx.save_for_backward(x, w)


def _vjp(ctx: Any, g: Tensor) -> Gradients:
    need_x, need_w = ctx.needs_input_grad[:2]
    dx, dw = _depthwise_backward(g, *ctx.saved_tensors, ctx.stride, need_x, need_w)
    return dx if need_x else None, dw if need_w else None, None


depthwise.register_autograd(_vjp, setup_context=_keep)


@custom_op("hwsearch::depthwise_norm", mutates_args=())
def depthwise_norm(
    x: Tensor, w: Tensor, stride: int, weight: Tensor, bias: Tensor, act: int, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute a depth-wise convolution, batch norm in training mode and activation.

    Parameters
    ----------
    x : Tensor
        Input, shape ``(N, C, H, W)``.
    w : Tensor
        Convolution weight, shape ``(C, 1, k, k)`` with k of 3, 5 or 7.
    stride : int
        1 or 2.
    weight, bias : Tensor
        Of the norm, shape ``(C,)``.
    act : int
        Number of the activation, as in `ACTIVATION_NUMBERS`.
    eps : float
        Added to the variance.

    Returns
    -------
    out : Tensor
        ``act(norm(y))``, shape ``(N, C, H', W')``.
    y : Tensor
        The convolution's output, without gradient.
    mean, variance : Tensor
        Of `y` over the batch, biased, shape ``(C,)``, without gradient.
    """
    x, w, weight, bias = rows(x), even_taps(w), weight.contiguous(), bias.contiguous()
    y, out, mean, variance = depthwise_output(x, stride), depthwise_output(x, stride), *moments(weight)
    call(
        "depthwise_norm", address(x), address(w), w.stride(0), w.stride(3), address(weight), address(bias), address(y),
        address(mean), address(variance), address(out), *_geometry(x, w, stride), act, eps,
    )  # fmt: skip
    return out, y, mean, variance


@depthwise_norm.register_fake
def _(
    x: Tensor, w: Tensor, stride: int, weight: Tensor, bias: Tensor, act: int, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return depthwise_output(x, stride), depthwise_output(x, stride), *moments(weight)


@custom_op("hwsearch::depthwise_norm_backward", mutates_args=())
def _depthwise_norm_backward(
    g: Tensor, x: Tensor, w: Tensor, weight: Tensor, bias: Tensor, y: Tensor, mean: Tensor, variance: Tensor,
    stride: int, act: int, eps: float, need_x: bool, need_w: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Compute the gradients of `depthwise_norm` for input, convolution weight, norm weight and norm bias."""
    g, x, w, weight, bias = rows(g), rows(x), even_taps(w), weight.contiguous(), bias.contiguous()
    dx, dw = _gradients(x, w, need_x, need_w)
    dweight, dbias = moments(weight)
    call(
        "depthwise_norm_backward", address(g), address(x), address(w), w.stride(0), w.stride(3), address(weight),
        address(bias), address(y), address(mean), address(variance), address(dx) if need_x else None,
        address(dw) if need_w else None, address(dweight), address(dbias), *_geometry(x, w, stride), act, eps,
    )  # fmt: skip
    return dx, dw, dweight, dbias


@_depthwise_norm_backward.register_fake
def _(
    g: Tensor, x: Tensor, w: Tensor, weight: Tensor, bias: Tensor, y: Tensor, mean: Tensor, variance: Tensor,
    stride: int, act: int, eps: float, need_x: bool, need_w: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    return *_gradients(x, w, need_x, need_w), *moments(weight)


def _keep_norm(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    x, w, ctx.stride, weight, bias, ctx.act, ctx.eps = inputs
    ctx.save_for_backward(x, w, weight, bias, *output[1:])
    ctx.set_materialize_grads(False)


def _norm_vjp(ctx: Any, g: Tensor | None, *_: Any) -> Gradients:
    if g is None:
        return (None,) * 7
    need = ctx.needs_input_grad
    dx, dw, dweight, dbias = _depthwise_norm_backward(
        g, *ctx.saved_tensors, ctx.stride, ctx.act, ctx.eps, need[0], need[1]
    )
    return dx if need[0] else None, dw if need[1] else None, None, dweight, dbias, None, None


depthwise_norm.register_autograd(_norm_vjp, setup_context=_keep_norm)
