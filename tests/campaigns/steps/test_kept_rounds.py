"""Rounds are planned once: what was kept is asked for again, whatever a new plan would say."""

from __future__ import annotations

import pytest

from hwsearch.campaigns.steps.kept_rounds import KeptRounds
from hwsearch.store import Store


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "store.sqlite") as opened:
        yield opened


def never():
    raise AssertionError("planned again")


def test_a_round_is_kept_before_it_is_returned_and_not_planned_again(store) -> None:
    assert store.get_state("x") is None
    assert KeptRounds(store, "x").begin(0, lambda: {"one": ["a"]}) == {"one": ["a"]}
    assert store.get_state("x") == {"rounds": [{"one": ["a"]}]}
    again = KeptRounds(store, "x")
    assert again.begin(0, never) == {"one": ["a"]}
    assert again.begin(1, lambda: {"one": []}) == {"one": []}
    assert store.get_state("x") == {"rounds": [{"one": ["a"]}, {"one": []}]}


def test_a_round_that_was_known_is_not_stored_again(store) -> None:
    kept = KeptRounds(store, "x")
    kept.begin(0, lambda: {"one": ["a"]})
    kept.begin(0, never)
    assert store.get_state("x", 2) is None


def test_that_the_rounds_ended_is_not_kept_and_is_asked_again(store) -> None:
    kept = KeptRounds(store, "x")
    assert kept.begin(0, lambda: None) is None
    assert store.get_state("x") is None and kept.rounds == []
    assert kept.begin(0, lambda: {"one": ["b"]}) == {"one": ["b"]}


def test_what_is_added_to_a_round_and_the_head_are_kept_with_it(store) -> None:
    kept = KeptRounds(store, "x", {"seed": 3})
    kept.rounds.append({})
    assert store.get_state("x") is None
    kept.rounds[0]["seconds"] = 1.5
    kept.keep()
    assert store.get_state("x") == {"seed": 3, "rounds": [{"seconds": 1.5}]}
    assert KeptRounds(store, "x", {"seed": 4}).rounds == [{"seconds": 1.5}]
    KeptRounds(store, "x", {"seed": 4}).keep()
    assert store.get_state("x") == {"seed": 3, "rounds": [{"seconds": 1.5}]}  # the head is of a new document only


def test_documents_of_other_names_are_apart(store) -> None:
    KeptRounds(store, "x").begin(0, lambda: {"one": ["a"]})
    assert KeptRounds(store, "y").rounds == []
