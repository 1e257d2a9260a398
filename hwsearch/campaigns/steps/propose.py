"""Propose subnets for every front: a fresh searcher is told everything measured, and asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.feasibility import infeasibility_warning
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import MeasuredSet
from hwsearch.campaigns.noise import measurement_noise
from hwsearch.campaigns.predictions import feature_matrix
from hwsearch.campaigns.steps.screen import Estimates, completable, estimates
from hwsearch.campaigns.tactic import capabilities
from hwsearch.campaigns.tightening import tightened
from hwsearch.campaigns.view import View
from hwsearch.campaigns.views import views
from hwsearch.campaigns.warm_start import WarmStart
from hwsearch.objectives.computed import METRICS, computed_metric
from hwsearch.objectives.front import Front
from hwsearch.objectives.objective import Objective
from hwsearch.searchers import Capabilities, Searcher, create
from hwsearch.spaces import Architecture

#: proposals of one round by front: ``archs``, a list of genes, and ``info`` that the tactic gave
Proposals = dict[str, Any]


class Proposer:
    """Proposes the subnets of a search's rounds.

    Parameters
    ----------
    campaign : Campaign
        Whose fronts are searched.
    """

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self._warm_start: WarmStart | None = None

    @property
    def warm_start(self) -> WarmStart | None:
        """Predictions of what the campaigns of ``[search] warm_start`` measured; fitted when first needed."""
        c = self.campaign.config
        if self._warm_start is None and c.search.earlier_campaigns:
            loaded = self.campaign.loaded
            self._warm_start = WarmStart(loaded, c.supernet, c.search.earlier_campaigns, seed=c.search.seed)
        return self._warm_start

    def propose(self, r: int, per_round: int, *, complete: bool = False) -> Proposals:
        """Propose the subnets of a round.

        Parameters
        ----------
        r : int
            Number of the round, from 0.
        per_round : int
            How many, for all fronts together.
        complete : bool
            Whether to choose among subnets of which some metrics are known, in place of any.

        Returns
        -------
        dict of str to dict
            By name of the front: ``archs``, genes; ``info`` of the tactic, such as ``expected_gain``.
        """
        campaign = self.campaign
        out: Proposals = {}
        taken: set[Architecture] = set()
        known = Known.read(campaign)
        fronts, guesses = views(campaign), estimates(campaign, known)
        stage = f"search {r + 1} {'choose' if complete else 'propose'}"
        with campaign.progress.task(stage, len(fronts), "devices") as task:
            notes, began = [], time.monotonic()
            for i, view in enumerate(fronts):
                measured = view.measured(known)
                if r == 0 and not complete and (doubt := infeasibility_warning(campaign, view, measured)) is not None:
                    campaign.progress.warn(doubt)
                searcher = self.searcher(view, r, measured, known)
                tell(view, searcher, measured, known, guesses)
                share = per_round // len(fronts) + (1 if i < per_round % len(fronts) else 0)
                if complete:
                    choices = completable(campaign, view, measured, known, guesses)
                    asked = searcher.choose([a for a in choices if a not in taken], share)
                else:
                    asked = [a for a in searcher.ask(share) if a not in taken]
                info = searcher.info
                if not complete and len(asked) < share:  # another device proposed the same
                    asked += [a for a in searcher.ask(share) if a not in taken][: share - len(asked)]
                taken.update(asked)
                out[view.name] = {"archs": [a.to_dict() for a in asked], "info": info.to_dict()}
                if info.expected_gain is not None:
                    notes.append(f"{view.name} expected gain {100 * info.expected_gain:.1f} %")
                task.update(i + 1)
            task.note(" · ".join(notes))
            campaign.pace.note("propose", len(fronts), time.monotonic() - began)
        return out

    def searcher(self, view: View, r: int, measured: MeasuredSet, known: Known) -> Searcher:
        """Make a fresh searcher for one round of one front.

        Limits are numbers by now. What the preference aspires to and with which probability limits must be met is told to
        a tactic that has the options ``reference`` and ``confidence``; for another one it is in the limits.

        Parameters
        ----------
        view : View
            The front.
        r : int
            Number of the round, from 0.
        measured : MeasuredSet
            The view's, of the search.
        known : Known
            What the store holds.

        Returns
        -------
        Searcher
            Told nothing yet.
        """
        campaign = self.campaign
        c = campaign.config.search
        can = capabilities(campaign)
        objectives = view.resolved(measured)
        options = self._options(objectives, can)
        aspired = _aspired(view, measured, objectives)
        if can.confidence:
            chances = {o.name: o.probability for o in objectives if o.probability is not None}
            options |= {"confidence": chances} if chances else {}
        else:
            objectives = [tightened(campaign, view, measured, known, o) for o in objectives]
        if aspired and can.reference:
            options["reference"] = aspired
        elif aspired:
            objectives = [o.at_least(aspired[o.name]) if o.name in aspired else o for o in objectives]
        objectives = [replace(o, probability=None) for o in objectives]
        seed = int(np.random.default_rng([c.seed, r, *view.name.encode()]).integers(2**31))
        return create(c.tactic, campaign.space, objectives, seed=seed, **options)

    def _options(self, objectives: list[Objective], can: Capabilities) -> dict[str, Any]:
        """Return what a tactic that predicts is told of the supernet, as far as it takes it."""
        campaign = self.campaign
        c = campaign.config.search
        if not can.exact:
            return {}
        net = campaign.loaded.net
        options = {
            "features": lambda rows: feature_matrix(campaign, rows),
            "known": lambda rows: np.column_stack([*net.cost_features(rows).values()]),
            "cost": campaign.loaded.balanced_cost,
            "inner_evaluations": c.inner_evaluations,
            "exact": {
                o.name: (lambda rows, m=computed_metric(o.metric): m.values(net, rows))
                for o in objectives
                if o.metric in METRICS.names()
            },
        }
        if self.warm_start is not None:
            options["warm_start"] = self.warm_start
        return {k: v for k, v in options.items() if k in can.options()}


def _aspired(view: View, measured: MeasuredSet, objectives: Sequence[Objective]) -> dict[str, float]:
    """Return what must be reached to count, by objective; the knee is that of what has been measured."""
    prefer = view.campaign.config.search.prefer
    front = Front.of(measured.frame, objectives)
    if (prefer == "knee" and not len(front)) or (prefer == "reference" and not view.reference):
        return {}
    return front.aspiration(prefer, view.reference)


def tell(view: View, searcher: Searcher, measured: MeasuredSet, known: Known, guesses: Estimates) -> None:
    """Tell a fresh searcher everything measured and its noise.

    Parameters
    ----------
    view : View
        The front.
    searcher : Searcher
        It is told incomplete rows as well if it learns from them.
    measured : MeasuredSet
        The view's, of the search.
    known : Known
        What the store holds.
    guesses : Estimates
        Hinted to a searcher that screens.
    """
    values = measured.frame[[o.name for o in view.objectives]].to_numpy(dtype=np.float64)
    usable = ~np.isnan(values)
    rows = usable.any(axis=1) if searcher.capabilities.incomplete_rows else usable.all(axis=1)
    if rows.any():
        archs = measured.archs
        noise = measurement_noise(view, measured, known)[rows]
        searcher.tell([archs[i] for i in np.flatnonzero(rows)], values[rows], noise)
    if searcher.capabilities.screening and guesses.value:
        column = np.array([o.metric == "accuracy" for o in view.objectives])
        guessed = np.where(column, np.array([*guesses.value.values()])[:, None], np.nan)
        archs = [measured.by_id[i] for i in guesses.value]
        errors = np.array([*guesses.error.values()])[:, None]
        searcher.hint(archs, guessed, np.broadcast_to(errors, guessed.shape))
