"""Gradient matching: splits and cosines by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwsearch.errors import TrainingError
from hwsearch.training.matching import best_split, cosine, gradient_distances, split_score, subnet_gradient
from hwsearch.training.strategies.uniform import Uniform


def test_the_best_split_keeps_what_agrees_together() -> None:
    far = np.array([[0, 9, 1, 9], [9, 0, 9, 1], [1, 9, 0, 9], [9, 1, 9, 0]], float)
    groups = best_split(far)
    assert groups == ([0, 2], [1, 3]) and split_score(far, groups) == 36
    assert best_split(np.array([[0, 1, 9], [1, 0, 9], [9, 9, 0.0]])) == ([0, 1], [2])
    with pytest.raises(TrainingError, match="a gene of 1 values"):
        best_split(np.zeros((1, 1)))


def test_cosines_are_taken_on_common_entries() -> None:
    a = {"w": torch.tensor([[1.0, 2.0], [0.0, 5.0]]), "only": torch.ones(2)}
    assert cosine(a, {"w": torch.tensor([[-1.0, -2.0], [7.0, 0.0]])}) == pytest.approx(-1)
    assert cosine(a, {"other": torch.ones(2)}) == 0.0


def test_distances_of_gradients_leave_the_network_alone(start) -> None:
    case = start(Uniform())
    before = {k: v.clone() for k, v in case.net.state_dict().items()}
    found = gradient_distances(case.run, "r", [0, 1])
    assert found.shape == (2, 2) and np.allclose(found, found.T) and found[0, 0] == 0 and 0 < found[0, 1] < 2
    subnet_gradient(case.run, case.run.space.smallest(), np.arange(16))
    assert all(torch.equal(v, before[k]) for k, v in case.net.state_dict().items())
    assert all(p.grad is None for p in case.net.parameters())
    with pytest.raises(TrainingError, match=r"gene 'e\[1\]' of space 'tiny' cannot be split"):
        gradient_distances(case.run, "e[1]", [0])
