"""Optuna behind the protocol: what the samplers hear, conditional genes, the user's logging."""

from __future__ import annotations

import json
import logging
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from hwsearch.errors import SearchError
from hwsearch.objectives.pareto import hypervolume, reference_point
from hwsearch.searchers import create
from hwsearch.searchers.optuna.base import OptunaSearcher
from hwsearch.searchers.optuna.storage import write_study
from hwsearch.spaces import Choice, SearchSpace
from hwsearch.testing.toy_spaces import ONE, TWO, large_space, small_space, values_of

NAMES = ("optuna-tpe", "optuna-nsga2")


def made(name: str, objectives: tuple[str, ...] = TWO, seed: int = 0) -> OptunaSearcher:
    searcher = create(name, large_space(), objectives, seed)
    assert isinstance(searcher, OptunaSearcher)
    return searcher


@pytest.mark.parametrize("name", NAMES)
def test_the_study_holds_what_was_told_and_what_is_pending(name: str) -> None:
    searcher = made(name, ("max accuracy", "latency_ms <= 8"))
    archs = searcher.ask(6)
    values = values_of(searcher.space, archs, 2)
    values[1, 0] = np.nan
    searcher.tell(archs[:4], values[:4])
    study = searcher._study()
    assert [t.state for t in study.trials] == [
        TrialState.COMPLETE, TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE,
        TrialState.RUNNING, TrialState.RUNNING,
    ]  # fmt: skip
    assert [d.name for d in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    for arch, trial, value in zip(archs, study.trials, values, strict=True):
        genes = {n: searcher.space.choices[searcher.space.names.index(n)].values[i] for n, i in trial.params.items()}
        assert genes == arch.to_dict()  # active genes only
        if trial.state is TrialState.COMPLETE:
            assert trial.values == value.tolist()
            assert (trial.constraints["limits"] > 0) == (value[1] > 8)


def test_a_repeated_architecture_is_told_again_from_its_known_value() -> None:
    space = small_space()
    searcher = create("optuna-tpe", space, TWO, 0, start=5)
    for _ in range(8):
        archs = searcher.ask(10)
        searcher.tell(archs, values_of(space, archs, 2))
    record = searcher.state_dict()["extra"]["record"]
    assert sorted(set(record)) == list(range(80))
    assert len(record) > 80


@pytest.mark.parametrize("name", NAMES)
def test_the_users_logging_is_left_alone(name: str) -> None:
    logger = logging.getLogger("optuna")
    before = optuna.logging.get_verbosity(), list(logger.handlers), logger.propagate
    lines: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    listener = Listener()
    logger.addHandler(listener)
    try:
        optuna.create_study()
        assert len(lines) == 1  # Optuna does speak
        searcher = made(name)
        archs = searcher.ask(12)
        searcher.tell(archs, values_of(searcher.space, archs, 2))
        searcher.ask(3)
        assert len(lines) == 1
    finally:
        logger.removeHandler(listener)
    assert (optuna.logging.get_verbosity(), list(logger.handlers), logger.propagate) == before


@pytest.mark.parametrize("name", NAMES)
def test_limits_pull_the_asks_to_what_meets_them(name: str) -> None:
    """Under a limit that 2 % of uniform samples meet three times as many do; 70 evaluations of 2 seeds, of which the last 35 count."""
    space = large_space()
    pool = values_of(space, space.sample(2000, np.random.default_rng(1)), 2)
    limit = float(f"{np.quantile(pool[:, 1], 0.02):.6g}")
    options = {"population": 20} if name == "optuna-nsga2" else {}
    met = []
    for seed in range(2):
        searcher = create(name, space, ["max accuracy", f"latency_ms <= {limit:g}"], seed, **options)
        for _ in range(7):
            archs = searcher.ask(10)
            searcher.tell(archs, values_of(space, archs, 2))
        met.append((searcher.values[-35:, 1] <= limit).mean())
    assert np.mean(met) > 0.06


def test_tpe_beats_random_search_on_one_objective() -> None:
    """Best latency after 80 evaluations, medians of 3 seeds."""
    space = large_space()
    best: dict[str, list[float]] = {"optuna-tpe": [], "random": []}
    for name in best:
        for seed in range(3):
            searcher = create(name, space, ["max accuracy"], seed)
            for _ in range(8):
                archs = searcher.ask(10)
                searcher.tell(archs, values_of(space, archs, 1))
            best[name].append(float(searcher.evaluated[1].max()))
    assert np.median(best["optuna-tpe"]) > max(best["random"])


def test_nsga2_gains_on_random_search() -> None:
    """Hypervolume after 300 evaluations in generations of 30, medians of 3 seeds."""
    space = large_space()
    objectives = create("random", space, TWO).objectives
    reference = reference_point(values_of(space, [space.smallest(), space.largest()], 2), objectives)
    volume: dict[str, list[float]] = {"optuna-nsga2": [], "random": []}
    for name in volume:
        for seed in range(3):
            searcher = create(name, space, TWO, seed, **({"population": 30} if name != "random" else {}))
            for _ in range(10):
                archs = searcher.ask(30)
                searcher.tell(archs, values_of(space, archs, 2))
            volume[name].append(hypervolume(searcher.evaluated[1], objectives, reference))
    assert np.median(volume["optuna-nsga2"]) > np.median(volume["random"])


def test_gaussian_process_asks_resume_bit_for_bit() -> None:
    space = small_space()
    one, two = (create("optuna-gp", space, TWO, seed, start=5) for seed in (1, 9))
    archs = one.ask(6)
    one.tell(archs, values_of(space, archs, 2))
    two.load_state_dict(json.loads(json.dumps(one.state_dict())))
    asked = one.ask(2)
    assert two.ask(2) == asked and not set(asked) & set(archs)


def test_cmaes_says_what_it_cannot_do() -> None:
    ordinal = SearchSpace("ordinal", [Choice("a", (1, 2, 3)), Choice("b", (1, 2, 3))])
    with pytest.raises(SearchError, match="one objective"):
        create("optuna-cmaes", ordinal, TWO)
    with pytest.raises(SearchError, match="ordinal"):
        create("optuna-cmaes", small_space(), ONE)
    with pytest.raises(SearchError, match="against the direction"):
        create("optuna-cmaes", ordinal, ["min accuracy >= 80"])


def test_cmaes_climbs() -> None:
    space = SearchSpace("ordinal", [Choice(f"x{i}", tuple(range(9))) for i in range(5)])
    if find_spec("cmaes") is None:
        with pytest.raises(SearchError, match="pip install"):
            create("optuna-cmaes", space, ONE)
        return
    searcher = create("optuna-cmaes", space, ONE)
    for _ in range(15):
        archs = searcher.ask(8)
        searcher.tell(archs, space.to_array(archs).sum(axis=1))
    values = searcher.evaluated[1][:, 0]
    assert values[60:].mean() > values[:10].mean() + 3


def test_a_campaign_is_written_to_a_storage_and_brought_up_to_date(tmp_path: Path) -> None:
    space, url = small_space(), f"sqlite:///{tmp_path}/study.db"
    searcher = create("random", space, TWO, 0)
    archs = searcher.ask(8)
    values = values_of(space, archs, 2)
    values[3] = np.nan
    searcher.tell(archs[:5], values[:5])
    assert write_study(searcher, url, "mine") == 5
    searcher.tell(archs[5:], values[5:])
    assert write_study(searcher, url, "mine") == 3
    study = optuna.load_study(study_name="mine", storage=url)
    told = {t.user_attrs["arch_id"]: t for t in study.trials}
    assert set(told) == {a.id for a in archs} and len(study.trials) == 8
    assert told[archs[3].id].state.name == "FAIL"
    assert told[archs[0].id].values == pytest.approx(values[0]) and told[archs[0].id].params == archs[0].to_dict()
    ids = {t.user_attrs["arch_id"] for t in study.best_trials}
    assert ids == set(searcher.front().to_frame()["arch_id"])
    with pytest.raises(SearchError, match="other objectives"):
        write_study(create("random", space, ONE, 0), url, "mine")
    with pytest.raises(SearchError, match="cannot be used"):
        write_study(searcher, "nosuch://place", "mine")
