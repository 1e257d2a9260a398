"""Supermasks: scores that choose a task's weights, updates of its exclusive ones, and masks of earlier tasks as a start."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from hwsearch.supernets.supermasks import MaskedNetwork, MaskedTask
from hwsearch.tasks.data import Data, forward

#: share of the examples on which earlier masks are tried, and of these that neighbours are taken from
TRIED, KNOWN = 0.2, 2 / 3
NEIGHBOURS = 10


def kept(size: int, density: float) -> int:
    """Count the weights of a layer that a mask keeps: at least one.

    Parameters
    ----------
    size : int
        Weights of the layer.
    density : float
        Share that is kept.

    Returns
    -------
    int
        How many.

    Examples
    --------
    >>> kept(1000, 0.05), kept(4, 0.1)
    (50, 1)
    """
    return max(1, round(density * size))


def top_mask(scores: Tensor, density: float) -> Tensor:
    """Choose the weights of a layer whose scores are largest in magnitude.

    Parameters
    ----------
    scores : Tensor
        Scores of any shape.
    density : float
        Share that is kept.

    Returns
    -------
    Tensor
        Booleans of the same shape, `kept` of them true.
    """
    flat = scores.detach().abs().reshape(-1)
    mask = torch.zeros(flat.shape, dtype=torch.bool, device=flat.device)
    mask[flat.topk(kept(len(flat), density), sorted=False).indices] = True
    return mask.reshape(scores.shape)


class _StraightThrough(torch.autograd.Function):
    """The mask of the largest magnitudes going forward, the identity going back."""

    @staticmethod
    def forward(ctx: object, magnitudes: Tensor, density: float) -> Tensor:
        """Return the mask as numbers 0 and 1."""
        return top_mask(magnitudes, density).to(magnitudes.dtype)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> tuple[Tensor, None]:
        """Hand the gradient on."""
        return gradient, None


def masked_weight(weight: Tensor, scores: Tensor, density: float) -> Tensor:
    """Multiply a fixed weight by the mask of its scores, with a gradient to the scores.

    Parameters
    ----------
    weight : Tensor
        The weight, without gradient.
    scores : Tensor
        Scores of the same shape.
    density : float
        Share that is kept.

    Returns
    -------
    Tensor
        The masked weight. The gradient of a score is that of the masked weight × weight × the score's sign.

    References
    ----------
    Ramanujan et al., 2019, arXiv 1911.13299; Wortsman et al., 2020, arXiv 2006.14769.
    """
    mask: Tensor = _StraightThrough.apply(scores.abs(), density)  # type: ignore[no-untyped-call]
    return weight * mask


class ExclusiveUpdate:
    """An optimizer whose updates reach only the free entries of its parameters.

    Masking the gradient would not do: momentum and weight decay move entries of zero gradient. Entries that are not free are
    put back after each step, to the bit.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        Any optimizer.
    free : mapping of nn.Parameter to Tensor
        Booleans: which entries of a parameter may change.

    References
    ----------
    Yadav and Bansal, "Exclusive supermask subnetwork training for continual learning", 2022, arXiv 2210.10209.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, free: Mapping[nn.Parameter, Tensor]) -> None:
        self.optimizer, self.free = optimizer, dict(free)
        self._before = {p: p.detach().clone() for p in self.free}

    @torch.no_grad()
    def step(self) -> None:
        """Do one step."""
        self.optimizer.step()
        for parameter, free in self.free.items():
            parameter.copy_(torch.where(free, parameter, self._before[parameter]))


def new_scores(shape: torch.Size, generator: torch.Generator, start: Tensor | None = None) -> Tensor:
    """Draw scores as He et al. draw weights, uniformly.

    Parameters
    ----------
    shape : torch.Size
        Shape of the weight.
    generator : torch.Generator
        Source of randomness.
    start : Tensor, optional
        A mask to start from: its entries get magnitudes in the upper half of the range, all others in the lower half.

    Returns
    -------
    Tensor
        The scores.
    """
    bound = math.sqrt(1 / math.prod(shape[1:]))
    drawn = (2 * torch.rand(shape, generator=generator) - 1) * bound
    if start is None:
        return drawn
    return torch.where(start, drawn.sign() * bound / 2, 0.0) + drawn / 2


class FeatureReader:
    """Features of a network: what its classifier gets.

    Parameters
    ----------
    net : torch.nn.Module
        The network.
    head : str
        Name of its classifier.
    """

    def __init__(self, net: nn.Module, head: str) -> None:
        self.net, self.head = net.eval(), head

    @torch.no_grad()
    def read(self, data: Data, size: int) -> tuple[Tensor, Tensor]:
        """Compute the features of examples.

        Parameters
        ----------
        data : Data
            The examples.
        size : int
            Input size, as `Data.batches` takes it.

        Returns
        -------
        features : Tensor
            One row an example.
        labels : Tensor
            Their classes.
        """
        seen: list[Tensor] = []
        hook = self.net.get_submodule(self.head).register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        labels = []
        try:
            for x, y in data.batches(size, 250):
                forward(self.net, x)
                labels.append(y)
        finally:
            hook.remove()
        return torch.cat([x.flatten(1) for x in seen]), torch.cat(labels)


class Transfer:
    """Choose the earlier task whose features suit new data best, by nearest neighbours (KKT).

    Attributes
    ----------
    best : str
        The task; empty where none is above chance, or there is none.
    accuracies : dict of str to float
        Share of the held-back examples that neighbours answer right, by task.
    chance : float
        Share of the most frequent class among the held-back examples, or one over the classes if that is more.
    """

    EMPTY: ClassVar[str] = ""

    def __init__(
        self, network: MaskedNetwork, earlier: Mapping[str, MaskedTask], data: Data, size: int, seed: int
    ) -> None:
        self.best, self.accuracies, self.chance = self.EMPTY, dict[str, float](), 1.0
        order = np.random.default_rng([seed, 2]).permutation(len(data))
        tried = data.take(order[: max(3, round(TRIED * len(data)))]) if len(data) >= 3 else data
        split = round(KNOWN * len(tried))
        if not earlier or not 0 < split < len(tried):
            return
        for name, task in earlier.items():
            features, labels = FeatureReader(network.cut(task), network.head).read(tried, size)
            self.accuracies[name] = neighbours(features[:split], labels[:split], features[split:], labels[split:])
            held = labels[split:]
            self.chance = max(float(held.bincount().max()) / len(held), 1 / max(1, len(data.classes)))
        name = max(self.accuracies, key=lambda n: self.accuracies[n])
        if self.accuracies[name] > self.chance:
            self.best = name


def neighbours(known: Tensor, labels: Tensor, features: Tensor, truth: Tensor) -> float:
    """Compute the accuracy of a classifier by nearest neighbours.

    Parameters
    ----------
    known, labels : Tensor
        Features and classes of known examples.
    features, truth : Tensor
        The same of those that are classified.

    Returns
    -------
    float
        Share that is answered right.
    """
    from sklearn.neighbors import KNeighborsClassifier  # late: a second

    classifier = KNeighborsClassifier(min(NEIGHBOURS, len(known)))
    classifier.fit(known.numpy(), labels.numpy())
    return float(classifier.score(features.numpy(), truth.numpy()))
