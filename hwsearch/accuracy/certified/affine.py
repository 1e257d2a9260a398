"""Interval bounds of layers with weights: centre ``W c + b``, radius ``|W| r``."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hwsearch.accuracy.certified.interval import (
    LAYERS,
    Arguments,
    Function,
    Interval,
    Named,
    Pair,
    argument,
    bounded_by,
    functions,
    refused,
)

LAYERS.update(functions("conv1d", "conv2d", "conv3d", "linear"))


@bounded_by("conv1d", "conv2d", "conv3d", "linear")
def layer(function: Function, args: Arguments, named: Named) -> Pair:
    """Bound a convolution or a linear layer whose weights are numbers.

    Parameters
    ----------
    function : callable
        The layer.
    args : tuple
        Input, weight, bias, and the options of a convolution.
    named : dict
        The same by name.

    Returns
    -------
    (Tensor, Tensor)
        Lower and upper end.
    """
    x, weight, bias = (argument(args, named, k, n) for k, n in enumerate(("input", "weight", "bias")))
    if not isinstance(x, Interval) or isinstance(weight, Interval) or isinstance(bias, Interval):
        raise refused(function, "has weights that depend on the image")
    rest = args[3:]
    options = {k: v for k, v in named.items() if k not in ("input", "weight", "bias")}
    centre = function(x.centre, weight, bias, *rest, **options)
    radius = function(x.radius, weight.abs(), None, *rest, **options)
    return centre - radius, centre + radius


@bounded_by("batch_norm")
def batch_norm(function: Function, args: Arguments, named: Named) -> Pair:
    """Bound a batch norm: in evaluation mode a factor and a shift a channel; in training mode with the nominal point's statistics.

    Parameters
    ----------
    function : callable
        `torch.nn.functional.batch_norm`.
    args : tuple
        Input, running mean and variance, weight, bias, training, momentum, eps.
    named : dict
        The same by name.

    Returns
    -------
    (Tensor, Tensor)
        Lower and upper end.
    """
    names = ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps")
    default = (None, None, None, None, None, False, 0.1, 1e-5)
    x, mean, variance, weight, bias, training, _, eps = (
        argument(args, named, k, n, d) for k, (n, d) in enumerate(zip(names, default, strict=True))
    )
    if training:
        if x.nominal is None:
            raise refused(function, "is in training mode, and no nominal point is there for its statistics")
        axes = [k for k in range(x.ndim) if k != 1]
        mean, variance = x.nominal.mean(axes), x.nominal.var(axes, unbiased=False)
    factor = torch.rsqrt(variance + eps) * (1.0 if weight is None else weight)
    shift = -mean * factor + (0.0 if bias is None else bias)
    at = [1, -1, *[1] * (x.ndim - 2)]
    centre, radius = x.centre * factor.view(at) + shift.view(at), x.radius * factor.abs().view(at)
    return centre - radius, centre + radius


@bounded_by("matmul", "mm", "bmm", "__matmul__")
def matmul(function: Function, args: Arguments, named: Named) -> Pair:
    """Bound the product of an interval with a matrix of numbers.

    Parameters
    ----------
    function : callable
        The product.
    args : tuple
        Interval and matrix.
    named : dict
        Nothing else.

    Returns
    -------
    (Tensor, Tensor)
        Lower and upper end.
    """
    x, weight = args
    if not isinstance(x, Interval) or not isinstance(weight, Tensor):
        raise refused(function, "multiplies two matrices that depend on the image")
    centre, radius = function(x.centre, weight), function(x.radius, weight.abs())
    return centre - radius, centre + radius


@bounded_by("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_dropout")
def dropout(function: Function, args: Arguments, named: Named) -> Pair:
    """Bound dropout: nothing in evaluation mode; in training mode the same entries are dropped at both ends.

    Parameters
    ----------
    function : callable
        The kind of dropout.
    args : tuple
        Input, share, whether in training mode.
    named : dict
        The same by name.

    Returns
    -------
    (Tensor, Tensor)
        Lower and upper end.
    """
    x, share = args[0], argument(args, named, 1, "p", 0.5)
    if not argument(args, named, 2, "training", True) or not share:
        return x.lower, x.upper
    if x.nominal is not None or function not in functions("dropout", "dropout2d"):
        raise refused(function, "is in training mode")
    kept = F.dropout(torch.ones_like(x.lower), share, True)
    return x.lower * kept, x.upper * kept
