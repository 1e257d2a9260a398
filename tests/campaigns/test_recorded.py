"""Reading runs nothing: a finished campaign whose ENTRY file and programs leave a mark when they run, and then are gone."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import hwsearch
from hwsearch import api
from hwsearch.campaigns import Campaign
from hwsearch.campaigns import trust as trust_module
from hwsearch.campaigns.recorded import RecordedCampaign, as_recorded, record_name
from hwsearch.errors import CampaignError, DeviceError, HwsearchError, StoreError, TrustError
from tests.cli.calls import call

#: verbs that only read a campaign: in Python, and on the command line
VERBS: dict[str, Callable[[Path], object]] = {
    "front": lambda c: hwsearch.front(c, "one").to_frame(),
    "joint front": lambda c: hwsearch.front(c, deployment="worst-case").to_frame(),
    "pick": lambda c: hwsearch.pick(c, "latency_ms<=1000", "one"),
    "devices": lambda c: api.devices(c),
    "report": lambda c: hwsearch.report(c)["devices"],
    "tables": lambda c: hwsearch.tables("export", c, device="one", folder=c / "tables"),
}
COMMANDS = [
    ("front", "RUN", "--device", "one"),
    ("front", "RUN", "--deployment", "worst-case"),
    ("pick", "RUN", "--device", "one", "--limit", "latency_ms<=1000"),
    ("devices", "RUN"),
    ("report", "RUN"),
    ("tables", "export", "RUN", "--device", "one", "--folder", "RUN/tables"),
]


class Finished(NamedTuple):
    """A measured campaign, what its verbs gave while network and devices were in use, and the files it names."""

    folder: Path
    before: dict[str, object]
    named: tuple[Path, ...]
    marks: tuple[Path, ...]
    live: Campaign


@pytest.fixture(scope="module")
def finished_once(boards, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    place = tmp_path_factory.mktemp("named")
    net, facts, imported, asked = (place / n for n in ("net.py", "facts.py", "imported", "asked"))
    net.write_text(
        f"from pathlib import Path\nfrom hwsearch.supernets.catalogue import entry\n"
        f"Path({str(imported)!r}).touch()\nENTRY = entry('cifar10-mbv3')\n"
    )
    facts.write_text(f"import pathlib\npathlib.Path({str(asked)!r}).touch()\nprint('{{\"board\": 1}}')\n")
    program = f"{sys.executable} {facts}"
    devices = [
        {
            "name": name,
            "runtime": "command",
            "batch": batch,
            "options": {"command": f"{program} {{model}} {{runs}} {{batch}}", "facts_command": program},
        }
        for name, batch in (("one", 1), ("two", 16))
    ]
    campaign = boards(supernet={"name": f"{net}:ENTRY"}, device=devices)
    for verb in (hwsearch.profile, hwsearch.evaluate, hwsearch.fit, hwsearch.search, hwsearch.validate):
        verb(campaign)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hwsearch.campaigns.steps.report.make_all", lambda data: {})
        patch.setattr("hwsearch.campaigns.steps.report.save_all", lambda data, folder, figures: [])
        patch.setattr("hwsearch.campaigns.steps.report.write_page", lambda data, path, figures: None)
        hwsearch.report(campaign)  # exports the models, which later reports show
        before = {name: verb(campaign) if name != "tables" else None for name, verb in VERBS.items()}
    assert imported.exists() and asked.exists()
    return Finished(campaign.folder, before, (net, facts), (imported, asked), campaign)


@pytest.fixture(params=["named files are there", "named files are gone"])
def finished(request: pytest.FixtureRequest, finished_once: Finished, monkeypatch: pytest.MonkeyPatch):
    """The campaign with its marks removed, once with and once without the files that its configuration names."""
    for mark in finished_once.marks:
        mark.unlink(missing_ok=True)
    texts = {p: p.read_text() for p in finished_once.named}
    if "gone" in request.param:
        for path in texts:
            path.unlink()
    for name, nothing in (("make_all", {}), ("save_all", []), ("write_page", None)):
        monkeypatch.setattr(f"hwsearch.campaigns.steps.report.{name}", lambda *_, nothing=nothing: nothing)
    yield finished_once
    for path, text in texts.items():
        path.write_text(text)


def alike(one: object, other: object) -> bool:
    """Whether two verbs gave the same, but for the kind of numbers."""

    def text(value: object) -> str:
        plain = value.to_dict("list") if hasattr(value, "to_dict") else value
        return json.dumps(plain, sort_keys=True, default=lambda x: x.item() if hasattr(x, "item") else str(x))

    return text(one) == text(other)


@pytest.mark.parametrize("name", VERBS)
def test_a_reading_verb_runs_nothing_and_gives_the_same(finished: Finished, name: str) -> None:
    found = VERBS[name](finished.folder)
    assert not [m for m in finished.marks if m.exists()]
    if name != "tables":
        assert alike(found, finished.before[name])


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_reading_command_runs_nothing(finished: Finished, words, monkeypatch, capsys) -> None:
    args = [w.replace("RUN", str(finished.folder)) for w in words]
    code, out, err = call(monkeypatch, capsys, *args, "--json")
    assert code == 0, err
    assert isinstance(json.loads(out), dict)
    assert not [m for m in finished.marks if m.exists()]


def test_everything_that_reading_needs_is_recorded(finished_once: Finished) -> None:
    live, recorded = finished_once.live, as_recorded(Campaign.open(finished_once.folder))
    assert isinstance(recorded, RecordedCampaign) and as_recorded(recorded) is recorded
    assert recorded.loaded.digest == live.loaded.digest and recorded.space == live.space
    assert recorded.reference == live.reference and recorded.profile_set == live.profile_set
    assert {n: t.fingerprint for n, t in recorded.targets.items()} == {
        n: t.fingerprint for n, t in live.targets.items()
    }
    assert [recorded.example_subject(s) for s in recorded.data] == [live.example_subject(s) for s in live.data]
    archs = live.store.architectures(live.space)
    rows = live.space.to_array(archs)
    assert np.array_equal(recorded.loaded.net.features_array(rows)[0], live.loaded.net.features_array(rows)[0])
    assert [recorded.loaded.net.macs(a) for a in archs] == [live.loaded.net.macs(a) for a in archs]


def test_what_is_recorded_cannot_be_measured_on(finished_once: Finished) -> None:
    recorded = as_recorded(Campaign.open(finished_once.folder))
    target = recorded.target("one")
    for refused in (
        lambda: target.runtime.load(None),
        lambda: target.runtime.verify(None),
        lambda: recorded.data["test"].head(3),
        lambda: recorded.data["test"].key(0),
        lambda: recorded.data["test"].batches(32, 2),
    ):
        with pytest.raises(CampaignError, match="is not recorded"):
            refused()


def test_a_model_is_exported_with_the_boards_unplugged(finished_once: Finished, tmp_path: Path) -> None:
    facts = finished_once.named[1]
    text = facts.read_text()
    facts.unlink()
    try:
        card = hwsearch.pick(finished_once.folder, "latency_ms<=1000", "one", export=tmp_path / "m.onnx")["export"]
    finally:
        facts.write_text(text)
    assert set(card["latency"]) == {"one", "two"} and (tmp_path / "m.onnx").exists()


def test_other_weights_than_the_measured_are_not_exported(finished_once: Finished, tmp_path: Path) -> None:
    campaign = Campaign.open(finished_once.folder)
    record = campaign.store.get_state(record_name(campaign.config))
    record["supernet"]["digest"] = "another"
    with pytest.raises(CampaignError, match="has other weights than those that were measured"):
        _ = RecordedCampaign(campaign, record).with_network


@pytest.mark.parametrize("key", ["supernet", "task", "data", "leakage", "devices", "reference", "profile"])
def test_a_damaged_record_is_a_typed_error(finished_once: Finished, key: str) -> None:
    campaign = Campaign.open(finished_once.folder)
    record = campaign.store.get_state(record_name(campaign.config))
    for damaged in ({k: v for k, v in record.items() if k != key}, {**record, key: None}, {**record, key: 3}):
        with pytest.raises(HwsearchError):
            RecordedCampaign(campaign, damaged)
    with pytest.raises(StoreError, match="says of its campaign is damaged"):
        RecordedCampaign(campaign, {})


def test_what_this_process_knows_comes_before_the_record(finished_once: Finished) -> None:
    assert as_recorded(finished_once.live) is finished_once.live
    campaign = Campaign.open(finished_once.folder)
    _ = campaign.loaded
    assert as_recorded(campaign) is campaign


def test_another_configuration_has_another_record(finished_once: Finished) -> None:
    config = Campaign.open(finished_once.folder).config
    other = config.model_copy(update={"device": config.device[:1]})
    heavier = config.model_copy(update={"device": tuple(d.model_copy(update={"weight": 2.0}) for d in config.device)})
    assert record_name(config) == record_name(heavier) != record_name(other)


# ---------------------------------------------------------------------- whose the campaign is
def test_another_users_campaign_is_read_but_not_run(finished_once: Finished, monkeypatch) -> None:
    """The one place that says who this user is says somebody else."""
    monkeypatch.setattr(trust_module, "current_user", lambda: 4711)
    folder = finished_once.folder
    assert len(hwsearch.front(folder, "one").to_frame())
    with pytest.raises(TrustError, match="would import"):
        hwsearch.pick(folder, "latency_ms<=1000", "one", export=folder / "mine.onnx")
    for mark in finished_once.marks:
        mark.unlink(missing_ok=True)
    for verb in (hwsearch.check, hwsearch.profile, hwsearch.evaluate, hwsearch.run, hwsearch.work):
        with pytest.raises(TrustError, match=r"belongs to another user.*give --trust \(in Python trust=True\)"):
            verb(folder)
    assert not [m for m in finished_once.marks if m.exists()]
    with pytest.raises(
        DeviceError, match="answered what cannot be true"
    ):  # the program is asked, and gives no latencies
        hwsearch.check(folder, trust=True)
    assert all(m.exists() for m in finished_once.marks)


def test_the_command_line_asks_for_trust(finished_once: Finished, monkeypatch, capsys) -> None:
    monkeypatch.setattr(trust_module, "current_user", lambda: 4711)
    code, _, err = call(monkeypatch, capsys, "evaluate", str(finished_once.folder))
    assert code == 1 and "belongs to another user" in err and "--trust" in err
    code, _, err = call(monkeypatch, capsys, "devices", str(finished_once.folder), "--trust")
    assert code == 0, err
