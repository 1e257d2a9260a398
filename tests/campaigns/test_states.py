"""Names of documents: the same for the same work, another for everything that would change it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hwsearch.campaigns.config import CampaignConfig
from hwsearch.campaigns.states import race_state, rounds_state, search_state, spread_state

TARGETS = [SimpleNamespace(name="one", fingerprint="f1"), SimpleNamespace(name="two", fingerprint="f2")]
CONFIG = {"supernet": {"name": "cifar10-mbv3"}, "device": [{"name": "one"}, {"name": "two"}]}


def config(**search) -> CampaignConfig:
    return CampaignConfig.model_validate({**CONFIG, "search": search})


def settle(ids=("a", "b"), targets=TARGETS, given=None, **other) -> str:
    facts = {"weights": "w", "subject": "s", "protocol": "p", **other}
    return rounds_state(given or config(), targets, list(ids), **facts)


def spread(ids=("a", "b"), targets=TARGETS, **other) -> str:
    return spread_state(targets, list(ids), **{"weights": "w", "protocol": "p", "fewest": 4, **other})


@pytest.mark.parametrize("name", [settle, spread])
def test_rounds_have_the_name_of_their_candidates_in_any_order_and_of_their_devices(name) -> None:
    assert name() == name(("b", "a")) and name().startswith(f"{name.__name__}:")
    others = {name(("a",)), name(targets=TARGETS[:1]), name(weights="x"), name(protocol="x")}
    assert len(others) == 4 and name() not in others


def test_rounds_of_other_data_and_other_fewest_rounds_have_other_names() -> None:
    assert settle(subject="x") != settle() and spread(fewest=5) != spread() and settle() != spread()


def test_a_search_has_the_name_of_all_that_changes_its_proposals() -> None:
    assert search_state(config(), TARGETS) == search_state(config(), TARGETS)
    changed = [{"seed": 5}, {"tactic": "nsga2"}, {"prefer": "knee"}, {"deployment": "worst-case"}]
    names = {search_state(config(**c), TARGETS) for c in changed}
    assert len(names) == 4 and search_state(config(), TARGETS) not in names
    assert search_state(config(rounds=9), TARGETS) == search_state(config(), TARGETS)  # a longer search goes on


def test_a_race_has_the_name_of_its_costs_and_error() -> None:
    facts = {"weights": "w", "subject": "s", "error": 0.05, "tolerance": 0.1}
    first = race_state(["a", "b"], [[1.0], [2.0]], **facts)
    assert first == race_state(["a", "b"], [[1.0], [2.0]], **facts)
    assert first not in {
        race_state(["a", "b"], [[1.0], [2.1]], **facts),
        race_state(["a", "b"], [[1.0], [2.0]], **facts | {"error": 0.1}),
    }
