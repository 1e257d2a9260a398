"""Each of our tactics keeps the promises of `Searcher`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.gaussian_process import GaussianProcessRegressor

from hwsearch._typing import FloatArray
from hwsearch.searchers import Searcher, create
from hwsearch.searchers.bayesian import parego
from hwsearch.searchers.predicted import models
from hwsearch.searchers.random import RandomSearcher
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.testing import SearcherConformance
from predictors import RidgePredictor


def size(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray((rows + 1).sum(axis=1) + 1.0)


def ridge(seed: int) -> RidgePredictor:
    return RidgePredictor()


@pytest.fixture(autouse=True)
def few_choices_and_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that are fitted again and again choose among two costs, not seven, and climb three steps.

    What a searcher promises does not depend on it; tests/searchers/predicted and the frozen asks have whole fits.
    """

    def climb(loss: Callable[..., Any], start: FloatArray, bounds: FloatArray) -> tuple[FloatArray, float]:
        found = minimize(loss, start, method="L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": 3})
        return found.x, found.fun

    monkeypatch.setattr(models, "COSTS", (1.0, 10.0))
    monkeypatch.setattr(parego, "GaussianProcessRegressor", partial(GaussianProcessRegressor, optimizer=climb))


class TestRandom(SearcherConformance):
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("random", space, objectives, seed)


class TestBalancedRandom(SearcherConformance):
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("random", space, objectives, seed, cost=size)


class TestNsga2(SearcherConformance):
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("nsga2", space, objectives, seed, population=10)


class TestBalancedNsga2(SearcherConformance):
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("nsga2", space, objectives, seed, population=12, cost=size)


class TestOptunaTpe(SearcherConformance):
    evaluations = 32

    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("optuna-tpe", space, objectives, seed, start=20, candidates=4)


class TestOptunaNsga2(SearcherConformance):
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("optuna-nsga2", space, objectives, seed, population=8)


class TestGuided(SearcherConformance):
    evaluations = 28

    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create(
            "guided", space, objectives, seed, start=12, inner_evaluations=200, population=20, make_predictor=ridge
        )


class TestPlumb(SearcherConformance):
    evaluations = 24

    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("plumb", space, objectives, seed, start=8, inner_evaluations=200, population=20)


class TestBalancedRandomByName(SearcherConformance):
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("balanced-random", space, objectives, seed)


class TestRegularisedEvolution(SearcherConformance):
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("regularised-evolution", space, objectives, seed, population=10, sample=3)


class TestLocalSearch(SearcherConformance):
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("local-search", space, objectives, seed, start=5)


class TestNsga3(SearcherConformance):
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("nsga3", space, objectives, seed, population=10)


class TestUNsga3(SearcherConformance):
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("unsga3", space, objectives, seed, population=10)


class TestAgeMoea(SearcherConformance):
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("age-moea", space, objectives, seed, population=10)


class TestMoead(SearcherConformance):
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("moead", space, objectives, seed, population=10, neighbours=4)


class TestCTaea(SearcherConformance):
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("ctaea", space, objectives, seed, population=10)


class TestLinas(SearcherConformance):
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("linas", space, objectives, seed, population=15, inner_evaluations=60)


class TestWeakNas(SearcherConformance):
    evaluations = 24

    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("weaknas", space, objectives, seed, top=20, pool=300, predictor="ridge-or-svr")


class TestBrpNas(SearcherConformance):
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("brp-nas", space, objectives, seed, start=10, pool=300, predictor="ridge-or-svr")


class TestBananas(SearcherConformance):
    evaluations = 24

    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("bananas", space, objectives, seed, ensemble=2, candidates=50, predictor="ridge-or-svr")


class TestParego(SearcherConformance):
    evaluations = 28

    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("parego", space, objectives, seed, start=20, inner_evaluations=40)


class TestLamoo(SearcherConformance):
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("lamoo", space, objectives, seed, leaf=4)


class TestBotorchQnehvi(SearcherConformance):
    """One round of its model a search, and short fits: a whole one takes about a second an objective."""

    evaluations = 28

    @pytest.fixture(autouse=True)
    def short_fits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A fit stops after a few of its hundreds of steps; the long form below takes them all."""
        fit = pytest.importorskip("botorch.optim.fit")
        minimize = fit.scipy_minimize
        monkeypatch.setattr(
            fit,
            "scipy_minimize",
            lambda *args, options=None, **kwargs: minimize(*args, options={"maxiter": 8}, **kwargs),
        )

    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        pytest.importorskip("botorch")
        start = 24 if space.cardinality > 200 else max(2, space.cardinality - 10)
        return create("botorch-qnehvi", space, objectives, seed, start=start, draws=2, pool=10)


@pytest.mark.slow
class TestBotorchQnehviForLong(SearcherConformance):
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        pytest.importorskip("botorch")
        return create("botorch-qnehvi", space, objectives, seed, start=20, draws=2, pool=10)


class TestOptunaNsga3(SearcherConformance):
    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("optuna-nsga3", space, objectives, seed, population=8)


class TestOptunaCmaes(SearcherConformance):
    most_objectives = 1
    flat = True

    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        pytest.importorskip("cmaes")
        return create("optuna-cmaes", space, objectives, seed)


class TestOptunaGp(SearcherConformance):
    """Only what surrounds the sampler: a fit takes about a second an architecture."""

    def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
        return create("optuna-gp", space, objectives, seed, start=1000)


class Repeating(RandomSearcher):
    """Asks what it asked before."""

    def ask(self, n: int) -> list[Architecture]:
        return self.space.sample(n, np.random.default_rng(0))


class Forgetful(RandomSearcher):
    """Loses its random state on a resume."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)
        self.rng = np.random.default_rng(self.seed)


@pytest.mark.parametrize(
    ("cls", "promise"),
    [
        (Repeating, SearcherConformance.test_asks_exactly_n_new_architectures_of_the_space),
        (Repeating, SearcherConformance.test_never_repeats_what_is_pending_or_was_told_unasked),
        (Forgetful, SearcherConformance.test_resumes_bit_for_bit_through_json),
    ],
)
def test_the_suite_catches_what_breaks_a_promise(cls: type[RandomSearcher], promise: Any) -> None:
    class Suite(SearcherConformance):
        def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
            return cls(space, objectives, seed)

    with pytest.raises(AssertionError):
        promise(Suite())
