"""Campaigns that a search starts from, and searches that are interrupted wherever they can be."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hwsearch import campaigns
from hwsearch.campaigns import Campaign
from hwsearch.searchers.bayesian.plumb import PlumbSearcher
from hwsearch.tasks.images import ImageTask


@pytest.fixture
def begun(boards) -> Callable[..., Campaign]:
    """Profiled and evaluated, with one round of four; keys of `[search]` are given by name."""

    def make(objective: list | None = None, **search) -> Campaign:
        changes = {"objective": objective} if objective else {}
        campaign = boards(search={"rounds": 1, "per_round": 4, "stop_gain": 0, **search}, **changes)
        campaigns.profile(campaign)
        campaigns.evaluate(campaign)
        return campaign

    return make


@pytest.fixture
def search_interrupted(monkeypatch) -> Callable[[Campaign, str], int]:
    """Search, with Ctrl-C at each third evaluation or call of a method of the searcher; how often it came."""

    def search(campaign: Campaign, method: str) -> int:
        calls, stops = 0, 0

        def interrupting(original):
            def call(*args, **kwargs):
                nonlocal calls
                calls += 1
                if calls > 3:
                    raise KeyboardInterrupt
                return original(*args, **kwargs)

            return call

        with monkeypatch.context() as patch:
            patch.setattr(ImageTask, "evaluate", interrupting(ImageTask.evaluate))
            patch.setattr(PlumbSearcher, method, interrupting(getattr(PlumbSearcher, method)))
            while True:
                calls = 0
                try:
                    campaigns.search(campaign)
                    return stops
                except KeyboardInterrupt:
                    stops += 1

    return search
