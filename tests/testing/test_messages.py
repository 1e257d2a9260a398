"""The suites say in plain words what is wrong with a plug-in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn

from hwsearch._typing import FloatArray, IntArray
from hwsearch.devices import Device, Runtime
from hwsearch.errors import SearchError
from hwsearch.objectives import ComputedMetric
from hwsearch.searchers import Searcher
from hwsearch.spaces import Architecture, Choice, SearchSpace
from hwsearch.supernets.base import Supernet
from hwsearch.testing import (
    ObjectiveConformance,
    PredictorConformance,
    RuntimeConformance,
    SearcherConformance,
    StrategyConformance,
    SupernetConformance,
)
from hwsearch.training import Recipe, Run, Strategy
from hwsearch.training.parts.draw import Draw
from hwsearch.training.parts.moment import Moment
from hwsearch.training.parts.sampler import SubnetSampler
from predictors import BasePredictor, PredictorError

SPACE = SearchSpace("messages", [Choice("depth", (1, 2, 3)), Choice("width", (16, 24, 32, 48))])


def said(check: Callable[[], object], error: type[BaseException] = AssertionError) -> str:
    with pytest.raises(error) as caught:
        check()
    return str(caught.value)


# ---------------------------------------------------------------------- objectives
def test_an_objective_that_is_constant() -> None:
    suite = ObjectiveConformance()
    suite.metric = ComputedMetric("one", "ones", "min", lambda net, rows: np.ones(len(rows)))  # type: ignore[misc]
    assert "same value" in said(suite.test_gives_one_finite_number_an_architecture)


# ---------------------------------------------------------------------- tactics
class Wrong(Searcher):
    name = "wrong"

    def __init__(self, answer: Callable[[Searcher, int], Any], extra: Any = None) -> None:
        super().__init__(SPACE, ["max accuracy", "min latency_ms"], 0)
        self.answer, self.extra = answer, extra

    def _propose(self, n: int) -> IntArray:
        return self.answer(self, n)  # type: ignore[no-any-return]

    def _extra_state(self) -> dict[str, Any]:
        return {} if self.extra is None else self.extra  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda s, n: None, r"_propose of tactic 'wrong' must return rows.*got None"),
        (lambda s, n: s.space.sample(n, s.rng), r"_propose of tactic 'wrong'.*got architectures.*to_array"),
        (lambda s, n: s.space.sample_array(n, s.rng) * 1.0, r"_propose of tactic 'wrong'.*type float64"),
        (lambda s, n: s.space.sample_array(n, s.rng)[:, :1], r"_propose of tactic 'wrong'.*shape \(3, 1\)"),
    ],
)
def test_a_tactic_that_proposes_something_else(answer: Callable[[Searcher, int], Any], words: str) -> None:
    with pytest.raises(SearchError, match=words):
        Wrong(answer).ask(3)


def test_a_tactic_whose_state_is_not_json() -> None:
    class Suite(SearcherConformance):
        def make(self, space: SearchSpace, objectives: Sequence[str], seed: int) -> Searcher:
            return Wrong(lambda s, n: s.space.sample_array(n, s.rng), {"weights": np.ones(3)})

        def large(self) -> SearchSpace:
            return SPACE

    words = said(Suite().test_resumes_bit_for_bit_through_json, pytest.fail.Exception)
    assert "_extra_state()['weights'] is ndarray" in words and "tolist()" in words


# ---------------------------------------------------------------------- strategies
class Draws(SubnetSampler):
    kind: str

    def sample(self, now: Moment, rng: np.random.Generator) -> list[Draw]:
        arch = self._run.space.smallest()
        return {
            "nothing": [],
            "pupil": [Draw(arch, role="student")],
            "zero": [Draw(arch, scale=0.0)],
            "foreign": [Draw(SPACE.smallest())],
        }[self.kind]


class Drawing(Strategy):
    kind: str

    def recipe(self, run: Run) -> Recipe:
        return Recipe(Draws(kind=self.kind))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("nothing", "must draw at least one subnet"),
        ("pupil", "students need a teacher"),
        ("zero", "scales must be above 0"),
        ("foreign", "not of the space"),
    ],
)
def test_a_strategy_that_draws_something_else(kind: str, words: str) -> None:
    class Suite(StrategyConformance):
        def make(self) -> Strategy:
            return Drawing(kind=kind)

    assert words in said(Suite().test_subnets_are_of_the_space_and_a_teacher_comes_first)


def test_a_strategy_that_shares_its_parts() -> None:
    shared = Recipe(Draws(kind="zero"))

    class Shares(Strategy):
        def recipe(self, run: Run) -> Recipe:
            return shared

    class Suite(StrategyConformance):
        def make(self) -> Strategy:
            return Shares()

    assert "make a fresh schedule" in said(Suite().test_parts_are_fresh_at_each_call)


# ---------------------------------------------------------------------- runtimes
class Session:
    def time(self, runs: int) -> float:
        return 1.0


class Loads:
    form = "onnx"

    def __init__(self, device: Device) -> None:
        self.device = device

    def load(self, workload: object) -> Session:
        return Session()

    def verify(self, workload: object) -> dict[str, int]:
        return {"here": 1}


class RuntimeSuite(RuntimeConformance):
    def device(self) -> Device:
        return Device("mine", "loads")

    def make(self, device: Device) -> Runtime:
        return Loads(device)  # type: ignore[return-value]


def test_a_runtime_that_takes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    suite, failed = RuntimeSuite(), pytest.fail.Exception
    assert "a Session, has no method `close`" in said(suite.test_times_as_many_runs_as_asked_for)
    monkeypatch.setattr(Session, "close", lambda self: None, raising=False)
    assert "must return a list of milliseconds, got float" in said(suite.test_times_as_many_runs_as_asked_for)
    assert "the runtime took {'options': {'no-such-option': 1}}" in said(suite.test_refuses_bad_settings, failed)
    assert "not_finite() return None" in said(suite.test_outputs_that_are_not_finite_fail_the_measurement, failed)
    assert "does not exist" in said(suite.test_a_workload_that_cannot_run_is_refused_in_one_line, failed)


# ---------------------------------------------------------------------- predictors
def predictor(**methods: Any) -> BasePredictor:
    def fit(self: Any, X: Any, y: Any) -> None:
        self.m_, self.residuals_ = float(y.mean()), y - y.mean()

    given = {
        "_learned": ("m_",),
        "_fit": fit,
        "_mean": lambda self, X: np.full(len(X), self.m_),
        "_held_out": lambda self, X: (np.zeros((len(X), len(self.residuals_))), np.arange(len(self.residuals_))),
        **methods,
    }
    return type("Mine", (BasePredictor,), given)()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("methods", "words"),
    [
        ({"_fit": lambda self, X, y: None}, "_fit of Mine has not set residuals_, m_"),
        ({"_mean": lambda self, X: np.ones((len(X), 1))}, r"_mean of Mine must return shape \(2,\).*got \(2, 1\)"),
        ({"_held_out": lambda self, X: None}, "_held_out of Mine must return two arrays, got NoneType"),
        ({"_held_out": lambda self, X: (np.ones(2), np.ones(2))}, "_held_out of Mine must return predictions"),
    ],
)
def test_a_predictor_that_learns_something_else(methods: dict[str, Any], words: str) -> None:
    data = PredictorConformance.data(PredictorConformance())  # type: ignore[abstract]
    predictor().fit(*data)
    with pytest.raises(PredictorError, match=words):
        predictor(**methods).fit(*data)


# ---------------------------------------------------------------------- supernets
class TwoGenes(Supernet):
    """A linear layer with an elastic number of outputs, and a gene that nothing asks for."""

    def __init__(self, macs: float = 4.0) -> None:
        super().__init__()
        self.space = SearchSpace("two-genes", [Choice("width", (1, 2)), Choice("idle", (1, 2))])
        self.layer, self.macs_each = nn.Linear(4, 2, bias=False), macs
        self.activate(self.space.largest())

    def activate(self, arch: Architecture) -> None:
        self.arch = arch

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.layer.weight[: self.arch.integer("width")])

    def subnet(self, arch: Architecture) -> nn.Module:
        layer = nn.Linear(4, arch.integer("width"), bias=False)
        layer.load_state_dict({"weight": self.layer.weight[: layer.out_features]})
        return layer

    def input_shape(self, arch: Architecture) -> tuple[int, ...]:
        return (4,)

    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        width = rows[:, 0] + 1.0
        return {"macs": self.macs_each * width, "params": 4 * width} if self.macs_each else {"width": width}


class SupernetSuite(SupernetConformance):
    def make(self) -> Supernet:
        return TwoGenes()


def test_a_supernet_with_a_gene_that_changes_nothing() -> None:
    words = said(lambda: SupernetSuite().test_genes_without_effect_are_declared_so(TwoGenes()))
    assert "gene 'idle' changes nothing in the smallest subnet" in words and "when=When(...)" in words


def test_a_supernet_that_counts_wrongly_or_not_at_all() -> None:
    suite = SupernetSuite()
    suite.test_costs_are_those_that_torch_counts(TwoGenes())
    words = said(lambda: suite.test_costs_are_those_that_torch_counts(TwoGenes(macs=5.0)))
    assert "says 5 macs of {'width': 1, 'idle': 1}, but torch counts 4" in words
    assert "has no 'macs'" in said(lambda: suite.test_costs_are_those_that_torch_counts(TwoGenes(macs=0.0)))
