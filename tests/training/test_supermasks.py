"""Masks of the largest scores, updates of free entries only, and neighbours: against numpy, scikit-learn and hand-worked cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hwsearch.training.supermasks import (
    ExclusiveUpdate,
    FeatureReader,
    Transfer,
    masked_weight,
    neighbours,
    new_scores,
    top_mask,
)
from tests.training.gated import SIDE
from tests.training.masked import logits, network, training, two_classes


@pytest.mark.parametrize("density", [0.02, 0.1, 0.5, 1.0])
def test_a_mask_holds_the_largest_magnitudes(density: float) -> None:
    scores = torch.from_numpy(np.random.default_rng(0).standard_normal((7, 5, 3, 3)).astype(np.float32))
    mask = top_mask(scores, density).numpy()
    order = np.argsort(-np.abs(scores.numpy()).ravel())[: max(1, round(density * scores.numel()))]
    expected = np.zeros(scores.numel(), bool)
    expected[order] = True
    assert np.array_equal(mask.ravel(), expected)


def test_the_gradient_goes_straight_through() -> None:
    """By hand: the output is 3·m·w; a score's gradient is 3·w·sign(score), whether its weight is kept or not."""
    weight, scores = torch.tensor([2.0, -4.0, 8.0]), torch.tensor([0.5, -0.9, -0.1], requires_grad=True)
    masked = masked_weight(weight, scores, 1 / 3)
    assert masked.tolist() == [0, -4, 0]
    (3 * masked).sum().backward()
    assert scores.grad is not None and scores.grad.tolist() == [6.0, 12.0, -24.0]


def _drive(optimizer: torch.optim.Optimizer, parameter: nn.Parameter, free: torch.Tensor, step, steps: int) -> None:
    for i in range(steps):
        optimizer.zero_grad()
        (parameter * torch.linspace(1, 2, parameter.numel()) * (1 + i)).sum().backward()
        assert parameter.grad is not None
        parameter.grad *= free
        step()


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
        lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1),
        lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.1),
    ],
    ids=["sgd", "adamw", "adam"],
)
def test_momentum_and_decay_do_not_reach_what_is_not_free(make) -> None:
    """The optimizer has momentum from before; with the gradient masked alone the same entries move."""
    free = torch.tensor([True, False, True, False])

    def run(masked_update: bool) -> torch.Tensor:
        parameter = nn.Parameter(torch.tensor([1.0, -2.0, 3.0, -0.0]))
        optimizer = make([parameter])
        _drive(optimizer, parameter, torch.ones(4), optimizer.step, 2)  # what the optimizer knows of another task
        before = parameter.detach().clone()
        update = ExclusiveUpdate(optimizer, {parameter: free})
        _drive(optimizer, parameter, free.float(), update.step if masked_update else optimizer.step, 3)
        return (parameter.detach().view(torch.int32) == before.view(torch.int32)).clone()

    assert run(masked_update=True).tolist() == [False, True, False, True]
    assert run(masked_update=False).tolist() == [False, False, False, False]


def test_scores_that_start_from_a_mask_choose_it() -> None:
    generator = torch.Generator().manual_seed(0)
    start = torch.rand((8, 4, 3, 3), generator=generator) < 0.2
    scores = new_scores(start.shape, generator, start)
    assert torch.equal(top_mask(scores, float(start.float().mean())), start)
    assert float(new_scores(start.shape, generator).abs().max()) <= 1 / 6  # the root of one over 4·3·3


def test_neighbours_as_by_hand() -> None:
    known = torch.tensor([[float(i)] for i in range(12)])
    labels = (torch.arange(12) > 8).long()
    found = neighbours(known, labels, torch.tensor([[0.0], [5.0], [11.0]]), torch.tensor([0, 0, 0]))
    assert found == 1.0  # of the ten nearest to 11, seven are of class 0
    assert neighbours(known, labels, torch.tensor([[11.0]]), torch.tensor([1])) == 0.0


def test_features_are_what_the_classifier_gets() -> None:
    given, data = network(), two_classes(0, 16)
    features, labels = FeatureReader(given.net, "head").read(data, SIDE)
    expected = logits(given.net, data)
    torch.testing.assert_close(features @ given.weight("head.weight").T + given.net.head.bias, expected)
    assert labels.tolist() == data.labels.tolist()


def test_the_mask_of_the_same_task_is_taken_over() -> None:
    given = network()
    given, task = training(given, "first", two_classes(0, 200), steps=40).run()
    again = Transfer(given, {"first": task}, two_classes(0, 200, seed=5), SIDE, 0)
    assert again.best == "first" and again.accuracies["first"] > again.chance >= 0.5
    assert Transfer(given, {}, two_classes(0), SIDE, 0).best == ""
