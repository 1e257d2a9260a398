"""The assessment of a campaign's supernet: where it is written, what it is measured on, and that the report shows it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import hwsearch
from hwsearch.campaigns import Campaign
from hwsearch.errors import ConfigError

SMALL = {"subnets": 4, "bands": 2, "examples": 12, "batches": 2}


def test_an_assessed_campaign_shows_it(finished: tuple[Path, dict], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished[0], folder)
    found = hwsearch.assess_supernet(campaign=folder, **SMALL)
    campaign = Campaign.open(folder)
    assert found["digest"] == campaign.loaded.digest and found["assessment"] == campaign.config.supernet.name
    assert found["examples"] == 12 and found["training_examples"] == len(campaign.data["calibration"])
    assert {p.name for p in (folder / "assessment").iterdir()} >= {"assessment.html", "assessment.json"}
    hwsearch.report(folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "What the supernet is worth" in page and str(tmp_path) not in page


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "needs a supernet and a folder, or a campaign"),
        ({"supernet": "cifar10-mbv3"}, "needs a supernet and a folder, or a campaign"),
        ({"campaign": "c", "folder": "f"}, "names its supernet, weights and folder itself"),
        ({"campaign": "c", "supernet": "cifar10-mbv3"}, "names its supernet, weights and folder itself"),
        ({"campaign": "c", "checkpoint": "w.pt"}, "names its supernet, weights and folder itself"),
    ],
)
def test_a_supernet_or_a_campaign(given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        hwsearch.assess_supernet(**given)
