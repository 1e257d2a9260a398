"""Tactics by name: built in, aliased, from plug-ins; and what typing errors are answered with."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import hwsearch.searchers as search
from hwsearch.errors import HwsearchError, LimitError, PluginError, SearchError
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.base import Searcher
from hwsearch.searchers.bayesian.plumb import PlumbSearcher
from hwsearch.searchers.random import RandomSearcher
from hwsearch.testing.toy_spaces import ONE, TWO, flat_space, small_space

GROUP = search.TACTICS.group
#: all tactics but the second name of one
OURS = [name for name in search.tactics() if name != "default"]


def test_every_tactic_is_a_searcher_with_its_own_name() -> None:
    assert {"default", "guided", "nsga2", "optuna-nsga2", "optuna-tpe", "random"} <= set(search.tactics())
    for name in set(OURS) - {"optuna-cmaes"}:  # which takes one objective
        searcher = search.create(name, small_space(), TWO)
        assert isinstance(searcher, Searcher) and searcher.name == name


def test_default_is_plumb() -> None:
    assert isinstance(search.create("default", small_space(), TWO, seed=3, start=8), PlumbSearcher)


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(SearchError, match="Did you mean 'random'"):
        search.create("randon", small_space(), TWO)
    with pytest.raises(SearchError, match="Did you mean 'population'"):
        search.create("nsga2", small_space(), TWO, popluation=8)


def test_plug_ins_are_found_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    points = (
        EntryPoint("mine", "hwsearch.searchers.random:RandomSearcher", GROUP),
        EntryPoint("broken", "hwsearch.searchers:create", GROUP),
    )
    monkeypatch.setattr("hwsearch.registry.entry_points", lambda group: points)
    assert "mine" in search.tactics()
    assert isinstance(search.create("mine", small_space(), TWO), RandomSearcher)
    with pytest.raises(PluginError, match="not a Searcher"):
        search.create("broken", small_space(), TWO)


def test_objectives_are_checked() -> None:
    share = Objective("latency_ms", limit=Limit("<=", 0.6, relative=True))
    with pytest.raises(LimitError):
        search.create("random", small_space(), ["max accuracy", share])
    for wrong in ([], ["max accuracy", "accuracy"]):
        with pytest.raises(SearchError):
            search.create("random", small_space(), wrong)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("nsga2", {"population": 1}),
        ("optuna-nsga2", {"population": 1}),
        ("plumb", {"start": 1}),
        ("plumb", {"inner_evaluations": 10}),
        ("plumb", {"exact": {"mac": len}}),
        ("plumb", {"confidence": {"latency": 0.9}}),
        ("guided", {"explore": 1.5}),
        ("guided", {"inner_evaluations": 10}),
        ("guided", {"exact": {"mac": len}}),
    ],
)
def test_senseless_options_are_refused(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(HwsearchError):
        search.create(name, small_space(), TWO, **options)


def test_the_entry_points_are_the_built_in_tactics() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    entries = project["entry-points"][GROUP]
    assert sorted(entries) == search.tactics() and entries["default"] == entries["plumb"]


def numeric_options() -> list[tuple[str, str, bool]]:
    """(tactic, option, whether it may be None or a fraction) of every option that is a number."""
    return [
        (name, row.name, row.type.startswith("number") or "None" in row.type)
        for name in OURS
        for row in search.describe_options(name)
        if row.type.partition(" ")[0] in ("integer", "number")
    ]


def test_there_are_options_to_test() -> None:
    assert len({name for name, _, _ in numeric_options()}) > 15


@pytest.mark.parametrize(("name", "option", "loose"), numeric_options())
def test_a_number_that_is_not_valid_is_refused_with_its_name(name: str, option: str, loose: bool) -> None:
    if name == "optuna-cmaes":
        pytest.importorskip("cmaes")
    wrong: list[Any] = [-1, float("nan"), float("inf"), "many", [3], True]
    wrong += [] if loose else [2.5, None]
    for value in wrong:
        with pytest.raises(SearchError, match=option):
            search.create(name, flat_space(), ONE, **{option: value})


def test_options_are_checked_without_create_as_well() -> None:
    with pytest.raises(SearchError, match="Did you mean 'cost'"):
        RandomSearcher(small_space(), TWO, csot=len)
    with pytest.raises(SearchError, match="must be function or None"):
        RandomSearcher(small_space(), TWO, cost=3)
    for band in (3, (1.0,), (2.0, 1.0), (1.0, float("nan")), ("low", "high")):
        with pytest.raises(SearchError, match="band"):
            search.create("weaknas", small_space(), TWO, cost=len, band=band)
