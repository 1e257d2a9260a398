"""Costs of gated networks against counts one by one, and the choice within a limit against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from hwsearch.errors import LimitError
from hwsearch.training.parts import gate_cost
from hwsearch.training.parts.gate_cost import UNUSED, GateCost
from hwsearch.training.parts.gates import Gates
from tests.training.gated import SIDE, small


@pytest.fixture(scope="module")
def net():
    return small().eval()


@pytest.fixture(scope="module")
def gates(net):
    return Gates(net, torch.randn(2, 3, SIDE, SIDE), 0)


def opened(gates: Gates, *counts: int) -> list[torch.Tensor]:
    return [(torch.arange(s.count) < n).float()[None] for s, n in zip(gates.sites, counts, strict=True)]


def test_the_value_is_the_mean_over_the_examples(net, gates) -> None:
    cost = GateCost(gates, net.space, net.macs_array, 0.7 * net.macs(net.space.largest()))
    examples = [(2, 2, 2, 2), (0, 1, 2, 2), (2, 0, 0, 1)]
    batch = [torch.cat(parts) for parts in zip(*(opened(gates, *e) for e in examples), strict=True)]
    macs = [net.macs(net.space.from_array(gates.rows(opened(gates, *e)))[0]) for e in examples]
    assert len(set(macs)) == 3
    assert float(cost.expected(batch)) == pytest.approx(np.mean(macs) / net.macs(net.space.largest()), rel=1e-6)


def test_the_gradient_is_what_opening_a_gate_costs(net, gates) -> None:
    largest = net.macs(net.space.largest())
    cost = GateCost(gates, net.space, net.macs_array, 0.7 * largest)
    row = [1, 2, 1, 2]
    hard = [h.requires_grad_() for h in opened(gates, *row)]
    cost.expected(hard).backward()
    for k, h in enumerate(hard):
        for gate in range(2):
            low, high = ([n if j != k else gate + up for j, n in enumerate(row)] for up in (0, 1))
            a, b = (net.macs(net.space.from_array(gates.rows(opened(gates, *x)))[0]) for x in (low, high))
            assert float(h.grad[0, gate]) == pytest.approx((b - a) / largest, rel=1e-5, abs=1e-9)
    assert float(hard[3].grad.abs().sum()) == 0  # the third block is closed: its width costs nothing


@pytest.mark.parametrize("exhaustive", [20_000, 0])
def test_the_choice_is_the_most_probable_one_within_the_limit(
    net, gates, exhaustive: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate_cost, "EXHAUSTIVE", exhaustive)
    rng = np.random.default_rng(0)
    largest, hits = net.macs(net.space.largest()), 0
    for _ in range(12):
        limit = largest * rng.uniform(0.5, 0.9)
        levels = [rng.normal(0, 2) - 2.0 * np.arange(2) for _ in gates.sites]
        arch = GateCost(gates, net.space, net.macs_array, limit).choose(levels)
        found = []
        for counts in itertools.product(range(3), repeat=4):
            one = net.space.from_array(gates.rows(opened(gates, *counts)))[0]
            score = sum(level[:n].sum() for level, n in zip(levels, counts, strict=True))
            if net.macs(one) <= limit:
                found.append((max(0.0, (1 - UNUSED) * limit - net.macs(one)), -score, one))
        best = min(found, key=lambda x: x[:2])
        assert net.macs(arch) <= limit
        hits += arch == best[2]
    assert hits == 12 if exhaustive else hits >= 8


def test_limits_that_nothing_or_everything_meets(net, gates) -> None:
    space, largest = net.space, net.macs(net.space.largest())
    least = net.macs(space.smallest())
    with pytest.raises(LimitError, match=f"no gates meet macs <= 10: with all of them closed it is {least:g}"):
        GateCost(gates, space, net.macs_array, 10)
    with pytest.raises(LimitError, match="nothing is to be pruned"):
        GateCost(gates, space, net.macs_array, largest)
    assert GateCost(gates, space, net.macs_array, least).least == least


def test_each_architecture_is_asked_for_once(net, gates) -> None:
    asked = []

    def counted(rows):
        asked.append(len(rows))
        return net.macs_array(rows)

    cost = GateCost(gates, net.space, counted, 0.8 * net.macs(net.space.largest()))
    rows = net.space.sample_array(5, np.random.default_rng(0))
    np.testing.assert_array_equal(cost(rows), net.macs_array(rows))
    before = sum(asked)
    cost(rows)
    assert sum(asked) == before
