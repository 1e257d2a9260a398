"""Rounds that choose which subnet is scored on how many examples."""

from __future__ import annotations

import tomllib
from functools import partial

import numpy as np
import pytest

from hwsearch import campaigns
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.evaluation_costs import EvaluationCosts
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.loading import parse_config
from hwsearch.campaigns.lookup import find_accuracy, find_latency
from hwsearch.campaigns.purpose import SEARCH
from hwsearch.campaigns.split import Split, first_examples
from hwsearch.campaigns.steps import allocate
from hwsearch.campaigns.steps.allocate import Ladder
from hwsearch.campaigns.steps.propose import Proposer
from hwsearch.campaigns.tactic import check_tactic
from hwsearch.campaigns.views import views
from hwsearch.errors import CampaignError, ConfigError, DataError
from hwsearch.searchers.bayesian import fidelity
from hwsearch.tasks.images import ImageTask


@pytest.fixture
def paced(monkeypatch):
    """Seconds as if an example took one and a latency five, whatever the machine, and few examples that tell much."""

    def init(self, campaign) -> None:
        self._campaign, self.weights = campaign, np.array([0.0, 1.0, 0.0])
        self.latency_s = dict.fromkeys(campaign.targets, 5.0)

    monkeypatch.setattr(EvaluationCosts, "__init__", init)
    monkeypatch.setattr(fidelity, "MARGIN", 0.0)  # recalibration takes long here
    monkeypatch.setattr(
        allocate, "shift_and_error", lambda campaign, known, split: (0.0, 1 / len(campaign.data[split]))
    )


@pytest.fixture
def begun(begun):
    """With two lower fidelities, unless a test says others."""
    return partial(begun, fidelities=[0, 10, 30])


def scored(campaign: Campaign) -> dict[int, set[str]]:
    """Ids by number of examples."""
    splits = {10: first_examples(10), 30: first_examples(30), 80: Split.VALIDATION}
    return {n: set(find_accuracy(campaign, split, SEARCH)) for n, split in splits.items()}


def timed(campaign: Campaign) -> set[str]:
    return set(find_latency(campaign, campaign.target("one"), SEARCH))


def test_a_round_scores_some_on_few_examples_and_tells_of_all(begun, paced) -> None:
    campaign = begun(rounds=2)
    before, timed_before = scored(campaign), timed(campaign)
    table = campaigns.search(campaign)
    after, new = scored(campaign), timed(campaign) - timed_before
    chosen = set().union(*after.values()) - before[80]
    assert table["measured"].all() and chosen <= timed(campaign)
    assert table["proposed"].sum() == len(after[80] - before[80])
    assert table["screened"].sum() >= len((after[10] | after[30]) - after[80]) > 0
    assert new
    assert campaigns.search(campaign).equals(table)  # nothing is chosen anew
    assert scored(campaign) == after


def test_fronts_are_of_what_has_seen_all(begun, paced) -> None:
    campaign = begun()
    campaigns.search(campaign)
    after = scored(campaign)
    front = campaigns.validate(campaign)
    named = {i for frame in (front if isinstance(front, list) else [front]) for i in frame["arch_id"]}
    assert named <= after[80]


def test_what_was_seen_is_not_shown_again(begun, monkeypatch, paced) -> None:
    shown: list[tuple[str, int]] = []
    evaluate = ImageTask.evaluate

    def noted(self, arch, data, size, *, batch):
        shown.append((arch.id, len(data)))
        return evaluate(self, arch, data, size, batch=batch)

    campaign = begun(rounds=4)
    monkeypatch.setattr(ImageTask, "evaluate", noted)
    before = scored(campaign)[80]
    campaigns.search(campaign)
    total: dict[str, int] = {}
    for arch_id, n in shown:
        total[arch_id] = total.get(arch_id, 0) + n
    after = scored(campaign)
    for arch_id, n in total.items():
        assert n == max(k for k, ids in after.items() if arch_id in ids), "each example once"
    assert set(total) == set().union(*after.values()) - before


def test_stopped_anywhere_it_goes_on_there(begun, search_interrupted, paced) -> None:
    whole = begun(rounds=2)
    campaigns.search(whole)
    campaign = begun(rounds=2)
    assert search_interrupted(campaign, "allocate") > 1
    assert scored(campaign) == scored(whole) and timed(campaign) == timed(whole)


def test_the_ladder_counts_what_is_left(begun, paced) -> None:
    campaign = begun()
    known, view = Known.read(campaign), views(campaign)[0]
    ladder = Ladder(campaign, view, view.measured(known), known, EvaluationCosts(campaign))
    calibration = len(campaign.data["calibration"])
    assert ladder.images == [0, 10, 30, 80]
    (new,) = campaign.space.sample(1, np.random.default_rng(9))
    complete = campaign.space.architecture(known.architectures[next(iter(scored(campaign)[80]))].to_dict())
    only_timed = next(a for a in campaign.profile_set.timed if a.id not in scored(campaign)[80])
    found = ladder.fidelities([new, only_timed, complete])
    both = 10.0  # two devices
    assert found.seconds[0].tolist() == [
        both,
        both + 10 + calibration,
        both + 30 + calibration,
        both + 80 + calibration,
    ]
    assert found.seconds[1].tolist() == [np.inf, 10 + calibration, 30 + calibration, 80 + calibration]
    assert np.isinf(found.seconds[2]).all() and found.reached.tolist() == [-1, 0, 3]
    assert found.rest[0].tolist() == [80 + calibration, 70, 50, 0]
    accuracy = [o.metric for o in view.objectives].index("accuracy")
    column = found.noise[:, accuracy]
    assert np.isinf(column[0]) and column[1] > column[2] > column[3] == 0.0
    assert ladder.round_seconds(3) == pytest.approx(3 * (both + 80 + calibration))


def test_seconds_are_those_that_were_measured(begun) -> None:
    campaign = begun()
    costs = EvaluationCosts(campaign)
    assert (costs.weights >= 0).all() and costs.weights.sum() > 0
    archs = [campaign.space.smallest(), campaign.space.largest()]
    few, many = costs.evaluation(archs, np.tile([0.0, 100.0], (2, 1))).T
    assert (few == 0).all() and (many > 0).all()
    assert costs.timing([]) == 0.0 and costs.timing(["one", "two"]) >= costs.timing(["one"])


def test_a_store_that_tells_no_seconds_is_said(begun, monkeypatch) -> None:
    campaign = begun()
    monkeypatch.setattr(campaign.store, "scan", lambda *_, **__: iter(()))
    with pytest.raises(CampaignError, match="told how long it took"):
        EvaluationCosts(campaign)


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"fidelities": [30, 10]}, "must ascend"),
        ({"fidelities": [10, 10]}, "must ascend"),
        ({"fidelities": [-1]}, "greater than or equal to 0"),
        ({"fidelities": [10], "screening_factor": 2}, "leave one out"),
    ],
)
def test_settings_that_say_nothing_are_refused(small_config, search, said) -> None:
    data = tomllib.loads(small_config.read_text())
    data["search"] |= search
    with pytest.raises(ConfigError, match=said):
        parse_config(data, "test")


def test_as_many_examples_as_there_are_is_refused(boards) -> None:
    with pytest.raises(DataError, match=r"fidelities = \[80\], but there are 80"):
        campaigns.check(boards(search={"fidelities": [80]}))


def test_what_cannot_is_refused_at_once(boards) -> None:
    with pytest.raises(CampaignError, match="'nsga2' cannot choose what to measure on how much"):
        check_tactic(boards(search={"fidelities": [10], "tactic": "nsga2"}))
    with pytest.raises(CampaignError, match="accuracy is no objective on 'one'"):
        check_tactic(boards(objective=[{"metric": m} for m in ("latency", "macs")], search={"fidelities": [10]}))


def test_searches_with_and_without_are_not_mixed_up(boards, begun, paced) -> None:
    campaign = begun()
    proposer = Proposer(campaign)
    assert proposer.campaign is campaign
    from hwsearch.campaigns.states import search_state

    other = boards(search={"fidelities": [10]})
    names = {search_state(c.config, list(c.targets.values())) for c in (campaign, other, boards())}
    assert len(names) == 3
