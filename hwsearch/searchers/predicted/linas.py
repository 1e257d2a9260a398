"""LINAS: rounds of fifty from an inner search on predictions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import PredictorError, SearchError
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.evolutionary.evolution import Mating, evolve
from hwsearch.searchers.predicted.models import RidgeOrSvr
from hwsearch.searchers.predicted.rounds import RoundSearcher
from hwsearch.spaces import SearchSpace


class LinasSearcher(RoundSearcher):
    """Lightweight iterative search (Cummings et al. 2022, arXiv 2202.12954).

    Each round fits one fresh predictor an objective, ridge or RBF support vectors by cross-validation, on all that was
    told, and runs an evolutionary search on predictions from a new uniform population; its final population is measured.
    With one objective the inner search is a genetic algorithm.

    population : size of the first sample, of the rounds, and of the inner population
    inner_evaluations : predicted architectures a round

    Differences from the publication: encodings and variation work on canonical forms, so that switched-off genes say
    nothing; no architecture is measured twice: known members of the final population give way to the next in rank.
    """

    name: ClassVar[str] = "linas"

    def __init__(
        self,
        space: SearchSpace,
        objectives: Iterable[Objective | str],
        seed: int = 0,
        *,
        population: int = 50,
        inner_evaluations: int = 20_000,
    ) -> None:
        if population < 2:
            raise SearchError(f"a population of {population} cannot evolve.", hint="Use at least 2.")
        super().__init__(space, objectives, seed, population, population)
        self.options = {"population": population, "inner_evaluations": inner_evaluations}
        if inner_evaluations < population:
            raise SearchError(
                f"inner_evaluations={inner_evaluations} is less than population={population}.",
                hint="The published number is 20000.",
            )
        self._evaluations = inner_evaluations

    def _next_round(self, n: int) -> IntArray:
        complete = ~np.isnan(self.values).any(axis=1)
        x, y = self.space.encode_array(self.rows[complete]), self.values[complete]
        models = []
        for objective, column in zip(self.objectives, y.T, strict=True):
            model = RidgeOrSvr(self._seed())
            try:
                model.fit(x, column)
            except (ValueError, np.linalg.LinAlgError) as error:
                raise PredictorError(f"{objective.name!r} cannot be fitted on {len(x)} rows: {error}") from error
            models.append(model)

        def score(rows: IntArray) -> tuple[FloatArray, FloatArray]:
            features = self.space.encode_array(rows)
            predicted = np.stack([model.predict(features) for model in models], axis=1)
            return self.costs(predicted), self.violation(predicted)

        rows, costs, _ = evolve(
            self.space,
            score,
            self.space.sample_array(self._batch, self.rng),
            population=self._batch,
            evaluations=self._evaluations,
            mating=Mating(),
            rng=self.rng,
        )
        predicted = costs * np.array([o.sign for o in self.objectives])
        final = self._ranking(predicted, self._batch)
        chosen = final[self._is_new(rows[final])]
        rest = np.setdiff1d(np.flatnonzero(self._is_new(rows)), chosen)
        following = rest[self._ranking(predicted[rest], n)]
        return rows[np.concatenate([chosen, following])[:n]]
