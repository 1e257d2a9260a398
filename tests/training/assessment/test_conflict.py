"""Cosines by hand, and a supernet whose conflict is known by construction."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hwsearch.training import Run, TrainingConfig
from hwsearch.training.assessment.conflict import by_part, common_weights, gradient_conflict, pairwise, part_of


def test_a_net_of_two_parameters_by_hand() -> None:
    """Outputs a + b and 2a + b, both to be 0, at a = b = 1: gradients of the squares are (4, 4) and (12, 6)."""
    w = torch.tensor([1.0, 1.0], requires_grad=True)
    gradients = []
    for factor in (1.0, 2.0):
        (factor * w[0] + w[1]).square().backward()
        gradients.append({"w": w.grad.clone()})
        w.grad = None
    assert gradients[0]["w"].tolist() == [4, 4] and gradients[1]["w"].tolist() == [12, 6]
    found = pairwise(gradients)
    assert found[0, 1] == found[1, 0] == pytest.approx(72 / (math.sqrt(32) * math.sqrt(180)))
    turned = pairwise([gradients[0], {"w": -gradients[1]["w"]}])
    assert turned[0, 1] == pytest.approx(-found[0, 1])


def test_subnets_without_common_weights_have_no_cosine() -> None:
    a, b = {"w": torch.tensor([1.0, 0.0])}, {"w": torch.tensor([0.0, 1.0])}
    assert math.isnan(pairwise([a, b])[0, 1]) and common_weights(a, b) == 0
    assert common_weights(a, {"w": torch.tensor([5.0, 1.0])}) == 1


def test_parts_are_modules_and_places_in_lists() -> None:
    assert [part_of(n) for n in ("stem.conv.weight", "blocks.11.bn.bias", "net.fc.weight", "scale")] == [
        "stem", "blocks.11", "net.fc", "scale",
    ]  # fmt: skip
    one = torch.ones(1)
    assert {k: list(v) for k, v in by_part({"a.0.w": one, "a.0.b": one, "a.1.w": one}).items()} == {
        "a.0": ["a.0.w", "a.0.b"],
        "a.1": ["a.1.w"],
    }


@pytest.mark.parametrize(("opposed", "cosine"), [(True, -1.0), (False, 1.0)])
def test_opposed_subnets_have_a_cosine_of_minus_one(torn, vectors, task, opposed: bool, cosine: float) -> None:
    """From zero weights the gradients of a logit and of its negative are opposite on the columns that both use."""
    net = torn(opposed)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    done: list[int] = []
    ends = [net.space.smallest(), net.space.largest()]
    run = Run(net, task, vectors, TrainingConfig(batch=16))
    found = gradient_conflict(run, ends, 3, progress=done.append)
    assert found.cosines.shape == (3, 2, 2) and done == [1, 2, 3]
    np.testing.assert_allclose(found.cosines[:, 0, 1], cosine, atol=1e-6)
    np.testing.assert_allclose(found.parts["head"][:, 0, 1], cosine, atol=1e-6)
    assert found.common == {"head": 3}  # one column of three classes
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_batches_are_those_of_the_seed_and_no_larger_than_the_data(torn, vectors, task) -> None:
    net = torn(False)
    torch.nn.init.normal_(net.head.fc.weight, generator=torch.Generator().manual_seed(0))
    ends = [net.space.smallest(), net.space.largest()]
    cosines = [
        gradient_conflict(Run(net, task, vectors, TrainingConfig(batch=16, seed=seed)), ends, 2).cosines[:, 0, 1]
        for seed in (0, 0, 1)
    ]
    assert np.array_equal(cosines[0], cosines[1]) and not np.array_equal(cosines[0], cosines[2])
    whole = gradient_conflict(Run(net, task, vectors, TrainingConfig(batch=500)), ends, 2).cosines
    np.testing.assert_allclose(whole[0], whole[1], atol=1e-6)
