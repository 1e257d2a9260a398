"""Gradient matching: which values of a gene pull the shared weights in the same direction, to split a supernet by.

Hu et al., "Generalizing few-shot NAS with gradient matching", 2022, arXiv 2203.15207.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import TrainingError
from hwsearch.spaces import Architecture
from hwsearch.training.batches import prepare_batch
from hwsearch.training.parts.data import Picked
from hwsearch.training.parts.run import Run

#: purpose of the generators of batches
MATCHING_RNG = 13
#: a gene with more values is not split exhaustively
MOST_VALUES = 12


def gradient_distances(run: Run, gene: str, batches: Sequence[int]) -> FloatArray:
    """Compare the gradients of a gene's values on the shared weights, at the weights as they are.

    On each batch the other genes are drawn at random, and the gene takes each of its values in turn. Gradients are
    compared on the entries that both subnets use.

    Parameters
    ----------
    run : Run
        Supernet, task, data and configuration; the supernet's weights do not change.
    gene : str
        A gene that is always active.
    batches : sequence of int
        Numbers of the batches.

    Returns
    -------
    FloatArray
        Mean of 1 − cosine, shape ``(values, values)``; symmetric, zero on the diagonal.

    Raises
    ------
    TrainingError
        If there is no such gene, or it is not always active.
    """
    space = run.space
    choice = next((c for c in space.choices if c.name == gene), None)
    if choice is None or choice.when is not None:
        raise TrainingError(f"gene {gene!r} of space {space.name!r} cannot be split: it is missing or conditional.")
    place, n = space.names.index(gene), len(choice.values)
    total = np.zeros((n, n))
    state = {name: value.clone() for name, value in run.supernet.named_buffers()}
    run.supernet.train()
    for number in batches:
        rng = run.rng(MATCHING_RNG, number)
        index: IntArray = rng.choice(len(run.data), size=run.config.batch, replace=False)
        batch = prepare_batch(run, Picked(index), rng)
        row = np.repeat(space.sample_array(1, rng), n, axis=0)
        row[row < 0] = 0
        row[:, place] = np.arange(n)
        gradients = []
        for arch in space.from_array(row):
            run.supernet.zero_grad(set_to_none=True)
            run.supernet.activate(arch)
            inputs = batch.at(run.supernet.input_size(arch), run.task)
            outputs = run.supernet(*inputs) if isinstance(inputs, tuple) else run.supernet(inputs)
            run.task.loss(outputs, batch.targets).backward()  # type: ignore[no-untyped-call]
            gradients.append({k: p.grad.clone() for k, p in run.supernet.named_parameters() if p.grad is not None})
        for i, j in combinations(range(n), 2):
            total[i, j] += 1 - cosine(gradients[i], gradients[j])
    run.supernet.zero_grad(set_to_none=True)
    for name, value in run.supernet.named_buffers():
        value.copy_(state[name])
    mean: FloatArray = (total + total.T) / max(1, len(batches))
    return mean


def cosine(first: dict[str, Tensor], second: dict[str, Tensor]) -> float:
    """Compute the cosine of two gradients on the entries that are not zero in both.

    Parameters
    ----------
    first, second : dict of str to Tensor
        Gradients by parameter.

    Returns
    -------
    float
        From -1 to 1; 0 where they share no entry.

    Examples
    --------
    >>> a, b = torch.tensor([3.0, 4.0, 0.0]), torch.tensor([3.0, 4.0, 9.0])
    >>> round(cosine({"w": a}, {"w": b}), 6)
    1.0
    """
    dot = one = two = 0.0
    for name in first.keys() & second.keys():
        a, b = first[name].double(), second[name].double()
        common = (a != 0) & (b != 0)
        dot += float((a * b)[common].sum())
        one += float(a[common].square().sum())
        two += float(b[common].square().sum())
    return dot / float(np.sqrt(one * two)) if one > 0 and two > 0 else 0.0


def best_split(distances: FloatArray) -> tuple[list[int], list[int]]:
    """Split values into two groups, as equal in number as can be, so that distances within the groups are least.

    Parameters
    ----------
    distances : FloatArray
        Symmetric, shape ``(n, n)``.

    Returns
    -------
    tuple of list of int
        Indices of the first group, which holds index 0, and of the second.

    Raises
    ------
    TrainingError
        If there are fewer than 2 values, or too many to try all splits.

    Examples
    --------
    >>> best_split(np.array([[0, 1, 9, 9], [1, 0, 9, 9], [9, 9, 0, 1], [9, 9, 1, 0.0]]))
    ([0, 1], [2, 3])
    """
    n = len(distances)
    if not 2 <= n <= MOST_VALUES:
        raise TrainingError(f"a gene of {n} values cannot be split in two groups; from 2 to {MOST_VALUES} are.")

    def within(group: Sequence[int]) -> float:
        return float(sum(distances[i, j] for i, j in combinations(group, 2)))

    found: tuple[float, list[int], list[int]] | None = None
    for size in {n // 2, n - n // 2}:
        for rest in combinations(range(1, n), size - 1):
            group = [0, *rest]
            other = [i for i in range(n) if i not in group]
            cost = within(group) + within(other)
            if found is None or cost < found[0]:
                found = (cost, group, other)
    assert found is not None
    return found[1], found[2]


def split_score(distances: FloatArray, groups: tuple[list[int], list[int]]) -> float:
    """Score a split by the distances that it cuts; the gene with the largest score is split.

    Parameters
    ----------
    distances : FloatArray
        Symmetric, shape ``(n, n)``.
    groups : tuple of list of int
        As `best_split` gives them.

    Returns
    -------
    float
        Sum of the distances between the groups.
    """
    return float(distances[np.ix_(*groups)].sum())


def subnet_gradient(run: Run, arch: Architecture, index: IntArray) -> dict[str, Tensor]:
    """Compute the gradient of one subnet on some training examples, without augmentation.

    Parameters
    ----------
    run : Run
        The run; weights and statistics of its supernet do not change.
    arch : Architecture
        The subnet.
    index : IntArray
        Positions of the examples, shape ``(b,)``.

    Returns
    -------
    dict of str to Tensor
        Gradients by parameter.
    """
    net = run.supernet
    state = {name: value.clone() for name, value in net.named_buffers()}
    net.train()
    net.zero_grad(set_to_none=True)
    net.activate(arch)
    inputs, targets = run.examples(index, run.size)
    inputs = run.task.resize(inputs, net.input_size(arch))
    outputs = net(*inputs) if isinstance(inputs, tuple) else net(inputs)
    run.task.loss(outputs, targets).backward()  # type: ignore[no-untyped-call]
    found = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
    net.zero_grad(set_to_none=True)
    with torch.no_grad():
        for name, value in net.named_buffers():
            value.copy_(state[name])
    return found
