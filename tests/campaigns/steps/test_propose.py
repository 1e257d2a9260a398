"""Proposals of a round: shares of the fronts, what a tactic is told and given. Stand-in searchers propose."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hwsearch.campaigns.budget.pace import Pace
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import MeasuredSet
from hwsearch.campaigns.steps import propose
from hwsearch.campaigns.steps.propose import Proposer, tell
from hwsearch.campaigns.steps.screen import Estimates
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.objective import Objective
from hwsearch.searchers import Capabilities
from hwsearch.searchers.info import AskInfo
from hwsearch.spaces import Choice, SearchSpace

SPACE = SearchSpace("tiny", [Choice("depth", (1, 2, 3, 4)), Choice("width", (8, 16, 32, 64))])
ARCHS = SPACE.sample(12, np.random.default_rng(0))
OBJECTIVES = [Objective("accuracy"), Objective("latency")]


class Tactic:
    """Proposes the architectures of a list in turn, and remembers what it was asked and told."""

    def __init__(self, line=(), gain=None, **abilities) -> None:
        self.line, self.capabilities = list(line), Capabilities(**abilities)
        self.info = AskInfo(expected_gain=gain)
        self.asked: list[int] = []
        self.told: list[tuple] = []
        self.hinted: list[tuple] = []

    def ask(self, n):
        self.asked.append(n)
        found, self.line = self.line[:n], self.line[n:]
        return found

    def choose(self, choices, n):
        self.asked.append(n)
        return list(choices)[:n]

    def tell(self, archs, values, noise):
        self.told.append((archs, values, noise))

    def hint(self, archs, values, errors):
        self.hinted.append((archs, values, errors))


@pytest.fixture
def rounds(monkeypatch):
    """Runs one round of two fronts whose searchers are given."""

    def run(tactics, per_round, *, r=1, complete=False, choices=()):
        notes, warned = [], []
        task = SimpleNamespace(update=lambda n: None, note=notes.append)
        progress = SimpleNamespace(task=lambda *_: contextlib.nullcontext(task), warn=warned.append)
        fronts = [SimpleNamespace(name=n, measured=lambda known: None) for n in tactics]
        monkeypatch.setattr(propose.Known, "read", classmethod(lambda cls, campaign: Known()))
        monkeypatch.setattr(propose, "views", lambda campaign: fronts)
        monkeypatch.setattr(propose, "estimates", lambda *_: Estimates({}, {}))
        monkeypatch.setattr(propose, "tell", lambda *_: None)
        monkeypatch.setattr(propose, "completable", lambda *_: list(choices))
        monkeypatch.setattr(propose, "infeasibility_warning", lambda *_: "hardly any subnet meets them.")
        proposer = Proposer(SimpleNamespace(progress=progress, pace=Pace()))
        proposer.searcher = lambda view, *_: tactics[view.name]
        return proposer.propose(r, per_round, complete=complete), notes, warned

    return run


def ids(proposal) -> list[str]:
    return [SPACE.architecture(g).id for g in proposal["archs"]]


def test_a_round_is_shared_by_the_fronts_and_the_first_get_what_does_not_divide(rounds) -> None:
    tactics = {"one": Tactic(ARCHS[:6]), "two": Tactic(ARCHS[6:])}
    found, _, _ = rounds(tactics, 5)
    assert [len(p["archs"]) for p in found.values()] == [3, 2]
    assert ids(found["one"]) == [a.id for a in ARCHS[:3]]


def test_what_another_front_proposed_is_replaced_by_the_next_of_the_own_tactic(rounds) -> None:
    tactics = {"one": Tactic(ARCHS[:2]), "two": Tactic([ARCHS[1], *ARCHS[2:6]])}
    found, _, _ = rounds(tactics, 4)
    assert ids(found["two"]) == [ARCHS[2].id, ARCHS[3].id]
    assert tactics["two"].asked == [2, 2]


def test_screened_subnets_are_chosen_once_and_not_filled_up(rounds) -> None:
    tactics = {"one": Tactic(), "two": Tactic()}
    found, _, _ = rounds(tactics, 4, complete=True, choices=ARCHS[:3])
    assert ids(found["one"]) == [a.id for a in ARCHS[:2]] and ids(found["two"]) == [ARCHS[2].id]
    assert tactics["two"].asked == [2]


def test_expected_gains_are_said_and_kept_and_doubts_only_before_the_first_round(rounds) -> None:
    found, notes, warned = rounds({"one": Tactic(ARCHS, gain=0.0123), "two": Tactic(ARCHS)}, 2, r=0)
    assert notes == ["one expected gain 1.2 %"] and found["one"]["info"]["expected_gain"] == 0.0123
    assert warned == ["hardly any subnet meets them."] * 2
    assert rounds({"one": Tactic(ARCHS)}, 2, r=1)[2] == []
    assert rounds({"one": Tactic(ARCHS)}, 2, r=0, complete=True)[2] == []


def measured(**columns) -> MeasuredSet:
    archs = ARCHS[:3]
    return MeasuredSet(pd.DataFrame({"arch_id": [a.id for a in archs], **columns}), {a.id: a for a in ARCHS})


@pytest.fixture
def tables(monkeypatch):
    noise = np.arange(6.0).reshape(3, 2)
    monkeypatch.setattr(propose, "measurement_noise", lambda *_: noise)
    return noise, measured(accuracy=[80.0, np.nan, np.nan], latency_ms=[1.0, 2.0, np.nan])


@pytest.mark.parametrize("incomplete, rows", [(False, [0]), (True, [0, 1])])
def test_incomplete_rows_are_told_to_a_tactic_that_learns_from_them(tables, incomplete, rows) -> None:
    noise, values = tables
    tactic = Tactic(incomplete_rows=incomplete)
    tell(SimpleNamespace(objectives=OBJECTIVES), tactic, values, Known(), Estimates({}, {}))
    ((archs, told, error),) = tactic.told
    assert archs == [ARCHS[i] for i in rows]
    np.testing.assert_array_equal(error, noise[rows])
    np.testing.assert_array_equal(told[0], [80.0, 1.0])


def test_estimates_of_screened_subnets_are_hints_of_the_accuracy_alone(tables) -> None:
    guesses = Estimates({ARCHS[5].id: 77.0, ARCHS[4].id: 66.0}, {ARCHS[5].id: 1.5, ARCHS[4].id: 2.5})
    tactic = Tactic(screening=True)
    tell(SimpleNamespace(objectives=OBJECTIVES), tactic, tables[1], Known(), guesses)
    ((archs, values, errors),) = tactic.hinted
    assert archs == [ARCHS[5], ARCHS[4]]
    np.testing.assert_array_equal(values, [[77.0, np.nan], [66.0, np.nan]])
    np.testing.assert_array_equal(errors, [[1.5, 1.5], [2.5, 2.5]])
    tactic = Tactic(screening=False)
    tell(SimpleNamespace(objectives=OBJECTIVES), tactic, tables[1], Known(), guesses)
    assert tactic.hinted == []


def test_nothing_measured_is_nothing_told(tables) -> None:
    tactic = Tactic(incomplete_rows=True)
    nothing = measured(accuracy=[np.nan] * 3, latency_ms=[np.nan] * 3)
    tell(SimpleNamespace(objectives=OBJECTIVES), tactic, nothing, Known(), Estimates({}, {}))
    assert tactic.told == []


@pytest.fixture
def created(monkeypatch):
    """Makes the searcher of a front, by a tactic of given capabilities, and returns what `create` was given."""
    calls = []

    def make(objectives=OBJECTIVES, *, prefer="front", wanted=None, r=0, name="one", earlier=False, **abilities):
        monkeypatch.setattr(propose, "capabilities", lambda campaign: Capabilities(**abilities))
        monkeypatch.setattr(propose, "create", lambda *given, **options: calls.append((given, options)))
        monkeypatch.setattr(
            propose, "tightened", lambda campaign, view, measured, known, o: o.at_least(9.0) if o.probability else o
        )
        search = SimpleNamespace(
            tactic="mine",
            seed=5,
            prefer=prefer,
            inner_evaluations=300,
            warm_start=["earlier"] if earlier else [],
            earlier_campaigns=["earlier"] if earlier else [],
        )
        net = SimpleNamespace(
            features_array=lambda rows: (rows + 1.0, None),
            cost_features=lambda rows: {"a": rows[:, 0], "b": rows[:, 1]},
        )
        campaign = SimpleNamespace(
            config=SimpleNamespace(search=search, supernet=None),
            space=SPACE,
            loaded=SimpleNamespace(net=net, balanced_cost=sum),
        )
        view = SimpleNamespace(
            campaign=campaign, name=name, reference=wanted or {}, resolved=lambda measured: list(objectives)
        )
        values = measured(accuracy=[80.0, 70.0, 60.0], latency_ms=[3.0, 2.0, 1.0], macs=[3, 2, 1])
        proposer = Proposer(campaign)
        if earlier:
            monkeypatch.setattr(propose, "WarmStart", lambda *_, **__: "what is known from earlier")
        proposer.searcher(view, r, values, Known())
        return calls[-1]

    return make


def test_a_seed_is_of_the_round_and_the_front(created) -> None:
    seeds = [created(**case)[1]["seed"] for case in ({}, {}, {"r": 1}, {"name": "two"})]
    assert seeds[0] == seeds[1] and len(set(seeds)) == 3


def test_a_tactic_gets_of_the_supernet_what_it_takes_and_nothing_where_it_does_not_predict(created) -> None:
    assert set(created()[1]) == {"seed"}
    options = created(exact=True, features=True, known=True)[1]
    assert set(options) == {"seed", "exact", "features", "known"} and options["exact"] == {}
    rows = np.array([[0, 1], [2, 3]])
    np.testing.assert_array_equal(options["features"](rows), rows + 1.0)
    np.testing.assert_array_equal(options["known"](rows), rows)
    options = created([*OBJECTIVES, Objective("macs")], exact=True, inner_evaluations=True, cost=True)[1]
    assert set(options["exact"]) == {"macs"} and options["inner_evaluations"] == 300 and options["cost"] is sum
    assert "warm_start" not in created(exact=True, warm_start=True)[1]
    assert created(exact=True, warm_start=True, earlier=True)[1]["warm_start"] == "what is known from earlier"
    assert "warm_start" not in created(exact=True, earlier=True)[1]


def test_a_chance_limit_is_told_to_a_tactic_that_knows_chances_and_tightened_for_another(created) -> None:
    limited = [OBJECTIVES[0], Objective("latency", limit=Limit("<=", 10.0), probability=0.9)]
    given, options = created(limited, confidence=True)
    assert options["confidence"] == {"latency_ms": 0.9}
    assert given[2][1].limit.value == 10.0 and given[2][1].probability is None
    given, options = created(limited)
    assert "confidence" not in options and given[2][1].limit.value == 9.0 and given[2][1].probability is None


def test_a_reference_is_told_to_a_tactic_that_takes_one_and_becomes_a_limit_for_another(created) -> None:
    given, options = created(prefer="reference", wanted={"latency_ms": 2.5})
    assert "reference" not in options
    assert (given[2][1].limit.op, given[2][1].limit.value) == ("<=", 2.5) and given[2][0].limit is None
    given, options = created(prefer="reference", wanted={"latency_ms": 2.5}, reference=True)
    assert options["reference"] == {"latency_ms": 2.5} and given[2][1].limit is None
    assert "reference" not in created(prefer="reference", reference=True)[1]  # of this front nothing is aspired to
    assert set(created(prefer="knee", reference=True)[1]["reference"]) == {"accuracy", "latency_ms"}
