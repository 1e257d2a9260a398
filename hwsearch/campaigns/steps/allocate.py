"""Rounds of a search that choose which subnet is scored on how many examples (``[search] fidelities``)."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from hwsearch._typing import FloatArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.evaluation_costs import EvaluationCosts
from hwsearch.campaigns.feasibility import infeasibility_warning
from hwsearch.campaigns.jobs.accuracy import measure_accuracy
from hwsearch.campaigns.jobs.latency import measure_latencies
from hwsearch.campaigns.jobs.verified import measure_scores
from hwsearch.campaigns.jobs.workloads import is_recalibrated
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import MeasuredSet
from hwsearch.campaigns.noise import measurement_noise
from hwsearch.campaigns.split import Split, first_examples
from hwsearch.campaigns.steps.propose import Proposals, Proposer, tell
from hwsearch.campaigns.steps.screen import completable, estimates, shift_and_error
from hwsearch.campaigns.view import View
from hwsearch.campaigns.views import views
from hwsearch.errors import PluginError
from hwsearch.objectives.names import SCORE_METRICS
from hwsearch.searchers import Searcher
from hwsearch.searchers.capabilities import AllocatesFidelities
from hwsearch.searchers.fidelities import Fidelities
from hwsearch.spaces import Architecture


class Ladder:
    """The levels of a campaign's measurements for one front: what they tell, and what they take.

    Parameters
    ----------
    campaign : Campaign
        With ``[search] fidelities``.
    view : View
        The front.
    measured : MeasuredSet
        The view's, of the search.
    known : Known
        What the store holds.
    costs : EvaluationCosts
        What measurements take.

    Attributes
    ----------
    images : list of int
        Examples of each level, ascending; the last one is complete.
    """

    def __init__(
        self, campaign: Campaign, view: View, measured: MeasuredSet, known: Known, costs: EvaluationCosts
    ) -> None:
        self._campaign, self._costs = campaign, costs
        every = len(campaign.data[Split.VALIDATION])
        self.images = [n for n in campaign.config.search.fidelities if n < every] + [every]
        self._calibration = len(campaign.data.get(Split.CALIBRATION, ()))
        places = [t.name for t in campaign.targets.values()]
        self._timed = {name: known.latency(name) for name in places}
        self._seen = {n: known.accuracy(self.split(n)) for n in self.images if n}
        self.noise = self._noise(view, measured, known)

    def split(self, images: int) -> str:
        """Name the data of a level.

        Parameters
        ----------
        images : int
            Its examples.

        Returns
        -------
        str
            A key of the campaign's data.
        """
        return Split.VALIDATION if images == self.images[-1] else first_examples(images)

    def _noise(self, view: View, measured: MeasuredSet, known: Known) -> FloatArray:
        """Return what each level may be off (levels, objectives): scores by their examples, the rest as it is measured."""
        spread = measurement_noise(view, measured, known)
        usual = [float(np.median(c[~np.isnan(c)])) if (~np.isnan(c)).any() else 0.0 for c in spread.T]
        out = np.tile(usual, (len(self.images), 1))
        column = [o.metric in SCORE_METRICS for o in view.objectives]
        for k, n in enumerate(self.images[:-1]):
            out[k, column] = shift_and_error(self._campaign, known, self.split(n))[1] if n else np.inf
        out[-1, column] = 0.0
        return out

    def fidelities(self, archs: Sequence[Architecture]) -> Fidelities:
        """Tell the levels of some subnets.

        Parameters
        ----------
        archs : sequence of Architecture
            The k subnets.

        Returns
        -------
        Fidelities
        """
        images = np.array(self.images, dtype=np.float64)
        seen = np.array([max((n for n, found in self._seen.items() if a.id in found), default=0) for a in archs])
        lacking = [[name for name, found in self._timed.items() if a.id not in found] for a in archs]
        timing = np.array([self._costs.timing(names) for names in lacking])
        held = np.array([is_recalibrated(self._campaign, a) for a in archs])
        again = np.where(held, 0.0, float(self._calibration))
        shown = np.where(images > 0, images - seen[:, None] + again[:, None], 0.0)
        seconds = timing[:, None] + self._costs.evaluation(archs, np.maximum(shown, 0.0))
        # a subnet that has been shown examples is recalibrated in this process
        after = np.where(images > 0, 0.0, self._calibration)
        rest = self._costs.evaluation(archs, np.tile(images[-1] - images + after, (len(archs), 1)))
        rest[:, -1] = 0.0
        timed = np.array([not names for names in lacking])
        been = np.where(images > 0, images <= seen[:, None], timed[:, None])
        reached = np.array([int(k[-1]) if len(k := np.flatnonzero(row)) else -1 for row in been])
        seconds = np.where(np.arange(len(images)) <= reached[:, None], np.inf, np.maximum(seconds, 1e-9))
        return Fidelities(self.noise, seconds, rest, reached)

    def round_seconds(self, subnets: int) -> float:
        """Predict what so many complete evaluations of subnets take of which nothing is known.

        Parameters
        ----------
        subnets : int
            Their number.

        Returns
        -------
        float
            Seconds, for subnets spread evenly over cost.
        """
        campaign = self._campaign
        archs = campaign.space.sample_balanced(9, np.random.default_rng(0), campaign.loaded.balanced_cost)
        shown = np.full((len(archs), 1), float(self.images[-1] + self._calibration))
        return subnets * float(self._costs.evaluation(archs, shown).mean() + self._costs.timing([*self._timed]))


def propose_fidelities(proposer: Proposer, r: int, per_round: int) -> Proposals:
    """Choose what a round measures on how many examples.

    Parameters
    ----------
    proposer : Proposer
        Of the campaign.
    r : int
        Number of the round, from 0.
    per_round : int
        Complete evaluations whose seconds the round may take, for all fronts together.

    Returns
    -------
    dict of str to dict
        By name of the front: ``archs``, genes; ``images``, examples of each, None for all; ``info`` of the tactic.
    """
    campaign = proposer.campaign
    out: Proposals = {}
    taken: set[Architecture] = set()
    known, costs = Known.read(campaign), EvaluationCosts(campaign)
    fronts, guesses = views(campaign), estimates(campaign, known)
    with campaign.progress.task(f"search {r + 1} choose", len(fronts), "devices") as task:
        notes, began = [], time.monotonic()
        for i, view in enumerate(fronts):
            measured = view.measured(known)
            if r == 0 and (doubt := infeasibility_warning(campaign, view, measured)) is not None:
                campaign.progress.warn(doubt)
            searcher = proposer.searcher(view, r, measured, known)
            tell(view, searcher, measured, known, guesses)
            ladder = Ladder(campaign, view, measured, known, costs)
            share = per_round // len(fronts) + (1 if i < per_round % len(fronts) else 0)
            begun = [a for a in completable(campaign, view, measured, known, guesses) if a not in taken]
            picks = _allocated(searcher, begun, ladder, ladder.round_seconds(share)) if share else []
            picks = [(a, level) for a, level in picks if a not in taken]
            taken.update(a for a, _ in picks)
            images = [ladder.images[level] for _, level in picks]
            out[view.name] = {
                "archs": [a.to_dict() for a, _ in picks],
                "images": [None if n == ladder.images[-1] else n for n in images],
                "info": searcher.info.to_dict(),
            }
            if searcher.info.expected_gain is not None:
                notes.append(f"{view.name} expected gain {100 * searcher.info.expected_gain:.1f} %")
            task.update(i + 1)
        task.note(" · ".join(notes))
        campaign.pace.note("propose", len(fronts), time.monotonic() - began)
    return out


def _allocated(
    searcher: Searcher, begun: Sequence[Architecture], ladder: Ladder, budget: float
) -> list[tuple[Architecture, int]]:
    if not isinstance(searcher, AllocatesFidelities):
        raise PluginError(
            f"tactic {searcher.name!r} says that it chooses what to measure on how much, but has no method for it.",
            hint="It needs allocate(archs, fidelities, budget).",
        )
    return searcher.allocate(begun, ladder.fidelities, budget)


def measure_round(campaign: Campaign, proposals: Proposals, r: int) -> None:
    """Measure what a round has chosen: first on the fewest examples, then on more, then latencies.

    Parameters
    ----------
    campaign : Campaign
        Whose round.
    proposals : dict
        By front; without ``images`` all are evaluated completely.
    r : int
        Number of the round, from 0.

    Raises
    ------
    DeviceError
        If a device is lost.
    """
    images: dict[Architecture, int | None] = {}
    for p in proposals.values():
        for genes, n in zip(p["archs"], p.get("images") or [None] * len(p["archs"]), strict=True):
            images.setdefault(campaign.space.architecture(genes), n)
    for n in sorted({n for n in images.values() if n}):
        some = [a for a, found in images.items() if found == n]
        measure_accuracy(campaign, some, split=first_examples(n), stage=f"search {r + 1} accuracy on {n}")
    complete = [a for a, found in images.items() if found is None]
    if complete or not images:
        measure_scores(campaign, complete, stage=f"search {r + 1} accuracy")
    measure_latencies(campaign, campaign.targets.values(), [*images], stage=f"search {r + 1}")
