"""LINAS: rounds of fifty from an inner search on predictions."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import PredictorError
from hwsearch.searchers.evolutionary.evolution import Mating, evolve
from hwsearch.searchers.options import InnerEvolutionOptions, SearcherOptions
from hwsearch.searchers.predicted.models import RidgeOrSvr
from hwsearch.searchers.predicted.rounds import RoundSearcher


class LinasOptions(InnerEvolutionOptions):
    """Options of LINAS."""

    population: int = Field(
        50, ge=2, description="Size of the first sample, of the rounds and of the inner population."
    )
    inner_evaluations: int = Field(
        20_000, ge=2, description="Predicted architectures a round, at least the population; published: 20,000."
    )


class LinasSearcher(RoundSearcher):
    """LINAS, lightweight iterative search: rounds of fifty from an inner search on predictions.

    Each round fits one fresh predictor an objective, ridge or RBF support vectors by cross-validation, on all that was
    told, and runs an evolutionary search on predictions from a new uniform population; its final population is measured.
    With one objective the inner search is a genetic algorithm. Options: `LinasOptions`.

    Differences from the publication: encodings and variation work on canonical forms, so that inactive genes say
    nothing; no architecture is measured twice: known members of the final population give way to the next in rank.

    References
    ----------
    Cummings et al. 2022, "A hardware-aware framework for accelerating neural architecture search across modalities",
    arXiv 2202.12954.
    """

    name: ClassVar[str] = "linas"
    Options: ClassVar[type[SearcherOptions]] = LinasOptions

    options: LinasOptions

    def _sizes(self) -> tuple[int, int]:
        return self.options.population, self.options.population

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
            evaluations=self.options.inner_evaluations,
            mating=Mating(),
            rng=self.rng,
        )
        predicted = costs * np.array([o.sign for o in self.objectives])
        final = self._ranking(predicted, self._batch)
        chosen = final[self._is_new(rows[final])]
        rest = np.setdiff1d(np.flatnonzero(self._is_new(rows)), chosen)
        following = rest[self._ranking(predicted[rest], n)]
        return rows[np.concatenate([chosen, following])[:n]]
