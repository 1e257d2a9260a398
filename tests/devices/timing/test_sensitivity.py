"""Sensitivity of models to their host's speed: by hand, and on hosts whose models have known ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hwsearch.devices.timing.ratios import Look, ratio_estimates
from hwsearch.devices.timing.sensitivity import (
    PRIOR_MODELS,
    PRIOR_SD,
    UNKNOWN,
    Sensitivity,
    block_sensitivity,
    pooled_sensitivities,
    precise_mean,
)

ONE_LOAD = np.zeros(4, dtype=np.int64)


# ---------------------------------------------------------------------- blocks of a process
def test_the_slope_of_four_blocks_and_its_error_by_hand() -> None:
    """Levels -0.3, -0.1, 0.1, 0.3 leave 0.5 times as much, and 0.01, -0.01, -0.01, 0.01, which are even and tell no slope.

    Squares of the levels: 0.2; of what is off: 4e-4, on 4 - 1 - 1 = 2 degrees of freedom.
    """
    level = np.array([-0.3, -0.1, 0.1, 0.3])
    found = block_sensitivity(0.5 * level + np.array([0.01, -0.01, -0.01, 0.01]), ONE_LOAD, level)
    assert found.value == pytest.approx(0.5)
    assert found.error == pytest.approx(math.sqrt(4e-4 / 2 / 0.2))


def test_a_load_that_is_slower_as_a_whole_tells_no_slope() -> None:
    level = np.array([0.0, 0.1, 0.2, 0.0, 0.1, 0.2, 0.3])
    when = np.array([0, 0, 0, 1, 1, 1, 1])
    found = block_sensitivity(-0.2 * level + 5.0 * when, when, level)
    assert found.value == pytest.approx(-0.2) and found.error < 1e-6


def test_one_interrupted_block_does_not_make_the_slope() -> None:
    level = np.linspace(0.0, 0.3, 12)
    off = 0.004 * np.array([1, -1, -1, 1] * 3)
    off[-1] += 3.0  # twenty times as long, at the slowest moment
    found = block_sensitivity(0.2 * level + off, np.zeros(12, dtype=np.int64), level)
    assert found.value == pytest.approx(0.2, abs=0.12)


@pytest.mark.parametrize(
    ("left", "level"),
    [([0.0, 0.1, 0.2, 0.1], [1.0, 1.0, 1.0, 1.0]), ([0.0, 0.1, 0.2], [0.0, 0.1, 0.2]), ([], [])],
    ids=["a host that does not move", "three blocks", "none"],
)
def test_what_cannot_tell_is_unknown(left: list[float], level: list[float]) -> None:
    found = block_sensitivity(np.array(left), np.zeros(len(left), dtype=np.int64), np.array(level))
    assert found == Sensitivity(0.0, UNKNOWN)


# ---------------------------------------------------------------------- several processes and models
def test_precise_looks_count_more() -> None:
    """Weights 1 / 0.1² and 1 / 0.2², 100 and 25, of 0.1 and 0: mean 0.08, chi square 0.04 + 0.16 on one degree: no excess.

    Of 0.1 and -0.4: mean 0, chi square 1 + 4, so the error is the root of 5 times as large.
    """
    found = precise_mean([Sensitivity(0.1, 0.1), Sensitivity(0.0, 0.2)])
    assert found.value == pytest.approx(0.08) and found.error == pytest.approx(1 / math.sqrt(125))
    apart = precise_mean([Sensitivity(0.1, 0.1), Sensitivity(-0.4, 0.2)])
    assert apart.value == pytest.approx(0.0, abs=1e-12) and apart.error == pytest.approx(math.sqrt(5 / 125))
    assert precise_mean([]) == Sensitivity(0.0, UNKNOWN)


def test_a_model_is_drawn_to_nought_as_far_as_it_is_unknown() -> None:
    """Two models of 0.3 ± 0.2 and -0.3 ± 0.2: each counts a quarter for how much models differ, 0.09 - 0.04 = 0.05."""
    prior = (PRIOR_MODELS * PRIOR_SD**2 + 2 * 0.25 * 0.05) / (PRIOR_MODELS + 2 * 0.25)
    share = prior / (prior + 0.04)
    first, second = pooled_sensitivities([[Sensitivity(0.3, 0.2)], [Sensitivity(-0.3, 0.2)]])
    assert first.value == pytest.approx(0.3 * share) == -second.value
    assert first.error == pytest.approx(math.sqrt(prior * (1 - share))) == second.error


def test_models_that_are_known_to_be_alike_make_an_unknown_one_alike() -> None:
    alike = [[Sensitivity(0.0, 0.01)] for _ in range(40)]
    apart = [[Sensitivity(0.6 * (-1) ** k, 0.01)] for k in range(40)]
    errors = [pooled_sensitivities([*known, []])[-1].error for known in (alike, apart)]
    assert errors[0] < PRIOR_SD / 2 and errors[1] > 2 * PRIOR_SD


def test_what_is_with_regard_to_the_level_becomes_what_is_with_regard_to_the_reference() -> None:
    """The level rises by 1 %: the reference gets 0.5 % slower and a model 1 %, so the ratio rises by 1 % per 1 %."""
    assert Sensitivity(0.0, 0.0).over(Sensitivity(-0.5, 0.0)) == Sensitivity(1.0, 0.0)
    assert Sensitivity(0.0, UNKNOWN).over(Sensitivity()).error == UNKNOWN


# ---------------------------------------------------------------------- ratios at the typical level
def looks_at(levels: list[float], sensitivity: float, error: float = 1e-6) -> list[Look]:
    return [Look(20.0 * k, sensitivity * math.log(x), 0.0, x, 0.0, sensitivity, error) for k, x in enumerate(levels)]


def test_a_ratio_is_brought_to_the_typical_level_by_hand() -> None:
    """Seen at 1 and 1.2 ms of the reference: at 1.1 ms a ratio that goes with its half power is the root of 1.1."""
    own = looks_at([1.0, 1.2, 1.0], 0.5)
    found = ratio_estimates([own], 0.95, typical_ms=1.1)
    assert found.centre[0] == pytest.approx(0.5 * math.log(1.1), abs=1e-6) and found.wide[0] == pytest.approx(
        0, abs=1e-6
    )
    assert found.sensitivity[0].value == pytest.approx(0.5)
    middle = ratio_estimates([own], 0.95)  # at the geometric mean of the three
    assert middle.centre[0] == pytest.approx(0.5 * math.log(1.2) / 3, abs=1e-6)


def test_candidates_that_were_seen_at_other_levels_are_compared_at_one() -> None:
    """Two models alike, one seen by a slow host and one by a quick one: what is known of them makes them equal."""
    slow, quick = (
        looks_at([1.3, 1.35, 1.3], 0.4),
        [k._replace(at_s=k.at_s + 500.0) for k in looks_at([1.0, 0.95, 1.0], 0.4)],
    )
    found = ratio_estimates([slow, quick], 0.95, typical_ms=1.1)
    assert found.centre[0] == pytest.approx(found.centre[1], abs=1e-6)
    blind = [[k._replace(sensitivity=0.0, sensitivity_error=UNKNOWN) for k in own] for own in (slow, quick)]
    raw = ratio_estimates(blind, 0.95, typical_ms=1.1)
    assert raw.centre[0] - raw.centre[1] > 0.1
