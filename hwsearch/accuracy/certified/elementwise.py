"""Interval bounds of activations, pools, sums, products and changes of shape."""

from __future__ import annotations

import torch
from torch import Tensor

from hwsearch.accuracy.certified.interval import (
    ACTIVATIONS,
    SUMS,
    Arguments,
    Function,
    Interval,
    Named,
    Pair,
    argument,
    bounded_by,
    functions,
    picked,
    refused,
)

ACTIVATIONS.update(functions("relu", "relu6", "hardtanh", "hardswish", "silu", "gelu", "leaky_relu", "elu"))
SUMS.update(functions("add", "__add__", "__radd__"))

#: activations that fall until one point and rise from there: that point, and their least value, rounded down
VALLEYS = {
    "hardswish": (-1.5, -0.375),
    "silu": (-1.2784645427610738, -0.2784646),
    "gelu": (-0.7517915246935645, -0.1699713),
}


@bounded_by(
    # never falling, entry by entry
    "relu", "relu6", "hardtanh", "hardsigmoid", "sigmoid", "tanh", "softplus", "clamp", "clip", "clamp_min", "clamp_max",
    "exp",
    # never falling in any entry: sums, means and maxima over entries
    "max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d",
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
    "mean", "sum", "amax", "amin", "maximum", "minimum", "cat", "concat", "stack",
    # of another shape
    "flatten", "view", "reshape", "permute", "transpose", "unsqueeze", "squeeze", "contiguous", "clone", "detach",
    "expand", "expand_as", "chunk", "split", "unbind", "flip", "roll", "narrow", "select", "unfold", "pixel_shuffle",
    "pixel_unshuffle", "channel_shuffle", "__getitem__", "movedim", "swapaxes", "float", "double", "to",
)  # fmt: skip
def monotone(function: Function, args: Arguments, named: Named) -> Pair | list[Pair]:
    """Bound a function that never falls in any of its inputs: the outputs of both ends.

    Parameters
    ----------
    function : callable
        The function.
    args : tuple
        Its arguments.
    named : dict
        Its named arguments.

    Returns
    -------
    (Tensor, Tensor), or a list of them
        Lower and upper end of each output.
    """
    if named.get("return_indices"):
        raise refused(function, "is asked for places, which depend on the image")
    lower, upper = (function(*picked(args, end), **picked(named, end)) for end in ("lower", "upper"))
    if isinstance(lower, Tensor):
        return lower, upper
    return [*zip(lower, upper, strict=True)]


@bounded_by("leaky_relu", "elu", "celu", "pad", "interpolate", "prelu")
def monotone_with_options(function: Function, args: Arguments, named: Named) -> Pair | list[Pair]:
    """Bound a function that never falls unless an option makes it.

    Parameters
    ----------
    function : callable
        The function.
    args : tuple
        Its arguments.
    named : dict
        Its named arguments.

    Returns
    -------
    (Tensor, Tensor)
        Lower and upper end.
    """
    name = str(getattr(function, "__name__", ""))
    if name == "interpolate":
        mode = argument(args, named, 3, "mode", "nearest")
        if mode not in ("nearest", "nearest-exact", "linear", "bilinear", "trilinear", "area"):
            raise refused(function, f"in mode {mode!r} has negative weights")
    elif name == "prelu":
        if isinstance(args[1], Interval) or bool((args[1] < 0).any()):
            raise refused(function, "has a negative slope")
    elif name != "pad":
        slope = argument(args, named, 1, "negative_slope" if name == "leaky_relu" else "alpha", 0.01)
        if slope < 0:
            raise refused(function, f"has the negative slope {slope}")
    return monotone(function, args, named)


@bounded_by(*VALLEYS)
def valley(function: Function, args: Arguments, named: Named) -> Pair:
    """Bound an activation with one minimum: its least value where the interval contains that, else at the lower of both ends.

    Parameters
    ----------
    function : callable
        The activation.
    args : tuple
        The interval.
    named : dict
        Its options.

    Returns
    -------
    (Tensor, Tensor)
        Lower and upper end.
    """
    if argument(args, named, 1, "approximate", "none") == "tanh":
        raise refused(function, "is approximated by tanh, which has its minimum elsewhere")
    x = args[0]
    place, least = VALLEYS[function.__name__.strip("_")]
    low, high = function(x.lower, **named), function(x.upper, **named)
    inside = (x.lower <= place) & (x.upper >= place)
    lower = torch.where(inside, torch.full_like(low, least), torch.minimum(low, high))
    return lower, torch.maximum(low, high)


@bounded_by("add", "__add__", "__radd__")
def add(function: Function, args: Arguments, named: Named) -> Pair | list[Pair]:
    """Bound a sum.

    Parameters
    ----------
    function : callable
        The sum.
    args : tuple
        Two intervals, or an interval and a number or tensor.
    named : dict
        The factor ``alpha`` of the second.

    Returns
    -------
    (Tensor, Tensor)
        Lower and upper end.
    """
    if named.get("alpha", 1) < 0:
        raise refused(function, f"has the negative factor {named['alpha']}")
    return monotone(function, args, named)


@bounded_by("sub", "subtract", "__sub__")
def sub(function: Function, args: Arguments, named: Named) -> Pair:
    """Bound a difference: lower minus upper, upper minus lower.

    Parameters
    ----------
    function : callable
        The difference.
    args : tuple
        Minuend and subtrahend.
    named : dict
        The factor ``alpha`` of the second.

    Returns
    -------
    (Tensor, Tensor)
        Lower and upper end.
    """
    if named.get("alpha", 1) < 0:
        raise refused(function, f"has the negative factor {named['alpha']}")
    a, b = args
    lower = function(picked(a, "lower"), picked(b, "upper"), **named)
    return lower, function(picked(a, "upper"), picked(b, "lower"), **named)


@bounded_by("neg", "negative", "__neg__")
def neg(function: Function, args: Arguments, named: Named) -> Pair:
    """Bound the opposite: the ends change places.

    Parameters
    ----------
    function : callable
        The opposite.
    args : tuple
        The interval.
    named : dict
        Nothing.

    Returns
    -------
    (Tensor, Tensor)
        Lower and upper end.
    """
    return -args[0].upper, -args[0].lower


@bounded_by("mul", "multiply", "__mul__", "__rmul__")
def mul(function: Function, args: Arguments, named: Named) -> Pair:
    """Bound a product entry by entry: the least and the largest product of ends.

    Parameters
    ----------
    function : callable
        The product.
    args : tuple
        Two intervals, or an interval and a number or tensor.
    named : dict
        Nothing.

    Returns
    -------
    (Tensor, Tensor)
        Lower and upper end.
    """
    ends = [(x.lower, x.upper) if isinstance(x, Interval) else (x,) for x in args]
    products = [a * b for a in ends[0] for b in ends[1]]
    lower = upper = products[0]
    for one in products[1:]:
        lower, upper = torch.minimum(lower, one), torch.maximum(upper, one)
    return lower, upper


@bounded_by("div", "divide", "true_divide", "__truediv__")
def div(function: Function, args: Arguments, named: Named) -> Pair:
    """Bound a quotient whose divisor is a number.

    Parameters
    ----------
    function : callable
        The quotient.
    args : tuple
        Interval, and number or tensor.
    named : dict
        A rounding mode, which is refused.

    Returns
    -------
    (Tensor, Tensor)
        Lower and upper end.
    """
    x, by = args
    if not isinstance(x, Interval) or isinstance(by, Interval):
        raise refused(function, "divides by what depends on the image")
    if named.get("rounding_mode") is not None:
        raise refused(function, "rounds")
    a, b = x.lower / by, x.upper / by
    return torch.minimum(a, b), torch.maximum(a, b)
