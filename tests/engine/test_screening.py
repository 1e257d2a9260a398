"""Screening: many candidates on what is cheap, few of them on the rest."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest

from hwsearch import campaigns
from hwsearch.accuracy import Accuracy
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.frames import archs_of
from hwsearch.campaigns.jobs.accuracy import accuracy_row, measure_accuracy
from hwsearch.campaigns.jobs.latency import measure_latencies
from hwsearch.campaigns.known import MAX_FAILURES, find_accuracy, find_latency
from hwsearch.campaigns.loading import parse_config
from hwsearch.campaigns.steps import screen
from hwsearch.campaigns.tactic import check_tactic
from hwsearch.campaigns.view import views
from hwsearch.errors import CampaignError, ConfigError, DataError
from hwsearch.searchers.bayesian.plumb import PlumbSearcher
from hwsearch.tasks.images import ImageTask

from .conftest import SMALL


def begun(boards, objective: list | None = None, **search) -> Campaign:
    changes = {"objective": objective} if objective else {}
    campaign = boards(search={"rounds": 1, "per_round": 4, "stop_gain": 0, **search}, **changes)
    campaigns.profile(campaign)
    campaigns.evaluate(campaign)
    return campaign


def evaluated(campaign: Campaign, split: str = "validation") -> set[str]:
    return set(find_accuracy(campaign, split, "search"))


def timed(campaign: Campaign) -> set[str]:
    return set(find_latency(campaign, campaign.target("one"), "search"))


def test_latency_first_and_accuracy_of_the_chosen(boards) -> None:
    campaign = begun(boards, screen=3)
    before = timed(campaign), evaluated(campaign)
    table = campaigns.search(campaign)
    assert table["screened"].tolist() == [6, 6] and table["proposed"].tolist() == [2, 2]
    assert table["measured"].all()
    assert len(timed(campaign) - before[0]) >= 10  # both devices may propose the same
    assert len(evaluated(campaign) - before[1]) == 4
    assert campaigns.search(campaign).equals(table)


def test_accuracy_first_and_latency_of_the_chosen(boards) -> None:
    campaign = begun(boards, screen=3, screen_with=["accuracy"])
    before = timed(campaign), evaluated(campaign)
    campaigns.search(campaign)
    assert len(evaluated(campaign) - before[1]) >= 10
    # what was timed in the profile and not evaluated may be chosen, too
    assert len(timed(campaign) - before[0]) <= 4


def test_few_images_first_and_all_of_the_chosen(boards) -> None:
    campaign = begun(boards, screen=3, screen_with=["latency", "accuracy"], screen_images=30)
    before = evaluated(campaign)
    campaigns.search(campaign)
    screened = evaluated(campaign, "screen")
    assert len(screened) >= 10 and len(evaluated(campaign) - before) == 4
    assert set(screen.estimates(campaign).value) == screened - evaluated(campaign)
    left = {
        a.id
        for a in screen.candidates(campaign, views(campaign)[0], views(campaign)[0].frame(), screen.estimates(campaign))
    }
    assert screened - evaluated(campaign) <= left and not left & evaluated(campaign)


def test_estimates_are_as_far_off_as_they_say(boards, monkeypatch) -> None:
    """Against the accuracies on all images, of images of which the first are harder for all subnets."""
    campaign = begun(boards, screen=2, screen_with=["latency", "accuracy"], screen_images=40)
    every = len(campaign.data["validation"])
    hard = np.where(np.arange(every) < 40, 0.15, 0.0)

    def answers(arch) -> Accuracy:
        chance = 0.9 - 0.3 * np.exp(-campaign.loaded.net.macs(arch) / 4e6) - hard
        return Accuracy(np.random.default_rng([int(arch.id, 16), 7]).random(every) < chance)

    archs = campaign.space.sample(120, np.random.default_rng(1))
    full = {a.id: answers(a) for a in archs}
    monkeypatch.setattr(screen, "recorded", lambda campaign, m: full[m.arch_id])

    def row(arch, score, split):
        return accuracy_row(campaign, arch, score, split, "search", "2025-01-01T00:00:00+00:00")

    known = {a.id: row(a, full[a.id], "validation") for a in archs[:30]}
    few = {a.id: row(a, full[a.id].head(40), "screen") for a in archs}
    monkeypatch.setattr(screen, "find_accuracy", lambda c, split, purpose: few if split == "screen" else known)
    found = screen.estimates(campaign)
    assert set(found.value) == {a.id for a in archs[30:]}
    off = np.array([full[k].value - v for k, v in found.value.items()])
    assert abs(off.mean()) < 2 * found.error / np.sqrt(30)
    assert 0.8 < off.std() / found.error < 1.25


def test_stopped_anywhere_it_goes_on_there(boards, monkeypatch) -> None:
    """Interrupted at each accuracy and each choice in turn, it ends with what an uninterrupted search measures."""
    options = {"screen": 3, "screen_with": ["latency", "accuracy"], "screen_images": 30, "rounds": 2}
    whole = begun(boards, **options)
    campaigns.search(whole)
    campaign = begun(boards, **options)
    calls, limit = 0, 0

    def interrupting(original):
        def call(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls > limit:
                raise KeyboardInterrupt
            return original(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(ImageTask, "evaluate", interrupting(ImageTask.evaluate))
        patch.setattr(PlumbSearcher, "choose", interrupting(PlumbSearcher.choose))
        stops = 0
        while True:
            calls, limit = 0, 3
            try:
                campaigns.search(campaign)
                break
            except KeyboardInterrupt:
                stops += 1
    assert stops > 5
    for split in ("screen", "validation"):
        assert evaluated(campaign, split) == evaluated(whole, split)
    assert timed(campaign) == timed(whole)


def test_candidates_not_worth_it_end_the_search_unmeasured(boards) -> None:
    campaign = begun(boards, screen=2, stop_gain=0.99, rounds=4)
    measure_accuracy(campaign, campaign.space.sample(20, np.random.default_rng(0)))
    measure_latencies(campaign, campaign.targets.values(), list(archs_of(views(campaign)[0].frame())))
    before = timed(campaign)
    table = campaigns.search(campaign)
    assert table["screened"].tolist() == [4, 4] and table["proposed"].tolist() == [0, 0]
    assert not table["measured"].any() and timed(campaign) == before
    assert "after 0 of 4 rounds" in campaigns.searching.how_it_ended(campaign)


def test_what_fails_is_not_chosen_again(boards, monkeypatch) -> None:
    campaign = begun(boards, screen=2, rounds=1)
    view = views(campaign)[0]
    arch = screen.candidates(campaign, view, view.frame(), screen.estimates(campaign))[0]
    failed = accuracy_row(campaign, arch, None, "validation", "search", "2025-01-01T00:00:00+00:00", failure="x")
    campaign.store.add([failed] * MAX_FAILURES)
    assert arch not in screen.candidates(campaign, view, view.frame(), screen.estimates(campaign))


def test_one_subnet_for_all_devices(boards) -> None:
    table = campaigns.search(begun(boards, screen=2, serve="worst"))
    assert table["screened"].tolist() == [8] and table["proposed"].tolist() == [4]


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"screen": 0}, "screen"),
        ({"screen": 2, "screen_with": []}, "screen_with is empty"),
        ({"screen": 2, "screen_with": ["macs"]}, "screen_with"),
        ({"screen": 2, "screen_with": ["latency", "accuracy"]}, "leave one out"),
        ({"screen": 2, "screen_images": 20}, "does not name accuracy"),
    ],
)
def test_senseless_settings_are_refused(search, said) -> None:
    data = tomllib.loads(SMALL)
    data["search"] |= search
    with pytest.raises(ConfigError, match=said):
        parse_config(data, "test")


def test_as_many_images_as_there_are_is_refused(boards) -> None:
    campaign = boards(search={"screen": 2, "screen_with": ["accuracy"], "screen_images": 80})
    with pytest.raises(DataError, match="screen_images = 80, but there are 80"):
        campaigns.check(campaign)


def test_a_tactic_that_cannot_is_refused_at_once(boards) -> None:
    with pytest.raises(CampaignError, match="'nsga2' cannot choose among screened candidates"):
        check_tactic(boards(search={"screen": 2, "tactic": "nsga2"}))


@pytest.mark.parametrize(
    ("metrics", "search", "said"),
    [
        (["accuracy", "macs"], {"screen_with": ["accuracy"]}, "nothing would be left to choose by"),
        (["accuracy", "macs"], {}, "latency, which is no objective"),
        (["latency", "macs"], {}, "nothing would be left to choose by"),
        (["latency", "macs"], {"screen_with": ["accuracy"]}, "accuracy, which is no objective"),
        (
            ["latency", "macs"],
            {"screen_with": ["latency", "accuracy"], "screen_images": 20},
            "accuracy, which is no objective",
        ),
    ],
)
def test_screening_that_leaves_nothing_to_choose_by_is_refused(boards, metrics, search, said) -> None:
    campaign = boards(objective=[{"metric": m} for m in metrics], search={"screen": 2, **search})
    with pytest.raises(CampaignError, match=said):
        check_tactic(campaign)


def test_few_images_are_enough_to_screen_accuracy_alone(boards) -> None:
    objectives = [{"metric": "accuracy"}, {"metric": "macs"}]
    search = {"screen": 3, "screen_with": ["accuracy"], "screen_images": 30}
    campaign = begun(boards, objective=objectives, **search)
    before = evaluated(campaign)
    assert campaigns.search(campaign)["proposed"].tolist() == [2, 2]
    assert len(evaluated(campaign) - before) == 4
