"""Draws by importance: probabilities by hand, and that corrected ones are unbiased."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hwsearch.training.parts.feedback import Seen
from hwsearch.training.strategies.pada import ExampleImportance, GeneImportance, governed, mixed
from hwsearch.training.strategies.uniform import Uniform


def test_probabilities_mix_norms_and_uniform_ones() -> None:
    assert mixed(np.array([0.0, 1.0, 3.0]), 0.5).tolist() == pytest.approx([1 / 6, 1 / 6 + 1 / 8, 1 / 6 + 3 / 8])
    assert mixed(np.zeros(4), 0.9).tolist() == [0.25] * 4


def test_genes_govern_the_weights_that_they_cut(start) -> None:
    case = start(Uniform())
    names = dict(zip(case.run.space.names, governed(case.run), strict=True))
    assert names["r"] == frozenset()
    assert names["d[0]"] and all(n.startswith("blocks.2.") for n in names["d[0]"])
    assert names["ks[0]"] == {"blocks.1.conv.depth_conv.conv.conv.weight"}
    assert {n.split(".")[3] for n in names["e[0]"]} >= {"inverted_bottleneck", "depth_conv", "point_linear"}


def test_corrected_draws_of_genes_are_unbiased(start) -> None:
    """The weighted mean of any function of the subnet is that of uniform genes."""
    case = start(Uniform())
    sampler = GeneImportance(draws=20_000, tau=0.5)
    sampler.prepare(case.run)
    sampler.load_state_dict({"norms": [(1.0 + 3 * np.arange(size)).tolist() for size in case.run.space.sizes]})
    draws = sampler.sample(case.recipe.schedule.at(0), np.random.default_rng(0))
    macs = case.net.macs_array(case.run.space.to_array([d.arch for d in draws])) / 1e6
    scale = np.array([d.scale for d in draws])
    uniform = case.net.macs_array(case.run.space.sample_array(20_000, np.random.default_rng(1))) / 1e6
    error = math.hypot((macs * scale).std(), uniform.std()) / math.sqrt(20_000)
    assert abs((macs * scale).mean() - uniform.mean()) < 4 * error
    assert macs.mean() - uniform.mean() > 10 * error  # without the weights it is far off
    released = GeneImportance(tau=None, correct=False)
    released.prepare(case.run)
    assert {d.scale for d in released.sample(case.recipe.schedule.at(0), np.random.default_rng(0))} == {1.0}


def test_examples_are_drawn_by_their_norm_and_weighted_back(start) -> None:
    case = start(Uniform())
    data = ExampleImportance(tau=0.5)
    data.prepare(case.run)
    arch, n = case.run.space.smallest(), len(case.run.data)
    norms = torch.ones(n)
    norms[7] = 0.5 * n
    data.update([Seen(arch, 1.0, np.arange(n), per_example=norms)])
    p = data.probabilities(case.recipe.schedule.at(0))
    assert p[7] == pytest.approx(0.5 * 0.5 * n / (1.5 * n - 1) + 0.5 / n) and p.sum() == pytest.approx(1)
    picked = data.pick(case.recipe.schedule.at(0))
    assert picked.weight is not None and np.allclose(picked.weight, 1 / (n * p[picked.index]))
    assert (picked.index == 7).sum() > 2
    again = ExampleImportance(tau=0.5)
    again.prepare(case.run)
    again.load_state_dict(data.state_dict())
    assert np.array_equal(again.pick(case.recipe.schedule.at(0)).index, picked.index)


def test_as_released_an_example_that_was_not_drawn_counts_nothing(start) -> None:
    case = start(Uniform(), 16)  # 2 epochs of 8 steps
    data = ExampleImportance(tau=None, correct=False)
    data.prepare(case.run)
    first = data.pick(case.recipe.schedule.at(0))
    assert first.weight is None
    data.update([Seen(case.run.space.smallest(), 1.0, np.array([3]), per_example=torch.tensor([2.0]))])
    p = data.probabilities(case.recipe.schedule.at(8))  # tau is 1/2 in the second of two epochs
    assert p[3] == pytest.approx(0.5 + 0.5 / 256) and p[4] == pytest.approx(0.5 / 256)
