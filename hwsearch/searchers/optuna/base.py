"""Drive Optuna's samplers by the ask/tell protocol."""

from __future__ import annotations

import logging
import warnings
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray, IntArray
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.base import Searcher
from hwsearch.spaces import SearchSpace
from hwsearch.spaces.rows import RowSet

#: how often a repeated architecture is told again and asked anew before uniform sampling steps in
TRIES = 20


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's log line a study and its warnings about experimental features; restore the level afterwards.

    Yields
    ------
    None
    """
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        logger.setLevel(level)


class OptunaSearcher(Searcher):
    """Base of the tactics that Optuna's samplers drive.

    Each gene is a categorical parameter; genes are suggested in the space's order and only while active. Limits
    are Optuna constraints. When a sampler proposes an architecture that is known, it is told its values again
    and asked anew.

    Each ask builds an in-memory study from all that was told, in its order, and seeds the sampler from
    (seed, number of the ask). A restored searcher has the same record and so gives the same asks, bit for bit,
    with nothing of Optuna's own state in the file. The rebuilding costs about 0.1 ms a told architecture.

    Parameters
    ----------
    space : SearchSpace
        What can be chosen.
    objectives : iterable of Objective or str
        As of `Searcher`.
    seed : int
        All randomness comes from it.
    **options : object
        Those of the tactic.

    References
    ----------
    Akiba et al. 2019, "Optuna: a next-generation hyperparameter optimization framework", arXiv 1907.10902.
    """

    def __init__(
        self, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, **options: object
    ) -> None:
        super().__init__(space, objectives, seed, **options)
        self._asks = 0
        self._record: list[int] = []  # positions in `evaluated`, in the order in which Optuna hears of them
        self._distributions: dict[str, BaseDistribution] = {
            c.name: CategoricalDistribution(list(range(len(c.values)))) for c in space.choices
        }

    @abstractmethod
    def _sampler(self, seed: int) -> BaseSampler:
        """Make a fresh sampler."""

    def _system_attrs(self, study: optuna.Study, row: IntArray, completed: int, running: bool) -> JsonObject:
        """Say what the sampler would have noted in the trial of `row` (genes,) that follows `completed` complete ones."""
        return {}

    # ------------------------------------------------------------------ the study
    def _study(self) -> optuna.Study:
        seed = int(np.random.SeedSequence([abs(self.seed), self._asks]).generate_state(1)[0])
        with quiet():
            study = optuna.create_study(
                storage=optuna.storages.InMemoryStorage(),
                sampler=self._sampler(seed),
                directions=["maximize" if o.direction == "max" else "minimize" for o in self.objectives],
            )
        rows, values = self.rows, self.values
        completed = 0
        for i in self._record:
            study.add_trial(self._trial(study, rows[i], values[i], completed))
            completed += not np.isnan(values[i]).any()
        for row in self.pending_rows:
            study.add_trial(self._trial(study, row, None, completed))
        return study

    def _trial(self, study: optuna.Study, row: IntArray, values: FloatArray | None, completed: int) -> FrozenTrial:
        """Make a trial as Optuna would have kept it; without values it is still running."""
        active = [i for i in range(len(row)) if row[i] >= 0]
        names = self.space.names
        state = TrialState.RUNNING if values is None else TrialState.COMPLETE
        if values is not None and np.isnan(values).any():
            state = TrialState.FAIL
        complete = values is not None and state is TrialState.COMPLETE
        return create_trial(
            state=state,
            values=[float(v) for v in values] if complete and values is not None else None,
            params={names[i]: int(row[i]) for i in active},
            distributions={names[i]: self._distributions[names[i]] for i in active},
            system_attrs=self._system_attrs(study, row, completed, values is None)
            if state is not TrialState.FAIL
            else {},
            constraints=self._constraints(values) if complete and values is not None else None,
        )

    def _constraints(self, values: FloatArray) -> dict[str, float] | None:
        """Compute what Optuna calls constraints: positive where a limit is exceeded; None without limits."""
        if all(o.limit is None for o in self.objectives):
            return None
        return {"limits": float(self.violation(values[None, :])[0])}

    # ------------------------------------------------------------------ ask and tell
    def _propose(self, n: int) -> IntArray:
        study = self._study()
        self._asks += 1
        found = RowSet(self.space.sizes)
        values = self.values
        for _ in range(n + TRIES):
            trial = study.ask()
            row = self.space.project(self._suggest(trial)[None, :], self.rng)
            position = int(self._told.find(row)[0])
            if position >= 0 and not np.isnan(values[position]).any():
                constraints = self._constraints(values[position])
                for name, value in (constraints or {}).items():
                    trial.set_constraint(name, value)
                study.tell(trial, [float(v) for v in values[position]])
                self._record.append(position)
            elif position >= 0 or self._pending.has(row)[0] or found.has(row)[0]:
                study.tell(trial, state=TrialState.FAIL)
            else:
                found.add(row)
                if len(found) == n:
                    break
        return found.rows.astype(np.int64)

    def _suggest(self, trial: Trial) -> IntArray:
        """Suggest one row (genes,), asked gene by gene; what the row switches off is not asked."""
        row: list[int] = []
        for i, choice in enumerate(self.space.choices):
            if not self.space.conditions.is_active(i, row):
                row.append(-1)
                continue
            distribution = self._distributions[choice.name]
            if isinstance(distribution, IntDistribution):
                row.append(trial.suggest_int(choice.name, distribution.low, distribution.high))
            else:
                row.append(trial.suggest_categorical(choice.name, list(range(len(choice.values)))))
        return np.array(row, dtype=np.int64)

    def _after_tell(self, indices: list[int]) -> None:
        known = set(self._record)
        self._record += [i for i in dict.fromkeys(indices) if i not in known]

    def _extra_state(self) -> JsonObject:
        return {"asks": self._asks, "record": self._record}

    def _load_extra_state(self, extra: JsonObject) -> None:
        self._asks = int(extra["asks"])
        self._record = [int(i) for i in extra["record"]]
