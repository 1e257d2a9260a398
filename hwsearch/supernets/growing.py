"""Grow a trained supernet into a wider one: new weights recombine learned ones.

MixtureGrowth (Pham, Teterwak, Nelson and Plummer, WACV 2024, arXiv 2311.04251) grows a layer of half the width into the block
matrix ``[[W0, W2], [W3, W1]]``. All blocks are linear combinations of the same templates, the new ones with coefficients that
are orthogonal to all before. There templates are trained; here they are taken from the singular vectors of trained weights, so
that any supernet can be grown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from hwsearch._typing import FloatArray
from hwsearch.errors import SupernetError
from hwsearch.supernets.base import Supernet, tensors_of

#: where the new blocks of a layer come from
Method = Literal["wider", "zero", "orthogonal", "random"]
METHODS: tuple[Method, ...] = ("wider", "zero", "orthogonal", "random")
#: templates of a layer; as many as blocks, so that every block has coefficients orthogonal to all others
TEMPLATES = 4
#: largest difference of outputs of two networks that compute the same, relative to the largest output
SAME = 1e-4


class GrowthError(SupernetError):
    """A supernet cannot be grown into another one."""


def orthogonal_row(rows: FloatArray) -> FloatArray:
    """Compute coefficients that are orthogonal to all before: the last right-singular vector.

    Parameters
    ----------
    rows : FloatArray
        Coefficients so far, shape ``(n, templates)`` with n below the number of templates.

    Returns
    -------
    FloatArray
        Unit vector, shape ``(templates,)``.

    Examples
    --------
    >>> row = orthogonal_row(np.array([[0.6, 0.8]]))
    >>> bool(abs(row @ [0.6, 0.8]) < 1e-12)
    True
    """
    return np.asarray(np.linalg.svd(rows, full_matrices=True)[2][-1])


def templates(weight: Tensor, count: int) -> list[Tensor]:
    """Split a weight into templates of which it is the combination with equal coefficients of unit norm.

    Singular triples are dealt out in turn, so templates are orthogonal in the Frobenius product, and each has large and small ones.

    Parameters
    ----------
    weight : Tensor
        Shape ``(out, …)``.
    count : int
        How many.

    Returns
    -------
    list of Tensor
        Templates of the weight's shape; ``weight = sum(templates) / sqrt(count)``.
    """
    u, s, vt = torch.linalg.svd(weight.double().reshape(len(weight), -1), full_matrices=False)
    parts = [(u[:, k::count] * s[k::count]) @ vt[k::count] for k in range(count)]
    return [(count**0.5 * part).reshape(weight.shape).to(weight.dtype) for part in parts]


def mixed_blocks(first: Tensor, second: Tensor | None) -> list[Tensor]:
    """Make the four blocks of a layer: the learned ones, then combinations of their templates.

    Parameters
    ----------
    first : Tensor
        W0.
    second : Tensor, optional
        W1, where another network was trained; otherwise it is a combination as well.

    Returns
    -------
    list of Tensor
        W0, W1, W2 and W3; the coefficients of all four are orthogonal.
    """
    half = TEMPLATES // 2
    if second is None:
        bank = templates(first, TEMPLATES)
        rows = [np.full(TEMPLATES, TEMPLATES**-0.5)]
    else:
        bank = [*templates(first, half), *templates(second, half)]
        rows = [np.repeat([half**-0.5, 0.0], half), np.repeat([0.0, half**-0.5], half)]
    while len(rows) < TEMPLATES:
        rows.append(orthogonal_row(np.array(rows)))
    blocks = [sum((float(c) * t for c, t in zip(row, bank, strict=True)), torch.zeros_like(first)) for row in rows]
    return [first, blocks[1] if second is None else second, *blocks[2:]]


def widened(value: Tensor, shape: Sequence[int]) -> Tensor:
    """Repeat channels so that the function stays: Net2WiderNet with the channels in turn.

    Parameters
    ----------
    value : Tensor
        A parameter or statistic.
    shape : sequence of int
        Its new shape; axes of weights are outputs, inputs, kernel.

    Returns
    -------
    Tensor
        Of this shape. Repeated inputs share their weight out.

    References
    ----------
    Chen, Goodfellow and Shlens, "Net2Net: accelerating learning via knowledge transfer", ICLR 2016, arXiv 1511.05641.
    """
    for axis, (old, new) in enumerate(zip(value.shape, shape, strict=True)):
        if new == old:
            continue
        source = torch.arange(new) % old
        value = value.index_select(axis, source)
        if axis == 1:
            copies = torch.bincount(source, minlength=old)[source].to(value.dtype)
            value = value / copies.view(1, -1, *[1] * (value.ndim - 2))
    return value


def _new_blocks(first: Tensor, second: Tensor | None, method: Method, generator: torch.Generator) -> list[Tensor]:
    """W0, W1, W2 and W3 of one weight."""
    if method == "orthogonal":
        return mixed_blocks(first, second)
    if method == "zero":
        nothing = torch.zeros_like(first)
        return [first, first if second is None else second, nothing, nothing]
    spread = float(first.double().std(correction=0))
    fresh = [torch.randn(first.shape, generator=generator, dtype=first.dtype) * spread for _ in range(3)]
    return [first, fresh[0] if second is None else second, *fresh[1:]]


def _grown(first: Tensor, second: Tensor | None, shape: Sequence[int], blocks: Callable[[], list[Tensor]]) -> Tensor:
    """Grow one parameter or statistic to twice the size of its larger axes."""
    larger = [axis for axis, (old, new) in enumerate(zip(first.shape, shape, strict=True)) if new > old]
    if not larger:  # such as the bias of the classifier, which averages two members
        return first if second is None or not first.is_floating_point() else (first + second) / 2
    if first.ndim > 1 and set(larger) <= {0, 1}:
        w0, w1, w2, w3 = blocks()
        if larger == [0]:
            return torch.cat([w0, w1])
        if larger == [1]:  # the outputs are the mean of both members'
            return torch.cat([w0, w1], dim=1) / 2
        return torch.cat([torch.cat([w0, w2], dim=1), torch.cat([w3, w1], dim=1)])
    for axis in larger:
        first = torch.cat([first, first if second is None or len(larger) > 1 else second], dim=axis)
    return first


def check_growth(small: Mapping[str, Tensor], large: Mapping[str, Tensor], method: Method) -> list[str]:
    """Check that a network is a wider version of another one.

    Parameters
    ----------
    small, large : mapping of str to Tensor
        Parameters and buffers, as of `hwsearch.supernets.base.tensors_of`.
    method : str
        Where new blocks come from: all but ``wider`` need axes that stay or double.

    Returns
    -------
    list of str
        Names of what grows.

    Raises
    ------
    GrowthError
        If layers differ, something would shrink, nothing grows, or an axis is neither as large nor twice as large.
    """
    if odd := sorted(small.keys() ^ large.keys()):
        raise GrowthError(
            f"the networks have not the same layers: {', '.join(odd[:3])}{' …' if len(odd) > 3 else ''} "
            f"{'is' if len(odd) == 1 else 'are'} in one of them only.",
            hint="Only widths grow: give both the same depths and kernels.",
        )
    grown = []
    for name, value in small.items():
        old, new = tuple(value.shape), tuple(large[name].shape)
        if len(old) != len(new) or any(n < o for o, n in zip(old, new, strict=True)):
            raise GrowthError(f"{name} would shrink from {old} to {new}.", hint="Give the larger supernet second.")
        if method != "wider" and any(n not in (o, 2 * o) for o, n in zip(old, new, strict=True)):
            raise GrowthError(
                f"{name} grows from {old} to {new}: method {method!r} doubles axes, or leaves them.",
                hint="Use the method 'wider', which takes any width, or double the widths.",
            )
        if old != new:
            grown.append(name)
    if not grown:
        raise GrowthError("no width grows: both supernets have weights of the same shapes.")
    return grown


def grow_weights(
    small: Supernet,
    large: Supernet,
    method: Method = "wider",
    *,
    second: Supernet | None = None,
    seed: int = 0,
) -> list[str]:
    """Give a wider supernet the weights of a trained one, in place.

    Parameters
    ----------
    small : Supernet
        The trained supernet.
    large : Supernet
        The wider one, with the same layers.
    method : {"wider", "zero", "orthogonal", "random"}
        Where the new blocks come from: channels repeated so that the function stays; nothing, for two members that do not see
        each other; orthogonal combinations of learned templates; or noise of the spread of the learned weights.
    second : Supernet, optional
        A second trained supernet of the shape of `small`: the other member. Not for the method ``wider``.
    seed : int
        Seed of the noise.

    Returns
    -------
    list of str
        Names of what has grown.

    Raises
    ------
    GrowthError
        If the larger is not a wider version of the smaller, or the method has no place for a second network.
    """
    if method not in METHODS:
        raise GrowthError(f"method={method!r} is not valid.", hint=f"Use one of {', '.join(METHODS)}.")
    if method == "wider" and second is not None:
        raise GrowthError(
            "the method 'wider' repeats one network's channels.",
            hint="Leave the second network out, or use the method 'zero'.",
        )
    old, new = tensors_of(small), tensors_of(large)
    grown = check_growth(old, new, method)
    other = None if second is None else tensors_of(second)
    if other is not None and {n: v.shape for n, v in other.items()} != {n: v.shape for n, v in old.items()}:
        raise GrowthError(
            "the second network has not the shape of the first one.", hint="Train the same supernet twice."
        )
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in old.items():
            shape, w1 = new[name].shape, None if other is None else other[name]
            if method == "wider":
                new[name].copy_(widened(value, shape))
                continue

            def blocks(value: Tensor = value, w1: Tensor | None = w1) -> list[Tensor]:
                return _new_blocks(value, w1, method, generator)

            new[name].copy_(_grown(value, w1, shape, blocks))
    return grown


@torch.no_grad()
def check_same_channels(small: Supernet, large: Supernet, seed: int = 0) -> float:
    """Check that repeating channels keeps the function: then growing puts all new channels in the right places.

    Parameters
    ----------
    small : Supernet
        The trained supernet.
    large : Supernet
        The wider one; it gets weights of the method ``wider``.
    seed : int
        Seed of the inputs.

    Returns
    -------
    float
        Largest difference of the outputs of both largest subnets, relative to the largest output.

    Raises
    ------
    GrowthError
        If the outputs differ, for example because channels of two layers are concatenated, grouped or normalised together.
    """
    grow_weights(small, large, "wider")
    parts = [net.parts(net.space.largest(), net.subnet(net.space.largest())) for net in (small, large)]
    if any(len(p) != 1 for p in parts):
        raise GrowthError("networks of several model files, such as translation, cannot be grown.")
    rng = np.random.default_rng(seed)
    inputs = [torch.from_numpy(np.asarray(i.sample(4, rng))) for i in parts[0][0].inputs]
    if [i.shape for i in parts[0][0].inputs] != [i.shape for i in parts[1][0].inputs]:
        raise GrowthError("the largest subnets take inputs of different sizes.", hint="Give both the same resolutions.")
    one, two = (p[0].net.eval()(*inputs) for p in parts)
    if one.shape != two.shape:
        raise GrowthError(
            f"the outputs have shapes {tuple(one.shape)} and {tuple(two.shape)}.", hint="Classes do not grow."
        )
    error = float((one - two).abs().max() / one.abs().max().clamp_min(1e-12))
    if not error <= SAME:
        raise GrowthError(
            f"with repeated channels the wider network computes something else (relative difference {error:.2g}): it is no "
            "wider version of the smaller one, layer by layer.",
            hint="Concatenated, grouped, embedded or jointly normalised channels cannot be grown.",
        )
    return error
