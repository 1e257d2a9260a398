"""The bound library and the layout of its tensors, shared by all native operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hwsearch.supernets.kernels.eager import ACTIVATIONS
from hwsearch.supernets.kernels.library import Library

if TYPE_CHECKING:
    from torch._library.custom_ops import CustomOpDef  # for names of types alone: torch.library does not export it

#: activation → its number in the C interface
ACTIVATION_NUMBERS = {name: i for i, name in enumerate(ACTIVATIONS)}

_bound: Library | None = None


def bind(library: Library) -> None:
    """Let the operators of this process call a library.

    Parameters
    ----------
    library : Library
        A loaded library.
    """
    global _bound
    _bound = library


def bound() -> Library | None:
    """Return the library that the operators call.

    Returns
    -------
    Library or None
        None if there is none yet.
    """
    return _bound


def call(name: str, *arguments: int | float | None) -> None:
    """Call a function of the bound library with as many threads as torch has.

    Parameters
    ----------
    name : str
        The function, without its prefix.
    *arguments : int, float or None
        Its arguments but the last, the number of threads; tensors by `address`.

    Raises
    ------
    RuntimeError
        If no library is bound.
    """
    if _bound is None:
        raise RuntimeError("no library of kernels is bound; use hwsearch.supernets.kernels.choose first.")
    getattr(_bound.functions, f"hwsearch_{name}")(*arguments, torch.get_num_threads())


def address(x: Tensor | None) -> int | None:
    """Return where a tensor's numbers lie.

    Parameters
    ----------
    x : Tensor or None
        The tensor, which the caller keeps.

    Returns
    -------
    int or None
        None for None.
    """
    return None if x is None else x.data_ptr()


def rows(x: Tensor) -> Tensor:
    """Lay an image tensor's pixels out as rows of channels (channels last).

    Parameters
    ----------
    x : Tensor
        Shape ``(N, C, H, W)``.

    Returns
    -------
    Tensor
        The same numbers; `x` itself where it lies so already.
    """
    return x.contiguous(memory_format=torch.channels_last)


def image(like: Tensor, channels: int, height: int, width: int) -> Tensor:
    """Make an uninitialised image tensor, channels last.

    Parameters
    ----------
    like : Tensor
        Gives the number of images, type and device.
    channels, height, width : int
        The other axes.

    Returns
    -------
    Tensor
        Shape ``(N, channels, height, width)``.
    """
    shape = (like.shape[0], channels, height, width)
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def moments(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Make two uninitialised vectors of a norm's channels.

    Parameters
    ----------
    weight : Tensor
        The norm's weight, shape ``(C,)``.

    Returns
    -------
    tuple of (Tensor, Tensor)
        Shape ``(C,)`` each.
    """
    return weight.new_empty(weight.shape), weight.new_empty(weight.shape)


def wanted(x: Tensor, need: bool) -> Tensor:
    """Make an uninitialised gradient, empty where it is not needed.

    Parameters
    ----------
    x : Tensor
        What the gradient is of: an image tensor.
    need : bool
        Whether it is needed.

    Returns
    -------
    Tensor
        Channels last, or of no elements.
    """
    return image(x, x.shape[1], x.shape[2], x.shape[3]) if need else x.new_empty(0)


#: gradients of an operator's inputs, as `torch.library` takes them
Gradients = tuple[Any, ...]


def bind_norm(norm: CustomOpDef, backward: CustomOpDef) -> None:
    """Register shapes and gradients of a batch norm with activation and residual, which are those of any implementation.

    Parameters
    ----------
    norm : CustomOpDef
        Takes ``x, weight, bias, residual, act, eps``; gives the output, means and variances.
    backward : CustomOpDef
        Takes ``g, x, weight, bias, mean, variance, act, eps``; gives the gradients of input, weight and bias.
    """

    def shapes(
        x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None, act: int, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        return wanted(x, True), *moments(weight)

    def gradient_shapes(
        g: Tensor, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, act: int, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        return wanted(x, True), *moments(weight)

    def keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, weight, bias, residual, ctx.act, ctx.eps = inputs
        ctx.save_for_backward(x, weight, bias, *output[1:])
        ctx.set_materialize_grads(False)

    def vjp(ctx: Any, g: Tensor | None, *_: Any) -> Gradients:
        if g is None:
            return (None,) * 6
        dx, dweight, dbias = backward(g, *ctx.saved_tensors, ctx.act, ctx.eps)
        return dx, dweight, dbias, g if ctx.needs_input_grad[3] else None, None, None

    norm.register_fake(shapes)
    backward.register_fake(gradient_shapes)
    norm.register_autograd(vjp, setup_context=keep)
