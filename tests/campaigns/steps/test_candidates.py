"""Which subnets are measured afresh: all that are not dominated, and those that the noise leaves open."""

from __future__ import annotations

import numpy as np

from hwsearch.campaigns.steps.candidates import Candidates, not_clearly_dominated

#: costs of two subnets on the front, one dominated within the noise, one a little further, one clearly dominated
COST = np.array([[1.0, 5.0], [3.0, 2.0], [1.05, 5.05], [3.09, 2.0], [4.0, 6.0]])
STRICT = np.array([True, True, False, False, False])


def test_the_noise_leaves_open_what_it_could_have_turned() -> None:
    noise = np.full_like(COST, 0.1)
    assert not_clearly_dominated(COST, noise, STRICT, 9) == [0, 1, 3, 2]
    assert not_clearly_dominated(COST, np.full_like(COST, 0.04), STRICT, 9) == [0, 1, 3]
    assert not_clearly_dominated(COST, np.zeros_like(COST), STRICT, 9) == [0, 1]


def test_the_nearest_come_first_and_all_of_the_front_are_kept() -> None:
    noise = np.full_like(COST, 0.1)
    assert not_clearly_dominated(COST, noise, STRICT, 3) == [0, 1, 3]
    assert not_clearly_dominated(COST, noise, STRICT, 1) == [0, 1]


def test_a_lower_number_of_candidates_leaves_out_dominated_ones_alone() -> None:
    found = Candidates(["front", "front too", "near", "far"], 2)
    assert found.first(9) == found.archs and found.first(3) == ["front", "front too", "near"]
    assert found.first(1) == found.first(0) == ["front", "front too"]
