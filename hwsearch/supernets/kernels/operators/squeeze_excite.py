"""Native squeeze-and-excitation: operator, shapes and gradients."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.library import custom_op

from hwsearch.supernets.kernels.operators.binding import Gradients, address, call, rows, wanted


@custom_op("hwsearch::squeeze_excite", mutates_args=())
def squeeze_excite(
    x: Tensor, reduce_weight: Tensor, reduce_bias: Tensor, expand_weight: Tensor, expand_bias: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute squeeze-and-excitation with matrices as weights.

    Parameters
    ----------
    x : Tensor
        Input, shape ``(N, C, H, W)``.
    reduce_weight, reduce_bias : Tensor
        First layer, shapes ``(m, C)`` and ``(m,)``; ReLU follows.
    expand_weight, expand_bias : Tensor
        Second layer, shapes ``(C, m)`` and ``(C,)``; hard sigmoid follows.

    Returns
    -------
    out : Tensor
        Output, of the input's shape.
    pool, hidden, logits : Tensor
        Means of the pixels, hidden units, and gates before the sigmoid, of N rows, without gradient.
    """
    x = rows(x)
    n, c, h, w = x.shape
    pool, out = x.new_empty(n, c), wanted(x, True)
    call("pool", address(x), address(pool), n, h * w, c)
    hidden = F.relu(torch.addmm(reduce_bias, pool, reduce_weight.t()))
    logits = torch.addmm(expand_bias, hidden, expand_weight.t())
    gate = F.hardsigmoid(logits)
    call("gate", address(x), address(gate), address(out), n, h * w, c)
    return out, pool, hidden, logits


@squeeze_excite.register_fake
def _(
    x: Tensor, reduce_weight: Tensor, reduce_bias: Tensor, expand_weight: Tensor, expand_bias: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    n, c = x.shape[:2]
    return wanted(x, True), x.new_empty(n, c), x.new_empty(n, reduce_weight.shape[0]), x.new_empty(n, c)


@custom_op("hwsearch::squeeze_excite_backward", mutates_args=())
def _squeeze_excite_backward(
    g: Tensor, x: Tensor, reduce_weight: Tensor, expand_weight: Tensor, pool: Tensor, hidden: Tensor, logits: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Compute the gradients of `squeeze_excite` for its five inputs."""
    g, x = rows(g), rows(x)
    n, c, h, w = x.shape
    dgate, dx = x.new_empty(n, c), wanted(x, True)
    call("gate_sums", address(x), address(g), address(dgate), n, h * w, c)
    dlogits = torch.ops.aten.hardsigmoid_backward(dgate, logits)
    dhidden = torch.ops.aten.threshold_backward(dlogits @ expand_weight, hidden, 0.0)
    dpool = (dhidden @ reduce_weight).mul_(1 / (h * w))
    gate = F.hardsigmoid(logits)  # named, so that it lives while the library reads it
    call("gate_backward", address(g), address(gate), address(dpool), address(dx), n, h * w, c)
    return dx, dhidden.t() @ pool, dhidden.sum(0), dlogits.t() @ hidden, dlogits.sum(0)


@_squeeze_excite_backward.register_fake
def _(
    g: Tensor, x: Tensor, reduce_weight: Tensor, expand_weight: Tensor, pool: Tensor, hidden: Tensor, logits: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    m, c = reduce_weight.shape
    return wanted(x, True), x.new_empty(m, c), x.new_empty(m), x.new_empty(c, m), x.new_empty(c)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    x, reduce_weight, _, expand_weight, _ = inputs
    ctx.save_for_backward(x, reduce_weight, expand_weight, *output[1:])
    ctx.set_materialize_grads(False)


def _vjp(ctx: Any, g: Tensor | None, *_: Any) -> Gradients:
    return (None,) * 5 if g is None else tuple(_squeeze_excite_backward(g, *ctx.saved_tensors))


squeeze_excite.register_autograd(_vjp, setup_context=_keep)
