"""Gradient conflict: how far subnets pull their common weights in the same direction, by part of the network.

The cosine as a measure of conflict between tasks: Yu et al., "Gradient surgery for multi-task learning", 2020, arXiv 2001.06782; between
subnets: Gong et al., "NASViT: neural architecture search for efficient vision transformers with gradient conflict aware supernet
training", ICLR 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from hwsearch._typing import FloatArray, IntArray
from hwsearch.spaces import Architecture
from hwsearch.training.matching import cosine, subnet_gradient
from hwsearch.training.parts.run import Run

#: purpose of the generators of batches
CONFLICT_RNG = 17


@dataclass(frozen=True)
class Conflict:
    """Cosines between the gradients of subnets on the same batches.

    Attributes
    ----------
    cosines : FloatArray
        Over all common weights, shape ``(batches, subnets, subnets)``; NaN between subnets without common weights.
    parts : dict of str to FloatArray
        The same by part of the network, in the network's order.
    common : dict of str to int
        Common weights of the first and the last subnet in each part, on the first batch.
    """

    cosines: FloatArray
    parts: dict[str, FloatArray]
    common: dict[str, int]


def part_of(name: str) -> str:
    """Name the part of the network that a parameter belongs to: its first module, and the number in a list of modules.

    Parameters
    ----------
    name : str
        A parameter's name.

    Returns
    -------
    str
        The part.

    Examples
    --------
    >>> part_of("blocks.3.conv.weight"), part_of("stem.weight"), part_of("net.stage1.0.conv1.weight")
    ('blocks.3', 'stem', 'net.stage1')
    """
    words = name.split(".")
    if len(words) < 3:
        return words[0]
    wrapped = words[0] in ("net", "model", "module", "network", "backbone")
    deep = wrapped or words[1].isdigit()
    return ".".join(words[: 2 if deep else 1])


def by_part(gradient: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Split a gradient by parts of the network.

    Parameters
    ----------
    gradient : dict of str to Tensor
        By parameter.

    Returns
    -------
    dict of str to dict of str to Tensor
        By part, then by parameter.
    """
    found: dict[str, dict[str, Tensor]] = {}
    for name, value in gradient.items():
        found.setdefault(part_of(name), {})[name] = value
    return found


def common_weights(first: dict[str, Tensor], second: dict[str, Tensor]) -> int:
    """Count the entries that are not zero in both gradients.

    Parameters
    ----------
    first, second : dict of str to Tensor
        Gradients by parameter.

    Returns
    -------
    int
        The entries that `hwsearch.training.matching.cosine` compares.
    """
    return sum(int(((first[n] != 0) & (second[n] != 0)).sum()) for n in first.keys() & second.keys())


def pairwise(gradients: Sequence[dict[str, Tensor]]) -> FloatArray:
    """Compute the cosines of all pairs of gradients on their common weights.

    Parameters
    ----------
    gradients : sequence of dict of str to Tensor
        One a subnet.

    Returns
    -------
    FloatArray
        Symmetric, 1 on the diagonal; NaN for pairs that share nothing.

    Examples
    --------
    >>> a, b = {"w": torch.tensor([1.0, 0.0])}, {"w": torch.tensor([-2.0, 5.0])}
    >>> pairwise([a, b]).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    found = np.eye(len(gradients))
    for i, j in combinations(range(len(gradients)), 2):
        shared = common_weights(gradients[i], gradients[j])
        found[i, j] = found[j, i] = cosine(gradients[i], gradients[j]) if shared else np.nan
    return found


def gradient_conflict(
    run: Run, archs: Sequence[Architecture], batches: int, *, progress: Callable[[int], None] | None = None
) -> Conflict:
    """Compare the gradients of subnets on the same training examples, at the weights as they are.

    Parameters
    ----------
    run : Run
        Supernet, task, training data and the size of a batch; nothing of it changes.
    archs : sequence of Architecture
        The subnets, from the fewest MACs to the most.
    batches : int
        How many batches, each drawn by the seed of the run.
    progress : callable, optional
        Called with the number of batches that are done.

    Returns
    -------
    Conflict
        The cosines.
    """
    whole: list[FloatArray] = []
    parts: dict[str, list[FloatArray]] = {}
    common: dict[str, int] = {}
    size = min(run.config.batch, len(run.data))
    for number in range(batches):
        index: IntArray = run.rng(CONFLICT_RNG, number).choice(len(run.data), size=size, replace=False)
        gradients = []
        for arch in archs:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(run.config.seed * 1_000_003 + number)  # for dropout
                gradients.append(subnet_gradient(run, arch, index))
        whole.append(pairwise(gradients))
        split = [by_part(g) for g in gradients]
        for name in dict.fromkeys(part for s in split for part in s):
            parts.setdefault(name, []).append(pairwise([s.get(name, {}) for s in split]))
            if number == 0:
                common[name] = common_weights(split[0].get(name, {}), split[-1].get(name, {}))
        if progress is not None:
            progress(number + 1)
    return Conflict(np.stack(whole), {name: np.stack(v) for name, v in parts.items() if len(v) == batches}, common)
