"""A new device: which subnets it is timed on, what it is learnt from, and the front that follows."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import hwsearch
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.jobs.latency import measure_latency
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.split import Split
from hwsearch.errors import CampaignError, DeviceError


@pytest.fixture
def campaign(finished, tmp_path: Path) -> Campaign:
    """A finished campaign to which a simulated device is added, on which nothing has been measured."""
    folder = tmp_path / "again"
    shutil.copytree(finished[0], folder)
    path = folder / "campaign.toml"
    table = 'options = { table = "amd-epyc-vm-t2-b16/cifar10-mbv3", seed = 5 }'
    path.write_text(path.read_text() + f'\n[[device]]\nname = "new"\nruntime = "simulated"\nbatch = 16\n{table}\n')
    return Campaign.open(folder)


def test_a_plan_measures_nothing(campaign: Campaign) -> None:
    before = campaign.measured()
    found = hwsearch.plan(campaign, "new", samples=6)
    assert campaign.measured() == before and found.measured == 0 and found.trusted is None
    assert len(set(found.subnets["arch_id"])) == 6 and found.subnets["latency_ms"].isna().all() and not len(found.front)
    assert found.to_dict()["device"] == "new"
    again = hwsearch.plan(campaign, "new", samples=6)
    assert list(again.subnets["arch_id"]) == list(found.subnets["arch_id"])  # the same at every call
    assert "table:amd-epyc-vm-t1-b1" in found.sources
    assert "table:amd-epyc-vm-t2-b16" not in found.sources  # which it replays


def test_what_is_timed_predicts_the_front_without_an_accuracy(campaign: Campaign) -> None:
    scores = campaign.store.count(metric="accuracy")
    found = hwsearch.plan(campaign, "new", samples=8, measure=True)
    assert found.measured == 8 and found.subnets["latency_ms"].gt(0).all()
    assert campaign.store.count(metric="accuracy") == scores
    assert "8 latencies" in found.trusted and "most like" in found.trusted
    scored = Known.read(campaign).accuracy(Split.VALIDATION)
    front = found.front
    assert set(front["arch_id"]) <= set(scored) and front["latency_ms"].is_monotonic_increasing
    assert front["accuracy"].is_monotonic_increasing  # nothing on it is dominated
    assert (front["latency_ms_low"] < front["latency_ms"]).all()
    assert np.isfinite(front["latency_ms_expected"]).all()  # what is chosen for a short prediction is longer than that
    assert (front["latency_ms_expected"] / front["latency_ms"]).mean() > 1.0
    more = hwsearch.plan(campaign, "new", samples=3)
    assert more.measured == 8 and not set(more.subnets["arch_id"]) & set(found.subnets["arch_id"])
    archs = campaign.store.architectures(campaign.space, list(front["arch_id"]))
    timed = measure_latency(campaign, campaign.target("new"), archs)
    off = [abs(p / timed[i].value - 1) for i, p in zip(front["arch_id"], front["latency_ms"], strict=True)]
    assert np.median(off) < 0.15  # what is predicted is near what the device then measures


@pytest.mark.parametrize("samples", [0, -1, 10_000])
def test_numbers_of_samples_out_of_range(campaign: Campaign, samples: int) -> None:
    with pytest.raises(CampaignError, match="samples"):
        hwsearch.plan(campaign, "new", samples=samples)


def test_other_bad_input(campaign: Campaign) -> None:
    with pytest.raises(CampaignError, match="coverage"):
        hwsearch.plan(campaign, "new", coverage=np.nan)
    with pytest.raises(DeviceError):
        hwsearch.plan(campaign, "toaster")
