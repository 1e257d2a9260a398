"""Native 1×1 and depth-wise convolution, each with norm and activation: the first half of an inverted residual block."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.library import custom_op

from hwsearch.supernets.kernels.operators.binding import Gradients, address, call, image, moments, rows, wanted
from hwsearch.supernets.kernels.operators.depthwise import depthwise_output, even_taps

_Results = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


@custom_op("hwsearch::expand", mutates_args=())
def expand(
    x: Tensor, w1: Tensor, weight1: Tensor, bias1: Tensor, w2: Tensor, weight2: Tensor, bias2: Tensor,
    stride: int, act: int, eps1: float, eps2: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Compute a 1×1 and a depth-wise convolution, each with batch norm in training mode and the same activation.

    Parameters
    ----------
    x : Tensor
        Input, shape ``(N, I, H, W)``.
    w1 : Tensor
        Weight of the 1×1 convolution, shape ``(C, I, 1, 1)``.
    weight1, bias1 : Tensor
        Of the norm behind it, shape ``(C,)``.
    w2 : Tensor
        Weight of the depth-wise convolution, shape ``(C, 1, k, k)`` with k of 3, 5 or 7.
    weight2, bias2 : Tensor
        Of the norm behind it, shape ``(C,)``.
    stride : int
        Of the depth-wise convolution, 1 or 2.
    act : int
        Number of the activation, as in `ACTIVATION_NUMBERS`.
    eps1, eps2 : float
        Added to the variances.

    Returns
    -------
    out : Tensor
        Output, shape ``(N, C, H', W')``.
    y1, mean1, variance1, y2, mean2, variance2 : Tensor
        Outputs of the two convolutions and their statistics, without gradient.
    """
    x, w2 = rows(x), even_taps(w2)
    weight1, bias1, weight2, bias2 = (t.contiguous() for t in (weight1, bias1, weight2, bias2))
    results = _results(x, w1, w2, weight1, stride)
    out, *others = results
    call(
        "expand", address(x), address(w1), w1.stride(0), w1.stride(1), address(weight1), address(bias1), address(w2),
        w2.stride(0), w2.stride(3), address(weight2), address(bias2), *map(address, others), address(out),
        *_sizes(x, w1, w2, stride), act, eps1, eps2,
    )  # fmt: skip
    return results


def _results(x: Tensor, w1: Tensor, w2: Tensor, weight: Tensor, stride: int) -> _Results:
    y1 = image(x, w1.shape[0], x.shape[2], x.shape[3])
    return depthwise_output(y1, stride), y1, *moments(weight), depthwise_output(y1, stride), *moments(weight)


def _sizes(x: Tensor, w1: Tensor, w2: Tensor, stride: int) -> tuple[int, ...]:
    return (x.shape[1], x.shape[0], x.shape[2], x.shape[3], w1.shape[0], w2.shape[2], stride)


@expand.register_fake
def _(
    x: Tensor, w1: Tensor, weight1: Tensor, bias1: Tensor, w2: Tensor, weight2: Tensor, bias2: Tensor,
    stride: int, act: int, eps1: float, eps2: float,
) -> _Results:  # fmt: skip
    return _results(x, w1, w2, weight1, stride)


@custom_op("hwsearch::expand_backward", mutates_args=())
def _expand_backward(
    g: Tensor, x: Tensor, w1: Tensor, weight1: Tensor, bias1: Tensor, w2: Tensor, weight2: Tensor, bias2: Tensor,
    y1: Tensor, mean1: Tensor, variance1: Tensor, y2: Tensor, mean2: Tensor, variance2: Tensor,
    stride: int, act: int, eps1: float, eps2: float, need_x: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Compute the gradients of `expand` for its seven tensors."""
    g, x, w2 = rows(g), rows(x), even_taps(w2)
    weight1, bias1, weight2, bias2 = (t.contiguous() for t in (weight1, bias1, weight2, bias2))
    gradients = _gradients(x, w1, weight1, w2, need_x)
    dx, dw1, dweight1, dbias1, dw2, dweight2, dbias2 = gradients
    between = wanted(y1, True)
    call(
        "expand_backward", address(g), address(x), address(w1), w1.stride(0), w1.stride(1), address(weight1),
        address(bias1), address(w2), w2.stride(0), w2.stride(3), address(weight2), address(bias2),
        *map(address, (y1, mean1, variance1, y2, mean2, variance2, between)), address(dx) if need_x else None,
        *map(address, (dw1, dweight1, dbias1, dw2, dweight2, dbias2)), *_sizes(x, w1, w2, stride), act, eps1, eps2,
    )  # fmt: skip
    return gradients


def _gradients(x: Tensor, w1: Tensor, weight: Tensor, w2: Tensor, need_x: bool) -> _Results:
    return (
        wanted(x, need_x), w1.new_empty(w1.shape), *moments(weight), w2.new_empty(w2.shape), *moments(weight)
    )  # fmt: skip


@_expand_backward.register_fake
def _(
    g: Tensor, x: Tensor, w1: Tensor, weight1: Tensor, bias1: Tensor, w2: Tensor, weight2: Tensor, bias2: Tensor,
    y1: Tensor, mean1: Tensor, variance1: Tensor, y2: Tensor, mean2: Tensor, variance2: Tensor,
    stride: int, act: int, eps1: float, eps2: float, need_x: bool,
) -> _Results:  # fmt: skip
    return _gradients(x, w1, weight1, w2, need_x)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.constants = inputs[7:]
    ctx.save_for_backward(*inputs[:7], *output[1:])
    ctx.set_materialize_grads(False)


def _vjp(ctx: Any, g: Tensor | None, *_: Any) -> Gradients:
    if g is None:
        return (None,) * 11
    need_x = ctx.needs_input_grad[0]
    dx, *others = _expand_backward(g, *ctx.saved_tensors, *ctx.constants, need_x)
    return (dx if need_x else None, *others, None, None, None, None)


expand.register_autograd(_vjp, setup_context=_keep)
