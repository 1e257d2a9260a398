"""Screening: many candidates on what is cheap, few of them on the rest."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest

from hwsearch import campaigns
from hwsearch.accuracy import Accuracy
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.jobs.accuracy import accuracy_row, measure_accuracy
from hwsearch.campaigns.jobs.latency import measure_latencies
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.loading import parse_config
from hwsearch.campaigns.lookup import MAX_FAILURES, find_accuracy, find_latency
from hwsearch.campaigns.purpose import SEARCH
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.steps import screen
from hwsearch.campaigns.steps.search import how_it_ended
from hwsearch.campaigns.tactic import check_tactic
from hwsearch.campaigns.views import views
from hwsearch.errors import CampaignError, ConfigError, DataError
from hwsearch.spaces import Architecture


def evaluated(campaign: Campaign, split: Split = Split.VALIDATION) -> set[str]:
    return set(find_accuracy(campaign, split, SEARCH))


def completable(campaign: Campaign) -> list[Architecture]:
    """Subnets that lack something on the first front, by what the store holds now."""
    known, view = Known.read(campaign), views(campaign)[0]
    return screen.completable(campaign, view, view.measured(known), known, screen.estimates(campaign, known))


def timed(campaign: Campaign) -> set[str]:
    return set(find_latency(campaign, campaign.target("one"), SEARCH))


def test_latency_first_and_accuracy_of_the_chosen(begun) -> None:
    campaign = begun(screening_factor=3)
    before = timed(campaign), evaluated(campaign)
    table = campaigns.search(campaign)
    assert table["screened"].tolist() == [6, 6] and table["proposed"].tolist() == [2, 2]
    assert table["measured"].all()
    assert len(timed(campaign) - before[0]) >= 10  # both devices may propose the same
    assert len(evaluated(campaign) - before[1]) == 4
    assert campaigns.search(campaign).equals(table)


def test_accuracy_first_and_latency_of_the_chosen(begun) -> None:
    campaign = begun(screening_factor=3, screening_metrics=["accuracy"])
    before = timed(campaign), evaluated(campaign)
    campaigns.search(campaign)
    assert len(evaluated(campaign) - before[1]) >= 10
    # what was timed in the profile and not evaluated may be chosen, too
    assert len(timed(campaign) - before[0]) <= 4


def test_few_images_first_and_all_of_the_chosen(begun) -> None:
    campaign = begun(screening_factor=3, screening_metrics=["latency", "accuracy"], screening_images=30)
    before = evaluated(campaign)
    campaigns.search(campaign)
    screened = evaluated(campaign, Split.SCREEN)
    assert len(screened) >= 10 and len(evaluated(campaign) - before) == 4
    assert set(screen.estimates(campaign, Known.read(campaign)).value) == screened - evaluated(campaign)
    left = {a.id for a in completable(campaign)}
    assert screened - evaluated(campaign) <= left and not left & evaluated(campaign)


def test_estimates_are_as_far_off_as_they_say(begun, monkeypatch) -> None:
    """Against the accuracies on all images, of images of which the first are harder for all subnets."""
    campaign = begun(screening_factor=2, screening_metrics=["latency", "accuracy"], screening_images=40)
    every = len(campaign.data["validation"])
    hard = np.where(np.arange(every) < 40, 0.15, 0.0)

    def answers(arch) -> Accuracy:
        chance = 0.9 - 0.3 * np.exp(-campaign.loaded.net.macs(arch) / 4e6) - hard
        return Accuracy(np.random.default_rng([int(arch.id, 16), 7]).random(every) < chance)

    archs = campaign.space.sample(120, np.random.default_rng(1))
    full = {a.id: answers(a) for a in archs}
    monkeypatch.setattr(screen, "recorded_score", lambda campaign, m: full[m.arch_id])

    def row(arch, score, split):
        return accuracy_row(campaign, arch, score, split, SEARCH, "2025-01-01T00:00:00+00:00")

    known = {a.id: row(a, full[a.id], Split.VALIDATION) for a in archs[:30]}
    few = {a.id: row(a, full[a.id].head(40), Split.SCREEN) for a in archs}
    scores = {(Split.VALIDATION, SEARCH): known, (Split.SCREEN, SEARCH): few}
    found = screen.estimates(campaign, Known(scores=scores))
    assert set(found.value) == {a.id for a in archs[30:]}
    off = np.array([full[k].value - v for k, v in found.value.items()])
    assert abs(off.mean()) < 2 * found.error[archs[30].id] / np.sqrt(30)
    assert 0.8 < off.std() / found.error[archs[30].id] < 1.25


def test_stopped_anywhere_it_goes_on_there(begun, search_interrupted) -> None:
    """Interrupted at each accuracy and each choice in turn, it ends with what an uninterrupted search measures."""
    options = {"screening_factor": 3, "screening_metrics": ["latency", "accuracy"], "screening_images": 30, "rounds": 2}
    whole = begun(**options)
    campaigns.search(whole)
    campaign = begun(**options)
    assert search_interrupted(campaign, "choose") > 5
    for split in (Split.SCREEN, Split.VALIDATION):
        assert evaluated(campaign, split) == evaluated(whole, split)
    assert timed(campaign) == timed(whole)


def test_candidates_not_worth_it_end_the_search_unmeasured(begun) -> None:
    campaign = begun(screening_factor=2, stop_gain=0.99, rounds=4)
    measure_accuracy(campaign, campaign.space.sample(20, np.random.default_rng(0)))
    measure_latencies(campaign, campaign.targets.values(), views(campaign)[0].measured(Known.read(campaign)).archs)
    before = timed(campaign)
    table = campaigns.search(campaign)
    assert table["screened"].tolist() == [4, 4] and table["proposed"].tolist() == [0, 0]
    assert not table["measured"].any() and timed(campaign) == before
    assert "after 0 of 4 rounds" in how_it_ended(campaign)


def test_what_fails_is_not_chosen_again(begun, monkeypatch) -> None:
    campaign = begun(screening_factor=2, rounds=1)
    arch = completable(campaign)[0]
    failed = accuracy_row(campaign, arch, None, Split.VALIDATION, SEARCH, "2025-01-01T00:00:00+00:00", failure="x")
    campaign.store.add([failed] * MAX_FAILURES)
    assert arch not in completable(campaign)


def test_one_subnet_for_all_devices(begun) -> None:
    table = campaigns.search(begun(screening_factor=2, deployment="worst-case"))
    assert table["screened"].tolist() == [8] and table["proposed"].tolist() == [4]


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"screening_factor": 0}, "screening_factor"),
        ({"screening_factor": 2, "screening_metrics": []}, "screening_metrics is empty"),
        ({"screening_factor": 2, "screening_metrics": ["macs"]}, "screening_metrics"),
        ({"screening_factor": 2, "screening_metrics": ["latency", "accuracy"]}, "leave one out"),
        ({"screening_factor": 2, "screening_images": 20}, "does not name accuracy"),
    ],
)
def test_senseless_settings_are_refused(small_config, search, said) -> None:
    data = tomllib.loads(small_config.read_text())
    data["search"] |= search
    with pytest.raises(ConfigError, match=said):
        parse_config(data, "test")


def test_as_many_images_as_there_are_is_refused(boards) -> None:
    campaign = boards(search={"screening_factor": 2, "screening_metrics": ["accuracy"], "screening_images": 80})
    with pytest.raises(DataError, match="screening_images = 80, but there are 80"):
        campaigns.check(campaign)


def test_a_tactic_that_cannot_is_refused_at_once(boards) -> None:
    with pytest.raises(CampaignError, match="'nsga2' cannot choose among screened candidates"):
        check_tactic(boards(search={"screening_factor": 2, "tactic": "nsga2"}))


@pytest.mark.parametrize(
    ("metrics", "search", "said"),
    [
        (["accuracy", "macs"], {"screening_metrics": ["accuracy"]}, "nothing would be left to choose by"),
        (["accuracy", "macs"], {}, "latency, which is no objective"),
        (["latency", "macs"], {}, "nothing would be left to choose by"),
        (["latency", "macs"], {"screening_metrics": ["accuracy"]}, "accuracy, which is no objective"),
        (
            ["latency", "macs"],
            {"screening_metrics": ["latency", "accuracy"], "screening_images": 20},
            "accuracy, which is no objective",
        ),
    ],
)
def test_screening_that_leaves_nothing_to_choose_by_is_refused(boards, metrics, search, said) -> None:
    campaign = boards(objective=[{"metric": m} for m in metrics], search={"screening_factor": 2, **search})
    with pytest.raises(CampaignError, match=said):
        check_tactic(campaign)


def test_few_images_are_enough_to_screen_accuracy_alone(begun) -> None:
    objectives = [{"metric": "accuracy"}, {"metric": "macs"}]
    search = {"screening_factor": 3, "screening_metrics": ["accuracy"], "screening_images": 30}
    campaign = begun(objective=objectives, **search)
    before = evaluated(campaign)
    assert campaigns.search(campaign)["proposed"].tolist() == [2, 2]
    assert len(evaluated(campaign) - before) == 4
