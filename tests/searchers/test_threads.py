"""Asks do not hang on the number of threads that linear algebra has."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from hwsearch.searchers import create, find
from hwsearch.searchers.random import RandomSearcher
from hwsearch.testing.toy_spaces import small_space, values_of


def blas_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_a_proposal_is_made_with_one_thread_and_the_others_come_back() -> None:
    seen: list[list[int]] = []

    class Looking(RandomSearcher):
        def _propose(self, n: int) -> np.ndarray:
            seen.append(blas_threads())
            return super()._propose(n)

    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        Looking(small_space(), ["accuracy"]).ask(3)
        assert blas_threads() == before
    assert before and set(seen[0]) == {1}


class Watched:
    """A cost that notes how many threads BLAS has while a tactic works; it is asked for rows by those that spread over it."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def note(self, *_: object) -> None:
        self.seen |= set(blas_threads())


@pytest.mark.parametrize("call", ["ask", "tell", "front", "choose", "predict"])
def test_the_default_tactic_fits_with_one_thread_wherever_it_fits(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cholesky factors are taken in every fit; when one is, BLAS has one thread, although two are allowed outside."""
    space = small_space()
    searcher = create(
        "default",
        space,
        ["max accuracy", "latency_ms <= 100"],
        start=4,
        inner_evaluations=60,
        population=20,
        confidence={"latency_ms": 0.9},
    )
    archs = space.sample(8, np.random.default_rng(0))
    values = values_of(space, archs, 2)
    searcher.tell(archs[:6], values[:6])
    watched, exact = Watched(), np.linalg.cholesky

    def cholesky(matrix: np.ndarray) -> np.ndarray:
        watched.note()
        return exact(matrix)

    monkeypatch.setattr(np.linalg, "cholesky", cholesky)
    with threadpool_limits(2, user_api="blas"):
        assert set(blas_threads()) == {2}
        match call:
            case "ask":
                searcher.ask(2)
            case "tell":
                searcher.tell(archs[6:], values[6:])
                searcher.ask(1)
            case "front":
                searcher.front()
            case "choose":
                searcher.choose(archs, 2)
            case "predict":
                searcher.predict(archs)
        assert set(blas_threads()) == {2}
    assert watched.seen == {1}


@pytest.mark.parametrize(
    "tactic", ["plumb", "guided", "weaknas", "linas", "brp-nas", "bananas", "parego", "lamoo", "optuna-gp", "nsga2"]
)
def test_each_tactic_asks_and_hears_with_one_thread(tactic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if tactic.startswith("optuna"):
        pytest.importorskip("optuna")
        pytest.importorskip("torch")
    space, watched = small_space(), Watched()
    kind = find(tactic)
    for name in ("_propose", "_after_tell"):
        own = getattr(kind, name)

        def noted(self: object, given: object, own: object = own) -> object:
            watched.note()
            return own(self, given)  # type: ignore[operator]

        monkeypatch.setattr(kind, name, noted)
    searcher = create(tactic, space, ["max accuracy", "min latency_ms"])
    with threadpool_limits(2, user_api="blas"):
        archs = searcher.ask(2)
        searcher.tell(archs, values_of(space, archs, 2))
        assert set(blas_threads()) == {2}
    assert watched.seen == {1}


@pytest.mark.parametrize(
    "step", ["fit.fit", "report.build_report", "predict.predict_subnets"], ids=lambda step: step.partition(".")[2]
)
def test_steps_that_fit_work_with_one_thread(step: str) -> None:
    """A campaign that cannot be read ends each of them at its first line, which tells how many threads it has there."""
    module, _, name = step.partition(".")
    seen: list[int] = []

    class Unreadable:
        def __getattr__(self, name: str) -> object:
            seen.extend(blas_threads())
            raise LookupError

    run = getattr(import_module(f"hwsearch.campaigns.steps.{module}"), name)
    with threadpool_limits(2, user_api="blas"), pytest.raises(LookupError):
        run(Unreadable(), *([[], [], 0.9] if module == "predict" else []))
    assert set(seen) == {1}
