"""Which strategy to try next: rules, each tied to one figure and its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray, IntArray
from hwsearch.training.assessment.bands import BandRow
from hwsearch.training.assessment.estimates import Estimate, difference, mean_of, rank_correlation

#: rank correlation (Kendall's tau) below which inherited scores order subnets badly
LEAST_TAU = 0.5
#: strategies that train as another one does but for the learning rate
ALIKE = {"sandwich": "bignas", "bignas": "sandwich"}
#: rules that compare with subnets trained by themselves
NEED_PROBES = {"large-lose", "small-lose", "order", "gap"}
#: what stands in the place of a strategy where no other one is called for
MORE_PASSES, NOTHING = "the same strategy with more passes", "no other strategy"


@dataclass(frozen=True)
class Figures:
    """The figures that the rules look at; None where one was not measured.

    Attributes
    ----------
    ends_cosine : Estimate or None
        Cosine of the gradients of the smallest and the largest subnet on their common weights.
    top_over_next : Estimate or None
        Mean score of the band of most MACs minus that of the band below.
    uneven : Estimate or None
        Mean excess loss of the worst band minus that of all other subnets, with an interval that allows for the choice of the
        worst (Bonferroni).
    gap : Estimate or None
        Mean of stand-alone minus inherited score over the probes.
    gap_large_over_small : Estimate or None
        The same, of the half of the probes of more MACs minus that of the other half.
    tau : Estimate or None
        Rank correlation of inherited and stand-alone scores.
    """

    ends_cosine: Estimate | None = None
    top_over_next: Estimate | None = None
    uneven: Estimate | None = None
    gap: Estimate | None = None
    gap_large_over_small: Estimate | None = None
    tau: Estimate | None = None


@dataclass(frozen=True)
class Rule:
    """One rule, applied.

    Attributes
    ----------
    name : str
        Short name.
    figure : str
        What is looked at.
    estimate : Estimate or None
        The figure; None where it was not measured.
    side : {"below", "above"}
        On which side of the limit the whole interval must lie.
    limit : float
        The limit.
    strategy : str
        What to try if it does.
    why : str
        What that would mean.
    unit : str
        Unit of the figure.
    """

    name: str
    figure: str
    estimate: Estimate | None
    side: str
    limit: float
    strategy: str
    why: str
    unit: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether the whole 95 % interval lies beyond the limit; None where that is not known."""
        e = self.estimate
        if e is None or not (math.isfinite(e.low) and math.isfinite(e.high)):
            return None
        return e.high < self.limit if self.side == "below" else e.low > self.limit

    def to_dict(self) -> JsonObject:
        """Describe the rule as JSON.

        Returns
        -------
        dict of str to object
            The attributes, and ``holds``.
        """
        return {
            "rule": self.name,
            "figure": self.figure,
            "estimate": self.estimate.to_dict() if self.estimate else None,
            "side": self.side,
            "limit": self.limit,
            "unit": self.unit,
            "holds": self.holds,
            "strategy": self.strategy,
            "why": self.why,
        }


@dataclass(frozen=True)
class Advice:
    """Which strategy to try next.

    Attributes
    ----------
    strategy : str
        Its name, or `MORE_PASSES` or `NOTHING`.
    sentence : str
        The advice and the figure that it rests on.
    rules : tuple of Rule
        All rules in their order; the first that holds decides.
    """

    strategy: str
    sentence: str
    rules: tuple[Rule, ...]

    def to_dict(self) -> JsonObject:
        """Describe the advice as JSON.

        Returns
        -------
        dict of str to object
            The attributes.
        """
        return {
            "strategy": self.strategy,
            "sentence": self.sentence,
            "rules": [rule.to_dict() for rule in self.rules],
        }


def figures_of(
    rows: Sequence[BandRow],
    member: IntArray,
    scores: FloatArray,
    excess: FloatArray,
    ends_cosine: Estimate | None,
    inherited: FloatArray,
    alone: FloatArray,
) -> Figures:
    """Compute the figures that the rules look at.

    Parameters
    ----------
    rows : sequence of BandRow
        The bands.
    member, scores, excess : ndarray
        Band, score and excess loss of each measured subnet, shape ``(n,)``.
    ends_cosine : Estimate or None
        See `Figures`.
    inherited, alone : FloatArray
        Scores of the probes in ascending order of MACs, with the supernet's weights and trained by themselves; empty where there
        are none.

    Returns
    -------
    Figures
        The figures.
    """
    top, below = (scores[member == rows[k].band] for k in (-1, -2))
    worst = max(rows, key=lambda row: row.excess_loss.value).band
    level = 1 - 0.05 / len(rows)
    gaps = alone - inherited
    half = len(gaps) // 2
    return Figures(
        ends_cosine,
        difference(top, below),
        difference(excess[member == worst], excess[member != worst], level=level),
        mean_of(gaps) if len(gaps) else None,
        difference(gaps[-half:], gaps[:half]) if half else None,
        rank_correlation(inherited, alone) if len(gaps) else None,
    )


def advise(
    figures: Figures, *, unit: str, small_difference: float, chance: str | None = None, used: Sequence[str] = ()
) -> Advice:
    """Apply the rules in their order; the first that holds decides.

    Parameters
    ----------
    figures : Figures
        The figures.
    unit : str
        Unit of differences between scores.
    small_difference : float
        A difference of the score that few users would mind (`hwsearch.tasks.base.Task.small_difference`).
    chance : str, optional
        What the best score is not clearly better than (`hwsearch.tasks.base.Task.no_better_than`); then no rule decides, as figures
        of a network that has learnt nothing say nothing.
    used : sequence of str
        Strategies that the weights were trained by, which are not named again.

    Returns
    -------
    Advice
        What to try next, and why.
    """
    f = figures
    rules = (
        Rule(
            "conflict", "cosine of the gradients of the smallest and the largest subnet", f.ends_cosine, "below", 0.0,
            "few-shot", "small and large subnets pull their common weights apart, so that they are better not shared by all",
        ),
        Rule(
            "large-lose", "gap to stand-alone training, larger probes minus smaller ones", f.gap_large_over_small, "above", 0.0,
            "deps", "sharing costs the large subnets more, which this strategy trains alone at first", unit,
        ),
        Rule(
            "small-lose", "gap to stand-alone training, larger probes minus smaller ones", f.gap_large_over_small, "below", 0.0,
            "bignas", "sharing costs the small subnets more, which this strategy trains in every step, taught by the largest", unit,
        ),
        Rule(
            "top-falls", "mean score of the band of most MACs minus the band below", f.top_over_next, "below", 0.0,
            "deps", "the large subnets are worse than smaller ones, and this strategy trains the largest alone at first", unit,
        ),
        Rule(
            "uneven", "excess loss of the worst band minus the other subnets'", f.uneven, "above", 0.0,
            "band-shift", "one band of MACs is trained worse than the others, and this strategy draws such bands more often",
        ),
        Rule(
            "order", "rank correlation of inherited and stand-alone scores (Kendall's tau)", f.tau, "below", LEAST_TAU,
            "few-shot", "inherited scores order the subnets badly, which a split supernet does better",
        ),
        Rule(
            "gap", "mean gap to stand-alone training", f.gap, "above", small_difference,
            MORE_PASSES, "subnets are worse than trained by themselves, and no other figure points to a strategy", unit,
        ),
    )  # fmt: skip
    if chance is not None:
        sentence = (
            f"Train longer first: the best measured subnet is not clearly better than {chance} nothing was learnt yet."
        )
        return Advice(MORE_PASSES, sentence, rules)
    holding = [rule for rule in rules if rule.holds]
    if not holding:
        left = [rule.name for rule in rules if rule.holds is None]
        open_ = f" Not known: {', '.join(left)}." if left else ""
        if set(left) & NEED_PROBES:
            open_ += " Subnets trained by themselves would tell (standalone)."
        return Advice(NOTHING, f"No figure calls for another strategy.{open_}", rules)
    known = {*used, *(ALIKE[name] for name in used if name in ALIKE)}
    found = next((rule for rule in holding if rule.strategy not in known), None)
    if found is None:
        first = holding[0]
        why = f"{first.why} ({_figure(first)}), and the weights were trained by {first.strategy!r} or its like already"
        return Advice(MORE_PASSES, f"Try {MORE_PASSES} next: {why}.", rules)
    name = found.strategy if found.strategy == MORE_PASSES else f"the strategy {found.strategy!r}"
    return Advice(found.strategy, f"Try {name} next: {found.why} ({_figure(found)}).", rules)


def _figure(rule: Rule) -> str:
    """Write the figure of a rule that holds."""
    e = rule.estimate
    assert e is not None
    unit = f" {rule.unit}" if rule.unit else ""
    return (
        f"{rule.figure}: {e.value:.2f}{unit}, 95 % interval {e.low:.2f} to {e.high:.2f}, all {rule.side} {rule.limit:g}"
    )
