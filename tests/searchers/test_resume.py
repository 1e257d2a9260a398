"""A campaign that is killed at random moments asks what an uninterrupted one asks."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from benchmarks import search_resume
from hwsearch.searchers import create

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks and kills")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("tactic", search_resume.TACTICS)
def test_after_a_hundred_kills_the_asks_are_the_same(tactic: str) -> None:
    figures = search_resume.killed(tactic, kills=100, evaluations=48)
    assert figures["kills"] >= 100 and figures["asks"] >= 8
    assert figures["equal"]


def test_a_few_kills() -> None:
    assert search_resume.killed("nsga2", kills=4, evaluations=60)["equal"]


def test_forgotten_randomness_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(tactic: str, space: Any, objectives: Any, seed: int) -> Any:
        searcher = create(tactic, space, objectives, seed)
        rng = searcher.rng
        load = searcher.load_state_dict

        def loaded(state: Any) -> None:
            load({**state, "rng": rng.bit_generator.state})

        monkeypatch.setattr(searcher, "load_state_dict", loaded)
        return searcher

    monkeypatch.setattr(search_resume, "create", forgetful)
    # on a busy machine all kills of a campaign may come before its first step
    assert any(not search_resume.killed("random", kills=20, evaluations=120, seed=seed)["equal"] for seed in range(5))
