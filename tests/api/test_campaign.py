"""The verbs on a campaign: what is noted of each step, their order, and what they pass on."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from hwsearch import api
from hwsearch.api import campaign as module
from hwsearch.api import opening
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.config import CampaignConfig
from hwsearch.errors import CampaignError, StoreError, SupernetError, TrainingError


class Store:
    """Remembers the runs that are begun and ended."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, str]] = []
        self.fails = False

    def begin_run(self, name: str, host: object) -> int:
        self.runs.append((name, "begun"))
        return len(self.runs) - 1

    def end_run(self, run: int, status: str) -> None:
        if self.fails:
            raise StoreError("the disk is full.")
        self.runs[run] = (self.runs[run][0], status)


class Fake(Campaign):
    """A campaign without a supernet."""

    def __init__(self, folder: Path = Path("runs/x")) -> None:
        self.folder, self.notes, self.count = folder, [], 0
        self.asked = CampaignConfig(device=({"name": "cpu"},))
        self.waited_s = 0.0
        self.loaded = None  # as after a step of this process, so that it is read as it is
        self._held = Store()

    @property
    def store(self) -> Store:
        return self._held

    def log_to_file(self) -> logging.Handler:
        handler = logging.NullHandler()
        logging.getLogger("hwsearch").addHandler(handler)
        return handler

    def note_seconds(self, name: str, seconds: float, *, went_on: bool = False) -> None:
        self.notes.append(name)

    def measured(self) -> int:
        return self.count


@pytest.fixture
def fake() -> Fake:
    return Fake()


def test_a_campaign_is_opened_once(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    assert opening.open_campaign(fake) is fake
    seen = []
    monkeypatch.setattr(Campaign, "open", lambda source, **options: seen.append((source, options)) or fake)
    assert opening.open_campaign("c.toml", folder="here") is fake
    assert seen == [("c.toml", {"folder": "here", "progress": None, "trust": False})]


def test_a_step_is_noted_with_its_end_and_the_log_is_closed(fake: Fake) -> None:
    before = list(logging.getLogger("hwsearch").handlers)
    assert opening.do_step(fake, "profile", lambda c: "found") == "found"
    with pytest.raises(CampaignError):
        opening.do_step(fake, "fit", lambda c: (_ for _ in ()).throw(CampaignError("no.")))
    with pytest.raises(KeyboardInterrupt):
        opening.do_step(fake, "search", lambda c: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(SupernetError, match=r"ended the program: SystemExit: 3 \(.*test_campaign\.py, line"):
        opening.do_step(fake, "evaluate", lambda c: sys.exit(3))
    ended = [("profile", "done"), ("fit", "failed"), ("search", "interrupted"), ("evaluate", "failed")]
    assert fake.store.runs == ended and fake.notes == [name for name, _ in ended]
    assert logging.getLogger("hwsearch").handlers == before


def test_a_store_that_fails_at_the_end_hides_no_error_of_the_step(fake: Fake) -> None:
    fake.store.fails = True
    with pytest.raises(StoreError, match="disk is full"):
        opening.do_step(fake, "profile", lambda c: None)
    with pytest.raises(CampaignError, match="the step's own"):
        opening.do_step(fake, "profile", lambda c: (_ for _ in ()).throw(CampaignError("the step's own.")))


@pytest.fixture
def steps(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> list:
    """All steps only write down that they were done; each of the first ones measures ten values."""
    done: list = []

    def step(name: str):
        def run(campaign: Fake) -> None:
            done.append(name)
            campaign.count += 10

        return run

    monkeypatch.setattr(module, "STEPS", {name: step(name) for name in module.STEPS})
    monkeypatch.setattr(module.campaigns, "export", lambda c: done.append("export") or ["card"])
    monkeypatch.setattr(
        module.campaigns, "build_report", lambda c, cards=None: done.append(("report", cards)) or {"report": "r"}
    )
    return done


def test_a_run_does_every_step_in_order_and_reports_the_models_just_written(fake: Fake, steps: list) -> None:
    fake.count = 7
    found = api.run(fake)
    order = ["check", "profile", "evaluate", "fit", "search", "validate"]
    assert steps == [*order, "export", ("report", ["card"])]
    assert (found["folder"], found["measured"], found["report"]) == ("runs/x", 60, "r") and found["seconds"] >= 0
    assert [name for name, _ in fake.store.runs] == [*order, "export", "report"]


def test_the_demo_is_a_run_of_the_shipped_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(
        "hwsearch.api.demonstration.run", lambda source, **options: seen.append((source, options)) or {}
    )
    api.demo()
    api.demo(folder="there")
    assert all(source.name == "demo.toml" and source.is_file() for source, _ in seen)
    assert [options["folder"] for _, options in seen] == ["runs/demo", "there"]


def test_a_pick_takes_one_limit_or_several(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(module.campaigns, "pick", lambda c, limits, device, **more: seen.append((limits, more)) or {})
    api.pick(fake, "latency_ms<=2", export="m.onnx")
    api.pick(fake, ("latency_ms<=2", "macs<=5M"), probability=0.9)
    api.pick(fake)
    assert [limits for limits, _ in seen] == [["latency_ms<=2"], ["latency_ms<=2", "macs<=5M"], []]
    assert seen[0][1]["export"] == Path("m.onnx") and seen[1][1]["export"] is None and seen[1][1]["probability"] == 0.9


def test_settings_of_a_fine_tuning_are_checked_before_the_campaign_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Campaign, "open", lambda *_, **__: pytest.fail("opened"))
    with pytest.raises(TrainingError, match=r"unknown fine-tuning setting 'step'\. Did you mean 'steps'"):
        api.finetune("c.toml", "largest", step=3)
    with pytest.raises(TrainingError, match="steps = 0 is not valid"):
        api.finetune("c.toml", "largest", steps=0)


def test_a_storage_is_tried_before_the_report_is_made(fake: Fake, steps: list, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")
    monkeypatch.setattr("hwsearch.searchers.optuna.storage.check_storage", lambda storage: steps.append(storage))
    monkeypatch.setattr(module.campaigns, "write_studies", lambda c, storage: steps.append("studies") or {"x/one": 3})
    assert api.report(fake, optuna="sqlite:///o.db") == {"report": "r", "optuna": {"x/one": 3}}
    assert steps == ["sqlite:///o.db", ("report", None), "studies"]
    assert api.report(fake) == {"report": "r"}
