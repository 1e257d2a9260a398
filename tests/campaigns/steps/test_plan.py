"""A budget is divided over the steps, kept, and divided again; what it leaves out is said."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from hwsearch.campaigns.budget.pace import Pace
from hwsearch.campaigns.budget.settings import PLAN, planned_settings, with_settings
from hwsearch.campaigns.config import CampaignConfig
from hwsearch.campaigns.steps import plan as module
from hwsearch.campaigns.steps.candidates import Candidates
from hwsearch.campaigns.steps.plan import Budget, budget_words, budgeted
from hwsearch.errors import CampaignError

#: all other tests have a stand-in for it
COUNT_CANDIDATES = module._candidates


class Store:
    """Documents in memory."""

    def __init__(self) -> None:
        self.documents: dict[str, dict] = {}
        self.lost: dict[str, float] = {}

    def lost_seconds(self) -> dict[str, float]:
        return self.lost

    def get_state(self, name: str) -> dict | None:
        return self.documents.get(name)

    def put_state(self, name: str, document: dict) -> None:
        self.documents[name] = document


class Said:
    """Collects notes and warnings."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.warn = self.warnings.append

    @contextmanager
    def task(self, name: str, total: float, unit: str):
        yield SimpleNamespace(note=self.notes.append, update=lambda done: None)


class Fake:
    """A campaign of one device whose pace is given: 100 subnets timed a second, 1000 examples scored a second."""

    def __init__(self, minutes: float | None, store: Store | None = None) -> None:
        self.asked = CampaignConfig.model_validate(
            {
                "device": ({"name": "cpu"},),
                "data": {"calibration_images": 1000, "validation_images": 1000, "test_images": 3000},
                "profile": {"latency": 100, "accuracy": 50, "random": 10},
                "search": {"rounds": 3, "per_round": 10},
                "protocol": {"processes": (1, 1)},
                "validate": {"processes": (4, 4), "rounds": 1, "candidates": 20},
                "budget": {"minutes": minutes},
            }
        )
        self.store, self.progress, self.waited_s = store or Store(), Said(), 0.0
        self.pace = Pace({"evaluate": 0.001, "start cpu": 1.0, "time cpu": 0.01, "propose": 1, "fit": 1, "report": 1})
        self.data: dict = {"calibration": range(1000)}
        self.loaded = SimpleNamespace(task=SimpleNamespace(examples="images"))
        self.taken_up = 0

    @property
    def config(self) -> CampaignConfig:
        return with_settings(self.asked, planned_settings(self.store.get_state(PLAN)))

    def plan_anew(self) -> None:
        self.taken_up += 1


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_look", lambda campaign: None)
    monkeypatch.setattr(module, "contention", lambda: 1.0)
    monkeypatch.setattr(module, "views", lambda campaign: ["cpu"])
    monkeypatch.setattr(module, "_candidates", lambda campaign: lambda most: min(most, 15))


def test_without_a_budget_nothing_is_planned_or_kept() -> None:
    campaign = Fake(None)
    with budgeted(campaign, "profile"):  # type: ignore[arg-type]
        pass
    assert campaign.store.documents == {} and campaign.progress.notes == [] and budget_words(campaign) is None  # type: ignore[arg-type]


def test_what_fits_is_measured_as_configured_and_shown_as_a_plan() -> None:
    campaign = Fake(10)
    Budget(campaign).before("profile")  # type: ignore[arg-type]
    assert campaign.config == campaign.asked
    # profile 3 × 1 + 100 × 0.01, evaluate 50 × 2, search 3 × (1 + 20 + 1.1), validate 4 × (1 + 0.2) + 20 × 4 + 1.1
    assert campaign.progress.notes == [
        "about 4:20 of 10:00 min: profile 0:04, evaluate 1:40, fit 0:02, search 1:06, validate 1:26, export 0:01, report 0:01"
    ]
    assert campaign.progress.warnings == [] and budget_words(campaign) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("minutes", [4.0, 3.0, 2.0])
def test_less_is_measured_where_it_does_not_fit_and_the_plan_keeps_to_the_budget(minutes: float) -> None:
    campaign = Fake(minutes)
    Budget(campaign).before("profile")  # type: ignore[arg-type]
    (point,) = campaign.store.documents[PLAN]["points"]
    assert 0.8 * point["budget_s"] < point["left_s"] <= point["budget_s"] < 60 * minutes
    words = budget_words(campaign)  # type: ignore[arg-type]
    assert words is not None and words.startswith(
        f"To keep to its budget of {minutes:g} minutes the campaign measured less"
    )
    assert "2 instead of 4 final processes" in words and "test images" in words
    assert campaign.progress.warnings == []


def test_what_can_never_fit_is_said() -> None:
    campaign = Fake(1)
    campaign.pace.note("evaluate", 1, 0.02)
    Budget(campaign).before("profile")  # type: ignore[arg-type]
    (text,) = campaign.progress.warnings
    assert text.startswith("the least that this campaign can measure takes about ")
    assert text.endswith("of its budget of 1 minutes 0.9 are left.")
    assert "less time for each latency" in str(budget_words(campaign))  # type: ignore[arg-type]


def test_a_plan_is_kept_for_the_run_that_goes_on_and_made_anew_for_another_budget() -> None:
    store = Store()
    first = Fake(3, store)
    Budget(first).before("profile")  # type: ignore[arg-type]
    settings = dict(first.store.documents[PLAN]["points"][0]["settings"])
    again = Fake(3, store)
    again.pace.note("evaluate", 1, 0.1)  # it would have planned otherwise
    Budget(again).before("profile")  # type: ignore[arg-type]
    assert again.config == first.config and settings and again.progress.notes == []
    other = Fake(100, store)
    Budget(other).before("profile")  # type: ignore[arg-type]
    assert other.config == other.asked


def test_a_slower_host_is_seen_before_the_next_steps() -> None:
    campaign = Fake(5)
    Budget(campaign).before("profile")  # type: ignore[arg-type]
    assert campaign.config == campaign.asked
    campaign.pace.note("evaluate", 1, 0.004)
    Budget(campaign).before("evaluate")  # type: ignore[arg-type]
    assert campaign.config.profile == campaign.asked.profile  # it has begun
    assert campaign.config.data.validation_images < 1000 and campaign.taken_up == 2


def test_time_that_was_spent_counts_and_time_that_others_were_waited_for_does_not() -> None:
    campaign = Fake(5)
    budget = Budget(campaign)  # type: ignore[arg-type]
    budget.before("profile")
    spent = campaign.store.documents[PLAN]["spent_s"]
    campaign.waited_s += 70.0
    budget.after("profile", 100.0)
    assert campaign.store.documents[PLAN]["spent_s"] == pytest.approx(spent + 30.0)
    with pytest.raises(CampaignError), budgeted(campaign, "evaluate"):  # type: ignore[arg-type]
        raise CampaignError("stopped.")
    assert campaign.store.documents[PLAN]["took"].keys() == {"profile", "evaluate"}
    Budget(campaign).before("validate")  # type: ignore[arg-type]
    assert campaign.store.documents[PLAN]["points"][-1]["budget_s"] == pytest.approx(0.95 * 300 - spent - 30.0, abs=1.0)


def test_a_plan_counts_what_is_validated_however_few_candidates_are_left(monkeypatch) -> None:
    """Two fronts share a member; their five undominated ones are measured whatever the budget."""
    found = {"one": Candidates(["a", "b", "c", "near"], 3), "two": Candidates(["a", "d", "e"], 3)}
    monkeypatch.setattr(module, "views", lambda campaign: list(found))
    monkeypatch.setattr(module, "candidates", lambda view, known: found[view])
    monkeypatch.setattr(module.Known, "read", classmethod(lambda cls, campaign, final: None))
    count = COUNT_CANDIDATES(None)  # type: ignore[arg-type]
    assert [count(most) for most in (9, 4, 3, 1)] == [6, 6, 5, 5]


def test_what_a_killed_run_took_is_taken_off_the_budget_once() -> None:
    store = Store()
    store.lost = {"search": 500.0}  # before the budget was set
    Budget(Fake(10, store))  # type: ignore[arg-type]
    assert store.documents[PLAN]["spent_s"] == 0.0
    store.lost = {"search": 500.0, "validate": 40.0}
    for _ in range(2):
        Budget(Fake(10, store))  # type: ignore[arg-type]
        assert store.documents[PLAN]["spent_s"] == 40.0
