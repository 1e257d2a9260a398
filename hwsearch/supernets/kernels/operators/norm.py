"""Native batch norm with activation and residual: operator, shapes and gradients."""

from __future__ import annotations

from torch import Tensor
from torch.library import custom_op

from hwsearch.supernets.kernels.operators.binding import address, bind_norm, call, moments, rows, wanted


@custom_op("hwsearch::norm", mutates_args=())
def norm(
    x: Tensor, weight: Tensor, bias: Tensor, residual: Tensor | None, act: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute batch norm in training mode, activation and residual.

    Parameters
    ----------
    x : Tensor
        Input, shape ``(N, C, H, W)``.
    weight, bias : Tensor
        Of the norm, shape ``(C,)``.
    residual : Tensor or None
        What is added in the end, of the output's shape.
    act : int
        Number of the activation, as in `ACTIVATION_NUMBERS`.
    eps : float
        Added to the variance.

    Returns
    -------
    out : Tensor
        ``act(norm(x)) + residual``, of the input's shape.
    mean, variance : Tensor
        Of the input over the batch, biased, shape ``(C,)``, without gradient.
    """
    x, weight, bias = rows(x), weight.contiguous(), bias.contiguous()
    residual = None if residual is None else rows(residual)
    out, mean, variance = wanted(x, True), *moments(weight)
    n, c, h, w = x.shape
    call(
        "norm", address(x), address(weight), address(bias), address(residual), address(mean), address(variance),
        address(out), n * h * w, c, act, eps,
    )  # fmt: skip
    return out, mean, variance


@custom_op("hwsearch::norm_backward", mutates_args=())
def _norm_backward(
    g: Tensor, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, act: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the gradients of `norm` for input, weight and bias."""
    g, x, weight, bias = rows(g), rows(x), weight.contiguous(), bias.contiguous()
    dx, dweight, dbias = wanted(x, True), *moments(weight)
    n, c, h, w = x.shape
    call(
        "norm_backward", address(g), address(x), address(weight), address(bias), address(mean), address(variance),
        address(dx), address(dweight), address(dbias), n * h * w, c, act, eps,
    )  # fmt: skip
    return dx, dweight, dbias


bind_norm(norm, _norm_backward)
