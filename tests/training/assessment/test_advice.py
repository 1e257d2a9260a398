"""Every rule holds for figures made for it, and for none whose interval reaches its limit."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from hwsearch.training.assessment.advice import MORE_PASSES, NOTHING, Figures, advise, figures_of
from hwsearch.training.assessment.bands import band_rows, choose_subnets
from hwsearch.training.assessment.estimates import Estimate


def at(value: float, half: float = 0.1) -> Estimate:
    return Estimate(value, value - half, value + half, 8)


FINE = Figures(
    ends_cosine=at(0.4), top_over_next=at(1.0), uneven=at(0.0), gap=at(0.5), gap_large_over_small=at(0.0), tau=at(0.8)
)
CASES = [
    ("ends_cosine", at(-0.3), "few-shot", "pull their common weights apart"),
    ("gap_large_over_small", at(2.0), "deps", "costs the large subnets more"),
    ("gap_large_over_small", at(-2.0), "bignas", "costs the small subnets more"),
    ("top_over_next", at(-0.5), "deps", "worse than smaller ones"),
    ("uneven", at(0.3), "band-shift", "one band of MACs"),
    ("tau", at(0.2), "few-shot", "order the subnets badly"),
    ("gap", at(3.0), MORE_PASSES, "worse than trained by themselves"),
]


def told(figures: Figures):
    return advise(figures, unit="pt", small_difference=1.0)


def test_where_all_is_well_no_strategy_is_called_for() -> None:
    found = told(FINE)
    assert found.strategy == NOTHING and found.sentence == "No figure calls for another strategy."
    assert {rule.holds for rule in found.rules} == {False}


@pytest.mark.parametrize(("name", "estimate", "strategy", "words"), CASES)
def test_each_figure_has_its_rule(name: str, estimate: Estimate, strategy: str, words: str) -> None:
    found = told(replace(FINE, **{name: estimate}))
    assert found.strategy == strategy and words in found.sentence
    assert f"{estimate.value:.2f}" in found.sentence and [r.holds for r in found.rules].count(True) == 1


@pytest.mark.parametrize(("name", "estimate", "strategy", "words"), CASES)
def test_an_interval_that_reaches_the_limit_decides_nothing(name, estimate, strategy, words) -> None:
    wide = Estimate(estimate.value, -9.0, 9.0, 8)
    assert told(replace(FINE, **{name: wide})).strategy == NOTHING


def test_the_first_rule_that_holds_decides() -> None:
    """All figures are bad at once; as one after the other is mended, the next rule decides."""
    bad = {name: estimate for name, estimate, strategy, _ in CASES if strategy != "bignas"}
    for name, _, strategy, _ in [case for case in CASES if case[2] != "bignas"]:
        assert told(replace(FINE, **bad)).strategy == strategy
        del bad[name]
    assert told(replace(FINE, **bad)).strategy == NOTHING


def test_what_was_not_measured_is_said() -> None:
    found = told(replace(FINE, gap=None, gap_large_over_small=None, tau=Estimate(1.0, math.nan, math.nan, 3)))
    assert found.sentence.endswith(
        "Not known: large-lose, small-lose, order, gap. Subnets trained by themselves would tell (standalone)."
    )
    assert told(replace(FINE, ends_cosine=None)).sentence.endswith("Not known: conflict.")
    assert [r.holds for r in found.rules].count(None) == 4
    assert told(Figures()).strategy == NOTHING and len(fields(Figures)) == 6
    assert found.to_dict()["rules"][0]["estimate"]["value"] == 0.4


def test_a_strategy_that_was_used_is_not_named_again() -> None:
    bad = replace(FINE, ends_cosine=at(-0.5), top_over_next=at(-2.0))
    assert advise(bad, unit="pt", small_difference=1.0, used=["few-shot"]).strategy == "deps"
    found = advise(bad, unit="pt", small_difference=1.0, used=["few-shot", "deps"])
    assert found.strategy == MORE_PASSES and "trained by 'few-shot' or its like already" in found.sentence
    small = replace(FINE, gap_large_over_small=at(-2.0))
    assert told(small).strategy == "bignas"
    assert advise(small, unit="pt", small_difference=1.0, used=["sandwich"]).strategy == MORE_PASSES
    assert advise(FINE, unit="pt", small_difference=1.0, used=["deps"]).strategy == NOTHING


def test_a_network_that_has_learnt_nothing_is_trained_longer_first() -> None:
    bad = replace(FINE, ends_cosine=at(-0.5))
    found = advise(bad, unit="pt", small_difference=1.0, chance="guessing among 10 classes, or")
    assert found.strategy == MORE_PASSES and "not clearly better than guessing among 10 classes, or" in found.sentence
    assert found.rules[0].holds


def test_figures_are_of_the_right_subnets_and_signs(torn) -> None:
    cells, _, member = choose_subnets(torn(opposed=False), 12, 3, np.random.default_rng(0))
    assert np.bincount(member).tolist() == [4, 4, 4]
    scores = np.repeat([60.0, 70.0, 66.0], 4) + np.tile([0.0, 0.2, -0.2, 0.0], 3)
    excess = np.repeat([0.02, 0.0, 0.5], 4) + np.tile([0.0, 0.01], 6)
    rows = band_rows(cells, member, scores, np.full(12, 1.0), excess)
    inherited, alone = np.array([60.0, 61.0, 66.0, 65.0, 64.0]), np.array([61.0, 62.0, 70.0, 72.0, 71.0])
    found = figures_of(rows, member, scores, excess, at(0.1), inherited, alone)
    assert found.top_over_next is not None and found.top_over_next.value == pytest.approx(-4)
    assert found.top_over_next.high < 0
    assert found.uneven is not None and found.uneven.value == pytest.approx(0.505 - 0.015) and found.uneven.low > 0.4
    assert found.gap is not None and found.gap.value == pytest.approx(4)  # 1, 1, 4, 7, 7
    assert found.gap_large_over_small is not None and found.gap_large_over_small.value == pytest.approx(6)
    assert found.tau is not None and found.tau.n == 5
    none = figures_of(rows, member, scores, excess, None, np.empty(0), np.empty(0))
    assert none.gap is none.tau is none.gap_large_over_small is none.ends_cosine is None
    assert told(found).strategy == "deps"
