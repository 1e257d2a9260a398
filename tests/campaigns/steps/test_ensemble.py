"""Ensembles of a small campaign's measured subnets: what is chosen, told, written, measured and refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import hwsearch
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.ensembles.selection import Pool
from hwsearch.campaigns.jobs.accuracy import recorded_score
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.purpose import VALIDATE
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.steps.ensemble import disagreement, verdict
from hwsearch.campaigns.steps.fronts import final_set
from hwsearch.campaigns.views import device_view
from hwsearch.errors import CampaignError, LimitError, StoreError


@pytest.fixture
def campaign(finished, tmp_path: Path) -> Campaign:
    """A copy: other tests of this process know which files the campaign has."""
    return Campaign.open(shutil.copytree(finished[0], tmp_path / "campaign"))


def test_an_ensemble_is_chosen_judged_and_written(campaign: Campaign, tmp_path: Path) -> None:
    frame = final_set(device_view(campaign, campaign.target("one")), Known.read(campaign)).frame
    place = tmp_path / "e.onnx"
    limit = f"latency_ms<={frame['latency_ms'].sum()}"
    found = hwsearch.ensemble(campaign, limit, "one", members=3, output=place)
    single, whole = found["rows"]
    known = Known.read(campaign)
    stored = recorded_score(campaign, known.accuracy(Split.TEST, VALIDATE)[found["single"]])
    assert single["accuracy"] == pytest.approx(stored.value)  # scored anew, and the same
    assert found["chosen_from"] == len(frame) and found["gain_low"] <= found["gain"] <= found["gain_high"]
    assert whole["validation"] >= single["validation"] and whole["members"] == len(found["members"]) <= 3
    latencies = {r["arch_id"]: r["latency_ms"] for r in frame.to_dict("records")}
    assert whole["latency_ms"] == pytest.approx(sum(latencies[m["arch_id"]] for m in found["members"]))
    assert whole["accuracy"] - single["accuracy"] == pytest.approx(found["gain"])
    if whole["members"] == 1:
        assert found["path"] is None and "no gain" in found["verdict"] and not place.exists()
        return
    assert json.loads(place.with_suffix(".json").read_text())["ensemble"]["gain"] == found["gain"]


def test_it_is_measured_when_asked(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    # eighty images may show that one member is best, and then there is no file to measure
    monkeypatch.setattr(Pool, "greedy", lambda self, most: self.choice([0, 1]))
    frame = final_set(device_view(campaign, campaign.target("one")), Known.read(campaign)).frame
    limit = f"latency_ms<={frame['latency_ms'].sum()}"
    found = hwsearch.ensemble(campaign, limit, "one", measure=True)
    measured = found["measured"]
    assert 0 < measured["low"] <= measured["latency_ms"] <= measured["high"] and measured["over_sum"] > 0
    assert found["path"] and 0 < found["difference_from_torch"] <= 1e-5 and found["disagreement"] is not None
    card = json.loads(Path(found["path"]).with_suffix(".json").read_text())
    assert card["ensemble"]["measured"] == measured and len(card["ensemble"]["members"]) == 2
    beside = hwsearch.ensemble(campaign, limit, "one", parallel=True)
    assert beside["rows"][1]["latency_ms"] == max(m["value"] for m in beside["members"])
    assert beside["rows"][1]["latency_ms"] < found["rows"][1]["latency_ms"]


@pytest.mark.parametrize(
    ("limit", "options", "error", "said"),
    [
        ("accuracy>=3", {}, LimitError, "no upper limit on the latency"),
        ("latency_ms>=3", {}, LimitError, "would keep only what is worse"),
        ("latency_ms<=1e-6", {}, LimitError, "no measured subnet of 'one'"),
        ([], {}, LimitError, "0 limits"),
        ("latency_ms<=3", {"fusion": "mean"}, CampaignError, "unknown fusion 'mean'"),
        ("latency_ms<=3", {"members": 1}, CampaignError, "members 1"),
        ("latency_ms<=3", {"parallel": True, "measure": True}, CampaignError, "cannot be measured"),
        ("latency_ms<=3", {"arch": "feedfacefeed"}, StoreError, "feedfacefeed"),
    ],
)
def test_what_cannot_be_is_refused(campaign: Campaign, limit, options, error, said) -> None:
    with pytest.raises(error, match=said):
        hwsearch.ensemble(campaign, limit, "one", **options)


def test_members_of_different_devices_are_refused(boards, monkeypatch) -> None:
    from dataclasses import replace

    from hwsearch.campaigns.steps import ensemble
    from hwsearch.campaigns.steps.evaluate import evaluate
    from hwsearch.campaigns.steps.profile import profile
    from hwsearch.campaigns.steps.validate import validate
    from hwsearch.errors import DeviceError

    campaign = boards(search={"rounds": 0}, validate={"rounds": 0})
    profile(campaign), evaluate(campaign), validate(campaign)
    read = Known.read(campaign)
    ids = list(read.latency("one", VALIDATE))
    lacking = {k: v for k, v in read.latency("one", VALIDATE).items() if k != ids[0]}
    known = replace(read, on_devices={**read.on_devices, ("one", "latency_ms", VALIDATE): lacking})
    monkeypatch.setattr(ensemble.Known, "read", classmethod(lambda cls, campaign: known))
    with pytest.raises(CampaignError, match=r"no final measurements on 'one', but on 'two': latencies of two devices"):
        hwsearch.ensemble(campaign, "latency_ms<=100", "one", arch=ids[:2])
    with pytest.raises(DeviceError, match="runs genes"):
        hwsearch.ensemble(campaign, "latency_ms<=100", "one", measure=True)


def test_verdicts_and_disagreement_by_hand() -> None:
    assert verdict(2, 1.0, 0.4) == "gain" and verdict(2, -1.0, 0.4) == "loss"
    assert verdict(2, 1.0, 0.6).startswith("no gain that") and verdict(1, 0.0, 0.0).startswith("no gain: no ensemble")
    a, b, c = np.array([0, 1, 2, 3]), np.array([0, 1, 2, 0]), np.array([1, 1, 2, 3])
    assert disagreement([a, b, c]) == pytest.approx((0.25 + 0.25 + 0.5) / 3) and disagreement([a]) is None
