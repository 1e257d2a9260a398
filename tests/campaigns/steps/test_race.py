"""Racing candidates on the test images gives the front of full evaluation, from fewer images, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hwsearch
from hwsearch.campaigns.jobs.accuracy import measure_accuracy
from hwsearch.campaigns.lookup import find_accuracy
from hwsearch.campaigns.purpose import VALIDATE
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.steps.race import race_accuracy
from hwsearch.errors import CampaignError
from hwsearch.spaces import Architecture
from hwsearch.store import Measurement

CONFIG = """
[data]
calibration_images = 60
test_images = 400
[[device]]
name = "cpu"
[validate]
race_error = 0.05
"""


def open_campaign(folder: Path, text: str = CONFIG) -> hwsearch.Campaign:
    folder.mkdir()
    (folder / "c.toml").write_text(text)
    return hwsearch.Campaign.open(folder / "c.toml", folder=folder / "run")


def macs_as_latency(campaign: hwsearch.Campaign, archs: list[Architecture]) -> dict[str, dict[str, Measurement]]:
    rows = {
        a.id: Measurement(
            arch_id=a.id,
            metric="latency_ms",
            subject="cpu",
            protocol="none",
            purpose=str(VALIDATE),
            unit="ms",
            value=campaign.loaded.net.macs(a) / 1e6,
        )
        for a in archs
    }
    return {"cpu": rows}


def test_the_front_is_that_of_full_evaluation(tmp_path: Path) -> None:
    raced, full = open_campaign(tmp_path / "a"), open_campaign(tmp_path / "b")
    archs = sorted(raced.space.sample(30, np.random.default_rng(3)), key=raced.loaded.net.macs)[:9]
    costs = macs_as_latency(raced, archs)
    measure_accuracy(raced, archs[:1], split=Split.TEST, purpose=VALIDATE)  # one that is known already
    race_accuracy(raced, archs, costs)
    measured = find_accuracy(raced, Split.TEST, VALIDATE)
    everything = measure_accuracy(full, archs, split=Split.TEST, purpose=VALIDATE)
    assert 2 <= len(measured) < len(archs)
    assert all(m.value == everything[k].value and m.record == everything[k].record for k, m in measured.items())
    points = {a.id: (costs["cpu"][a.id].value, -everything[a.id].value) for a in archs}
    front = {k for k, p in points.items() if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points.values())}
    assert front <= set(measured)
    again = len(raced.store.frame())
    race_accuracy(raced, archs, costs)
    assert len(raced.store.frame()) == again


def test_other_objectives_and_other_devices_keep_their_members(tmp_path: Path) -> None:
    """The smallest is on the front of params although another is faster; what one device cannot run is evaluated."""
    campaign = open_campaign(
        tmp_path / "a", CONFIG + "".join(f'[[objective]]\nmetric = "{m}"\n' for m in ("accuracy", "latency", "params"))
    )
    archs = [campaign.space.smallest(), *campaign.space.sample(5, np.random.default_rng(5))]
    costs = macs_as_latency(campaign, archs)
    smallest = min(archs, key=campaign.loaded.net.params)
    slow = Measurement(
        arch_id=smallest.id,
        metric="latency_ms",
        subject="cpu",
        protocol="none",
        purpose=str(VALIDATE),
        unit="ms",
        value=99.0,
    )
    costs["cpu"][smallest.id] = slow
    missing = archs[3]
    costs["cpu"].pop(missing.id)
    race_accuracy(campaign, archs, costs)
    measured = find_accuracy(campaign, Split.TEST, VALIDATE)
    assert smallest.id in measured and missing.id in measured


def test_stopped_it_keeps_what_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = open_campaign(tmp_path / "a")
    archs = campaign.space.sample(6, np.random.default_rng(4))
    add, calls = campaign.store.add, []

    def stop_after_two(rows: list[Measurement]) -> object:
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(rows)
        return add(rows)

    monkeypatch.setattr(campaign.store, "add", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        race_accuracy(campaign, archs, macs_as_latency(campaign, archs))
    monkeypatch.undo()
    kept = find_accuracy(campaign, Split.TEST, VALIDATE)
    assert len(kept) == 2
    race_accuracy(campaign, archs, macs_as_latency(campaign, archs))
    after = find_accuracy(campaign, Split.TEST, VALIDATE)
    assert all(after[k].ended_at == m.ended_at for k, m in kept.items()) and len(after) > 2


def test_scores_that_count_no_right_answers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = open_campaign(tmp_path / "a")
    monkeypatch.setattr(type(campaign.loaded.task), "counts_correct", False)
    with pytest.raises(CampaignError, match="race_error needs a score that counts right answers"):
        race_accuracy(campaign, [], {})
