"""The default tactic, PLUMB: predicted limits, uncertainty, measured batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from typing_extensions import override

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SearchError
from hwsearch.objectives.objective import signs
from hwsearch.objectives.pareto import cost_hypervolume
from hwsearch.searchers.arguments import natural
from hwsearch.searchers.bayesian.candidates import SHORTLIST
from hwsearch.searchers.bayesian.fidelity import allocate
from hwsearch.searchers.bayesian.planning import plan_first_sample
from hwsearch.searchers.bayesian.posterior import EncodedRows
from hwsearch.searchers.bayesian.posterior_searcher import PosteriorSearcher
from hwsearch.searchers.capabilities import Capabilities
from hwsearch.searchers.evolutionary.evolution import leading, rank_and_crowding, row_keys
from hwsearch.searchers.fidelities import Fidelities
from hwsearch.searchers.gain import expected_batch, greedy_batch, search_reference
from hwsearch.searchers.info import AskInfo
from hwsearch.searchers.threads import one_blas_thread
from hwsearch.spaces import Architecture
from hwsearch.spaces.rows import distinct

#: measured architectures with which candidates are compared
COMPARED = 150
#: how many times as many candidates as complete measurements would take are considered for lower levels
DEEPER = 4


class PlumbSearcher(PosteriorSearcher):
    """Bayesian multi-objective search with structured Gaussian processes; the default tactic.

    The first sample spreads over cost, both extremes included, and among architectures of like cost takes those that
    tell most about the rest (largest prior variance given the sample so far). Then each ask

    - fits a Gaussian process an objective, whose kernel is a sum of parts: effects of each gene, alike at neighbouring
      places or the same in all, of pairs of genes in a slot, of counts, of what is known beforehand, and curved ones;
      weights, noise and a warp of the quantity are found from the measurements (`predictors.kernel`, `posterior`, `warp`);
    - seeks candidates by evolution on the posterior's mean and on an optimistic bound, and among the front's neighbours
      (`candidates`);
    - takes, one by one, those with the largest expected joint hypervolume improvement over joint samples of the
      posterior, in which the measured ones are uncertain, too (`gain`).

    After an ask, `info` holds the round, the inner evaluations and the expected gain.

    Parameters
    ----------
    space : SearchSpace
        What can be chosen.
    objectives : iterable of Objective or str
        As of `Searcher`.
    seed : int
        All randomness comes from it.
    **options : object
        Those of `PlumbOptions`.

    Attributes
    ----------
    inner_cpu_seconds : float
        Processor time of the last ask's inner evaluations, evolution included, in seconds.

    Raises
    ------
    SearchError
        For options that are not valid, and if `exact` or `confidence` names what is not an objective.

    References
    ----------
    Related: Daulton, Balandat, Bakshy 2021, "Parallel Bayesian optimization of multiple noisy objectives with expected
    hypervolume improvement", arXiv 2105.08195.

    Examples
    --------
    >>> from hwsearch.spaces import Choice, SearchSpace
    >>> space = SearchSpace("tiny", [Choice(f"w[{i}]", (1, 2, 3)) for i in range(3)])
    >>> searcher = PlumbSearcher(space, ["max accuracy", "min latency_ms"], seed=0, start=6)
    >>> for _ in range(2):
    ...     rows = searcher.ask_array(6)
    ...     searcher.tell_array(rows, [[70 + row.sum() ** 0.5, 1 + row.sum()] for row in rows])
    >>> searcher.info.round
    1
    """

    name: ClassVar[str] = "plumb"
    capabilities: ClassVar[Capabilities] = Capabilities(
        incomplete_rows=True,
        predicted_front=True,
        screening=True,
        fidelities=True,
        known=True,
        cost=True,
        exact=True,
        inner_evaluations=True,
        warm_start=True,
        confidence=True,
    )

    # ------------------------------------------------------------------ ask
    def _propose(self, n: int) -> IntArray:
        if self._plan is None:
            missing = max(0, self._start - self._informed())
            self._plan = self._first_sample()[:missing].tolist() if missing else []
        plan = np.array(self._plan, dtype=np.int64).reshape(-1, len(self.space.choices))
        plan = plan[~self.is_known_array(plan)]
        first, self._plan = plan[:n], plan[n:].tolist()
        if len(first) == n:
            self.info = AskInfo(told=len(self.values))
            return first
        if self._informed() < self._fewest():
            self.info = AskInfo(told=len(self.values))
            more = self.space.sample_balanced_array(n - len(first), self.rng, self._cost)
            return np.concatenate([first, more])
        return np.concatenate([first, self._chosen(n - len(first), first)])

    def _first_sample(self) -> IntArray:
        """Draw `start` rows (fewer of a smaller space), the extremes first."""
        whole = self._search.everything() if self._start > 2 else None
        kernel, rows = self._posterior.kernel, None if whole is None else whole[0]
        return plan_first_sample(self.space, kernel, self._cost, self._start, self.rng, rows)

    def _chosen(self, n: int, also: IntArray) -> IntArray:
        """Choose up to n new rows; `also` (k, genes) are part of the same batch already."""
        self._learn()
        busy = np.concatenate([self.pending_rows, also])
        clock = time.process_time()
        candidates, used = self._search.find(busy, self._judged())
        self.inner_cpu_seconds = time.process_time() - clock
        return self._best_of(candidates, busy, n, used)

    def _best_of(self, candidates: IntArray, busy: IntArray, n: int, used: int) -> IntArray:
        """Choose up to n of the candidates; used : how many architectures were predicted to find these."""
        self._round += 1
        reference = search_reference(self, self._judged())
        if self._partly():
            picks, gains = self._mean_batch(candidates, busy, n, reference)
        else:
            picks, gains = self._batch(candidates, busy, n, reference)
        complete = self._complete() & (self.violation(self.values) == 0)
        volume = cost_hypervolume(self.costs(self.values[complete]), reference)
        self.info = AskInfo(
            round=self._round,
            told=len(self.values),
            inner_evaluations=used,
            expected_gain=sum(gains) / volume if volume > 0 else None,
        )
        return candidates[picks]

    def _batch(
        self, candidates: IntArray, busy: IntArray, n: int, reference: FloatArray, seconds: FloatArray | None = None
    ) -> tuple[list[int], list[float]]:
        """Choose the positions of up to n candidates with the largest joint expected improvement, and each one's share of it.

        seconds : (k,) what each takes, where the improvement per second decides
        """
        if not len(candidates):
            return [], []
        complete = np.flatnonzero(self._complete())
        costs, violation = self.costs(self.values[complete]), self.violation(self.values[complete])
        best = leading(costs, violation, COMPARED)
        good = complete[best[rank_and_crowding(costs[best], violation[best])[0] <= 1]]
        there = np.concatenate([busy, self.rows_at(good)])
        samples = self._posterior.samples(np.concatenate([candidates, there]), self._samples, self.rng)
        count, total, objectives = samples.shape
        violation = self.violation((samples * signs(self.objectives)).reshape(-1, objectives)).reshape(count, total)
        samples[violation > 0] = np.inf  # a sample that exceeds a limit improves nothing
        picks, gains = expected_batch(
            samples[:, : len(candidates)],
            samples[:, len(candidates) :],
            reference,
            n,
            self._met(candidates),
            seconds,
        )
        # without an improvement: those that come nearest to meeting the limits, and of these the best predicted
        spare = np.argsort(violation[:, : len(candidates)].mean(axis=0), kind="stable")
        taken = set(picks)
        picks += [int(k) for k in spare if k not in taken][: n - len(picks)]
        return picks, gains

    def _mean_batch(
        self, candidates: IntArray, busy: IntArray, n: int, reference: FloatArray
    ) -> tuple[list[int], list[float]]:
        """Choose as `_batch` does, by the posterior mean: a spread over its front, where nearly nothing is complete."""
        there = np.concatenate([busy, self.rows_at(np.flatnonzero(self._complete()))])
        costs, front = (self._posterior.mean(EncodedRows(self._posterior, rows)) for rows in (candidates, there))
        violation = self.violation(costs * signs(self.objectives))
        allowed = (violation == 0) & self._met(candidates)
        picks, gains = greedy_batch(costs, front, reference, n, allowed)
        taken = set(picks)
        picks += [k for k in leading(costs, violation, len(costs)).tolist() if k not in taken][: n - len(picks)]
        return picks, gains

    # ------------------------------------------------------------------ screening
    @override
    @one_blas_thread()
    def choose(self, archs: Sequence[Architecture], n: int) -> list[Architecture]:
        """Choose which architectures to measure, or to complete, next: by joint expected improvement.

        For candidates of which parts are known: one objective was told and the others are NaN, or something was hinted.
        Left out are those whose values are all told, and those that failed: told without any value, and not hinted.
        Until as much is complete as a prediction takes, half of `start`, the first n come back. Nothing is noted by it:
        tell what was measured before choosing or asking again.

        Parameters
        ----------
        archs : sequence of Architecture
            The candidates.
        n : int
            How many to choose.

        Returns
        -------
        list of Architecture
            n of them, best first; fewer only where no more are left.

        Raises
        ------
        SearchError
            If n is not a whole number, 0 or more.
        SpaceError
            For an architecture of another space.
        """
        n = natural(n, "the number of architectures to choose")
        rows = self._completable(archs)
        if not n or not len(rows):
            self.info = AskInfo(round=self._round, told=len(self.values))
            return []
        if int(self._complete().sum()) < self._fewest():
            self.info = AskInfo(told=len(self.values))
            return self.space.from_array(rows[:n])
        self._learn()
        busy = self.pending_rows
        busy = busy[~np.isin(row_keys(busy), row_keys(rows))]
        promising = self._search.promising(rows, max(n, SHORTLIST // 2))
        return self.space.from_array(self._best_of(promising, busy, n, len(rows)))

    def _completable(self, archs: Sequence[Architecture]) -> IntArray:
        """Return the distinct rows of which something is missing, without those that failed."""
        rows = distinct(self._checked(self.space.to_array(list(archs)))).astype(np.int64)
        lacking = np.isnan(self.values[:, [o.name not in self._exact for o in self.objectives]])
        failed = lacking.all(axis=1) & ~self._hinted.has(self.rows)
        return rows[~np.isin(self._told.find(rows), np.flatnonzero(~lacking.any(axis=1) | failed))]

    @one_blas_thread()
    def allocate(
        self, archs: Sequence[Architecture], fidelities: Callable[[Sequence[Architecture]], Fidelities], budget: float
    ) -> list[tuple[Architecture, int]]:
        """Choose which architectures to measure on how much: by the expected gain of the front per second.

        See `hwsearch.searchers.bayesian.fidelity`. Candidates are those given, as of `choose`, and what an ask would compare.
        Until as much is complete as a prediction takes, those given come first, then others, all to be measured completely.
        Nothing is noted by it but that it was asked: `tell` what was measured, and `hint` what a lower level told.

        Parameters
        ----------
        archs : sequence of Architecture
            Of which something is known.
        fidelities : callable
            Any k architectures to what their levels tell and take.
        budget : float
            Seconds to be spent; the last choice may exceed them by half of what it takes, the first by all.

        Returns
        -------
        list of tuple of Architecture and int
            The chosen, each once, and their level; the most gain per second first.

        Raises
        ------
        SearchError
            If the budget is not positive.
        SpaceError
            For an architecture of another space.
        """
        if not budget > 0.0:
            raise SearchError(f"the budget of a round must be positive, got {budget!r} s.")
        begun, busy = self._completable(archs), self.pending_rows
        busy = busy[~np.isin(row_keys(busy), row_keys(begun))]
        if int(self._complete().sum()) < 4:
            more = self.space.sample_balanced_array(4 * self._start, self.rng, self._cost)
            candidates = distinct(np.concatenate([begun, more[~self.is_known_array(more)]]))
            self.info = AskInfo(told=len(self.values))
            every = self.space.from_array(candidates)
            seconds = fidelities(every).seconds[:, -1]
            spent = np.cumsum(seconds) - seconds
            return [(arch, -1) for arch, before in zip(every, spent.tolist(), strict=True) if before < budget]
        self._learn()
        found, used = self._search.find(busy, self._judged())
        candidates = distinct(np.concatenate([self._search.promising(begun, SHORTLIST // 2), found]))
        every = self.space.from_array(candidates)
        levels, sign = fidelities(every), signs(self.objectives)
        seconds, reference = levels.seconds[:, -1], search_reference(self, self._judged())
        n = max(1, int(np.ceil(budget / float(np.median(seconds)))))
        picks, gains = self._batch(candidates, busy, DEEPER * n, reference, seconds)
        self._round += 1
        complete = np.flatnonzero(self._complete())
        front = self._posterior.mean(EncodedRows(self._posterior, self.rows_at(complete)))
        front = front[self.violation(front * sign) == 0]
        within = np.cumsum(seconds[picks]) - seconds[picks] < budget
        last = min(int(within.sum()), len(gains)) - 1  # of those that gain
        chosen = [(int(k), len(levels.noise) - 1) for k in np.array(picks)[within]]
        if last >= 0:
            picks = picks[: len(gains)]
            some = EncodedRows(self._posterior, candidates[picks])
            price = gains[last] / float(seconds[picks[last]])
            parts = Fidelities(levels.noise, levels.seconds[picks], levels.rest[picks], levels.reached[picks])
            on_levels = allocate(
                self._posterior.beliefs(some),
                front,
                reference,
                parts,
                budget,
                price,
                lambda costs: self.violation(costs * sign) == 0,
            )
            chosen = [(picks[k], level) for k, level in on_levels]
        volume = cost_hypervolume(front, reference)
        expected = sum(gains[: last + 1]) / volume if volume > 0 else None
        self.info = AskInfo(self._round, len(self.values), inner_evaluations=used, expected_gain=expected)
        return [(every[place], level) for place, level in chosen]
