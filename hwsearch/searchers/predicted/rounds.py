"""Repeat rounds: fit on all that was told, rank what is not, measure the best; the base of predictor-guided rivals."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from hwsearch._json import JsonObject
from hwsearch._typing import BoolArray, FloatArray, IntArray
from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.base import Searcher
from hwsearch.searchers.evolutionary.evolution import rank_and_crowding
from hwsearch.searchers.info import AskInfo
from hwsearch.searchers.predicted.models import make_model
from hwsearch.spaces import SearchSpace
from hwsearch.spaces.rows import RowSet, distinct

if TYPE_CHECKING:
    from predictors import Regressor  # loads scikit-learn

#: spaces up to this size are ranked whole
WHOLE = 50_000
#: how often a pool is drawn anew until it has its size
DRAWS = 200


class RoundSearcher(Searcher):
    """Base of tactics that measure a uniform first sample, then rounds chosen from predictions.

    A round is chosen at once and handed out over as many asks as it takes; an ask that wants more than is left gets a
    larger next round instead of a second fit on the same values. The rounds begin when two measurements are complete.

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
    """

    def __init__(
        self, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, **options: object
    ) -> None:
        super().__init__(space, objectives, seed, **options)
        self._start, self._batch = self._sizes()
        self._plan: list[list[int]] | None = None  # what is left of the round
        self._round = 0

    @abstractmethod
    def _sizes(self) -> tuple[int, int]:
        """Return the sizes of the first sample and of a round."""

    @abstractmethod
    def _next_round(self, n: int) -> IntArray:
        """Choose at least n rows, if there are so many, none of which has been told or is pending."""

    def _first_sample(self, n: int) -> IntArray:
        return self.space.sample_array(n, self.rng)

    def _propose(self, n: int) -> IntArray:
        if self._plan is None:
            self._plan = self._first_sample(max(0, self._start - len(self._told))).tolist()
        planned = np.array(self._plan, dtype=np.int64).reshape(-1, len(self.space.choices))
        left = RowSet(self.space.sizes)
        left.add(planned[self._is_new(planned)])
        self._plan = left.rows.tolist()
        rows = self._plan[:n]
        if len(rows) < n and int((~np.isnan(self.values).any(axis=1)).sum()) >= 2:
            self._round += 1
            taken = {tuple(row) for row in rows}
            round_ = self._next_round(max(self._batch, n - len(rows)) + len(rows)).tolist()
            self._plan = [*rows, *(row for row in round_ if tuple(row) not in taken)]
            rows = self._plan[:n]
        self._plan = self._plan[n:]
        self.info = AskInfo(round=self._round, told=len(self._told))
        return np.array(rows, dtype=np.int64).reshape(-1, len(self.space.choices))

    # ------------------------------------------------------------------ parts that subclasses share
    def _is_new(self, rows: IntArray) -> BoolArray:
        """Tell which rows (n, genes) have neither been told nor are pending."""
        return ~self.is_known_array(rows)

    def _seed(self) -> int:
        return int(self.rng.integers(2**31))

    def _ranking(self, predicted: FloatArray, n: int) -> IntArray:
        """Rank: positions of the n best predictions (k, m), best first, by non-domination rank, then crowding distance.

        Limits rank first. With one objective this is the order of its values.
        """
        costs, violation = self.costs(predicted), self.violation(predicted)
        if costs.shape[1] == 1:
            return np.asarray(np.lexsort((costs[:, 0], violation))[:n], dtype=np.int64)
        rank, crowding = rank_and_crowding(costs, violation, n)
        return np.asarray(np.lexsort((-crowding, rank))[:n], dtype=np.int64)

    def _drawn(self, n: int, accept: Callable[[IntArray], BoolArray] | None, rng: np.random.Generator) -> IntArray:
        """Draw n uniform, distinct rows that `accept` takes, fewer where there are no more; all of a small space.

        Raises SearchError when none is accepted.
        """
        if self.space.cardinality <= max(n, WHOLE):
            rows = self.space.enumerate_array()
            rows = rows if accept is None else rows[accept(rows)]
        else:
            rows = np.empty((0, len(self.space.choices)), dtype=np.int64)
            for _ in range(DRAWS):
                more = self.space.sample_array(n, rng)
                rows = np.concatenate([rows, more if accept is None else more[accept(more)]])
                rows = distinct(rows)[:n]
                if len(rows) == n:
                    break
        if not len(rows):
            raise SearchError("no architecture that was drawn lies within the band.", hint="Widen the band.")
        return rows

    # ------------------------------------------------------------------ state
    def _extra_state(self) -> JsonObject:
        return {"plan": self._plan, "round": self._round}

    def _load_extra_state(self, extra: JsonObject) -> None:
        self._plan, self._round = extra["plan"], int(extra["round"])


class Models:
    """One model an objective, fitted on standardised values of the complete rows among those told.

    Parameters
    ----------
    searcher : Searcher
        Whose told rows are fitted.
    kind : str
        See `make_model`.
    seed : int
        Of the first member; the others count on from it.
    size : int
        Members of the ensemble: models of all rows with different seeds.
    """

    def __init__(self, searcher: Searcher, kind: str, seed: int, size: int = 1) -> None:
        complete = ~np.isnan(searcher.values).any(axis=1)
        self._encode = searcher.space.encode_array
        x, y = self._encode(searcher.rows[complete]), searcher.values[complete]
        self._mean, spread = y.mean(axis=0), y.std(axis=0)
        self._scale = np.where(spread > 0, spread, 1.0)
        self._members: list[list[Regressor]] = []
        for member in range(size):
            fitted = []
            for column in ((y - self._mean) / self._scale).T:
                model = make_model(kind, seed + member)
                model.fit(x, column)
                fitted.append(model)
            self._members.append(fitted)

    def predict(self, rows: IntArray) -> FloatArray:
        """Predict objectives by the mean of the members.

        Parameters
        ----------
        rows : ndarray (n, genes)
            Canonical rows.

        Returns
        -------
        ndarray (n, m)
            In natural units.
        """
        return np.asarray(self.members(rows).mean(axis=0))

    def members(self, rows: IntArray) -> FloatArray:
        """Predict objectives by each member.

        Parameters
        ----------
        rows : ndarray (n, genes)
            Canonical rows.

        Returns
        -------
        ndarray (size, n, m)
            In natural units.
        """
        x = self._encode(rows)
        found = [[np.asarray(model.predict(x), dtype=np.float64) for model in fitted] for fitted in self._members]
        return np.moveaxis(np.array(found), 1, 2) * self._scale + self._mean
