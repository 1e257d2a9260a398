"""Rounds of a search: when they end, what is kept before it is measured, and what is said of the end."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hwsearch.campaigns.search_config import SearchConfig
from hwsearch.campaigns.states import SEARCH_END
from hwsearch.campaigns.steps import allocate
from hwsearch.campaigns.steps import search as module
from hwsearch.campaigns.steps.search import gains_below, how_it_ended, search
from hwsearch.errors import CampaignError


def proposed(**gains):
    return {name: {"archs": [], "info": {} if g is None else {"expected_gain": g}} for name, g in gains.items()}


@pytest.mark.parametrize(
    "gains, least, found",
    [
        ({"a": 0.001, "b": 0.0019}, 0.002, {"a": 0.001, "b": 0.0019}),
        ({"a": 0.001, "b": 0.002}, 0.002, None),  # not below
        ({"a": 0.001, "b": None}, 0.002, None),  # not known
        ({"a": 0.0}, 0.0, None),  # never stop
        ({"a": float("nan")}, 0.002, None),
    ],
)
def test_a_round_is_not_worth_it_when_all_gains_are_known_and_below(gains, least, found) -> None:
    assert gains_below(proposed(**gains), least) == found


@pytest.mark.parametrize(
    "state, words",
    [
        (None, None),
        ({"name": "of an older search"}, None),
        ({"of": 3, "expected_gain": None}, "all 3 rounds"),
        (
            {"rounds": 1, "of": 3, "stop_gain": 0.002, "expected_gain": {"one": 0.00051}},
            "after 1 of 3 rounds: the next was expected to add less than 0.2 % to the hypervolume (one 0.051 %)",
        ),
    ],
)
def test_the_end_of_a_search_is_one_clause(state, words) -> None:
    assert how_it_ended(SimpleNamespace(store=SimpleNamespace(get_state=lambda name: state))) == words


class Run:
    """A search of up to three rounds whose proposals promise given gains; measured subnets are remembered."""

    def __init__(self, monkeypatch, gains=(0.5, 0.5, 0.5), *, evaluated=True, **options) -> None:
        self.states: dict[str, dict] = {}
        self.log: list = []
        store = SimpleNamespace(
            get_state=lambda name: self.states.get(name), put_state=lambda name, s: self.keep(name, s)
        )
        self.campaign = SimpleNamespace(
            config=SimpleNamespace(search=SearchConfig(rounds=3, per_round=2, **options)),
            loaded=SimpleNamespace(digest="weights"),
            store=store,
            targets={},
            space=SimpleNamespace(architecture=lambda g: g),
        )
        outer = self

        class Proposer:
            def __init__(self, campaign) -> None:
                self.campaign = campaign

            def propose(self, r, n, *, complete=False):
                outer.log.append(("complete" if complete else "propose", r, n))
                return {"one": {"archs": [f"r{r}", "same"], "info": {"expected_gain": gains[r]}}}

        monkeypatch.setattr(module, "Proposer", Proposer)
        monkeypatch.setattr(module, "check_tactic", lambda campaign: None)
        monkeypatch.setattr(module, "search_state", lambda *_: "state")
        monkeypatch.setattr(module, "any_accuracy", lambda *_: evaluated)
        monkeypatch.setattr(allocate, "measure_scores", lambda c, archs, stage: self.log.append(("score", archs)))
        monkeypatch.setattr(allocate, "measure_latencies", lambda c, t, archs, stage: self.log.append(("time", archs)))
        monkeypatch.setattr(module, "measure_cheap", lambda c, archs, stage: self.log.append(("cheap", archs)))

    def keep(self, name, state) -> None:
        self.states[name] = state
        if name != SEARCH_END:
            self.log.append("kept")

    def verbs(self) -> list[str]:
        return [e if isinstance(e, str) else e[0] for e in self.log]


def test_nothing_evaluated_is_nothing_to_search_from(monkeypatch) -> None:
    with pytest.raises(CampaignError, match=r"nothing has been evaluated yet.*hwsearch profile"):
        search(Run(monkeypatch, evaluated=False).campaign)


def test_proposals_are_kept_before_they_are_measured_and_each_subnet_once(monkeypatch) -> None:
    run = Run(monkeypatch)
    frame = search(run.campaign)
    assert run.verbs() == ["propose", "kept", "score", "time"] * 3
    assert ("score", ["r0", "same"]) in run.log
    assert list(frame["round"]) == [1, 2, 3] and frame["measured"].all() and list(frame["proposed"]) == [2, 2, 2]


def test_an_interrupted_search_goes_on_with_the_proposals_that_it_kept(monkeypatch) -> None:
    run = Run(monkeypatch)
    run.states["state"] = {"rounds": [{"devices": {"one": {"archs": ["kept"], "info": {}}}}]}
    search(run.campaign)
    assert run.log[0] == ("score", ["kept"]) and ("propose", 0, 2) not in run.log


def test_a_round_that_is_not_worth_it_is_not_measured_and_the_end_is_kept(monkeypatch) -> None:
    run = Run(monkeypatch, (0.5, 0.001, 0.5))
    frame = search(run.campaign)
    assert run.verbs() == ["propose", "kept", "score", "time", "propose", "kept"]
    assert list(frame["measured"]) == [True, False]
    assert run.states[SEARCH_END]["rounds"] == 1 and run.states[SEARCH_END]["expected_gain"] == {"one": 0.001}
    assert (how_it_ended(run.campaign) or "").startswith("after 1 of 3 rounds")


def test_a_screening_proposes_more_measures_what_is_cheap_and_completes_the_best(monkeypatch) -> None:
    run = Run(monkeypatch, screening_factor=4)
    frame = search(run.campaign)
    assert run.verbs()[:7] == ["propose", "kept", "cheap", "complete", "kept", "score", "time"]
    assert run.log[0] == ("propose", 0, 8) and run.log[3] == ("complete", 0, 2)
    assert list(frame["screened"]) == [2, 2, 2]


def test_candidates_that_are_not_worth_it_are_not_even_screened(monkeypatch) -> None:
    run = Run(monkeypatch, (0.0001, 0.5, 0.5), screening_factor=4)
    frame = search(run.campaign)
    assert run.verbs() == ["propose", "kept"]
    assert list(frame["proposed"]) == [0] and list(frame["screened"]) == [2] and not frame["measured"].any()


def test_with_fidelities_a_round_is_what_was_chosen_and_it_is_kept_before_it_is_measured(monkeypatch) -> None:
    run = Run(monkeypatch, fidelities=[10])
    chosen = {"one": {"archs": ["few", "all", "more"], "images": [10, None, 10], "info": {"expected_gain": 0.5}}}
    monkeypatch.setattr(module, "propose_fidelities", lambda proposer, r, n: run.log.append(("choose", r, n)) or chosen)
    few = lambda c, archs, split, stage: run.log.append((split, archs))  # noqa: E731
    monkeypatch.setattr(allocate, "measure_accuracy", few)
    table = search(run.campaign)
    first = [
        ("choose", 0, 2),
        "kept",
        ("first 10", ["few", "more"]),
        ("score", ["all"]),
        ("time", ["few", "all", "more"]),
    ]
    assert run.log[: len(first)] == first
    assert table["screened"].tolist() == [2] * 3 and table["proposed"].tolist() == [1] * 3
