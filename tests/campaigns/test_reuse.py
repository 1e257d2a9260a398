"""What is taken over from a former campaign, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import hwsearch
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.reuse import open_for_device, reuse_measurements
from hwsearch.errors import CampaignError, ConfigError, DeviceError, TrustError

NEW = """
[[device]]
name = "new"
runtime = "simulated"
batch = 16
options = { table = "amd-epyc-vm-t2-b16/cifar10-mbv3", seed = 5 }

[fleet]
isolation = false
"""


@pytest.fixture
def old(finished, tmp_path: Path) -> Path:
    folder = tmp_path / "old"
    shutil.copytree(finished[0], folder)
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "new.toml"
    path.write_text(NEW)
    return path


def test_settings_and_accuracies_are_those_of_the_former_campaign(old: Path, config: Path, tmp_path: Path) -> None:
    campaign = open_for_device(config, old, "new", folder=tmp_path / "new")
    former = Campaign.open(old)
    assert campaign.config.data == former.config.data and campaign.config.profile == former.config.profile
    assert [d.name for d in campaign.config.device] == ["new"] and campaign.config.budget == type(
        campaign.config.budget
    )()
    first = reuse_measurements(campaign, campaign.target("new"), old)
    kept = campaign.store.frame(metric="accuracy").drop(columns="run")
    theirs = former.store.frame(metric="accuracy").drop(columns="run")
    assert kept.equals(theirs) and first.accuracies == (theirs["purpose"] == "search").sum()
    assert set(first.latencies) == {"one", "four"} and campaign.store.count(metric="latency_ms") == 0
    assert reuse_measurements(campaign, campaign.target("new"), old) == first
    assert campaign.store.count() == len(kept)


def test_own_tables_count_and_objectives_of_former_devices_do_not(old: Path, config: Path, tmp_path: Path) -> None:
    path = old / "campaign.toml"
    path.write_text(path.read_text() + '\n[[objective]]\nmetric = "energy"\ndevice = "four"\n')
    config.write_text(NEW + "\n[validate]\ncandidates = 7\n")
    campaign = open_for_device(config, old, None, folder=tmp_path / "new")
    assert campaign.config.validate_.candidates == 7
    assert [o.metric for o in campaign.config.objective] == ["accuracy", "latency_ms"]
    assert open_for_device(tmp_path / "new", old, "new").config == campaign.config  # its folder does as well
    config.write_text(NEW + '\n[search]\nprefer = "reference"\nreference = { "latency@four" = 3.0 }\n')
    with pytest.raises(ConfigError, match="latency@four"):
        open_for_device(config, old, None, folder=tmp_path / "other")


def test_another_user_s_former_campaign_is_not_trusted(old: Path, config: Path, tmp_path: Path, monkeypatch) -> None:
    from hwsearch.campaigns import trust

    path = old / "campaign.toml"
    path.write_text(path.read_text().replace('name = "cifar10-mbv3"', f'name = "{tmp_path}/net.py:ENTRY"', 1))
    monkeypatch.setattr(trust, "current_user", lambda: -1)
    with pytest.raises(TrustError):
        open_for_device(config, old, None, folder=tmp_path / "new").loaded  # noqa: B018


def test_bad_input(old: Path, config: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    with pytest.raises(CampaignError, match="latencies 5 is not from 20"):
        hwsearch.run(config, folder=new, reuse=old, latencies=5)
    with pytest.raises(CampaignError, match="evaluations -1"):
        hwsearch.run(config, folder=new, reuse=old, evaluations=-1)
    with pytest.raises(CampaignError, match="evaluations is of a new device"):
        hwsearch.run(config, folder=new, evaluations=3)
    with pytest.raises(CampaignError, match="not a campaign to reuse"):
        hwsearch.run(config, folder=new, reuse=tmp_path / "nowhere")
    with pytest.raises(CampaignError, match="by itself"):
        hwsearch.run(config, folder=old, reuse=old)
    with pytest.raises(DeviceError, match="toaster"):
        hwsearch.run(config, folder=new, reuse=old, device="toaster")
    config.write_text(NEW.replace('"new"', '"four"'))
    with pytest.raises(CampaignError, match="'four' is one of"):
        hwsearch.run(config, folder=tmp_path / "named", reuse=old)
    config.write_text('[[device]]\nname = "same"\n[fleet]\nisolation = false\n')  # measured as 'one' there
    with pytest.raises(CampaignError, match="as 'one'"):
        hwsearch.run(config, folder=tmp_path / "same", reuse=old)
    config.write_text(NEW + NEW.replace('"new"', '"newer"').replace("[fleet]\nisolation = false\n", ""))
    with pytest.raises(CampaignError, match="2 devices"):
        hwsearch.run(config, folder=tmp_path / "two", reuse=old)
    config.write_text("[data]\nvalidation_images = 70\ntest_images = 90\ncalibration_images = 60\nbatch = 60\n" + NEW)
    with pytest.raises(CampaignError, match="other data"):
        hwsearch.run(config, folder=tmp_path / "data", reuse=old)
    config.write_text('[search]\ntactic = "random"\n' + NEW)
    with pytest.raises(CampaignError, match="'random' cannot name"):
        hwsearch.run(config, folder=tmp_path / "tactic", reuse=old)


def test_a_former_campaign_without_accuracies(old: Path, config: Path, tmp_path: Path) -> None:
    (old / "store.sqlite").unlink()
    Campaign.open(old).store.close()
    with pytest.raises(CampaignError, match="no accuracy"):
        hwsearch.run(config, folder=tmp_path / "new", reuse=old)
