"""Latencies of other devices: which are learnt from, and whether they help."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import hwsearch
import predictors
from hwsearch.campaigns import Campaign
from hwsearch.campaigns.device_sources import device_sources, fit_with_sources
from hwsearch.campaigns.states import REUSED
from hwsearch.spaces import Architecture
from predictors import CrossValidatedPredictor
from predictors.sources import LEAST


@pytest.fixture
def campaign(finished, tmp_path: Path) -> Campaign:
    folder = tmp_path / "again"
    shutil.copytree(finished[0], folder)
    return Campaign.open(folder)


def archs_of(campaign: Campaign, n: int) -> list[Architecture]:
    archs = campaign.space.sample(n, np.random.default_rng(1))
    campaign.enter(archs)
    return archs


def test_latencies_of_a_reused_campaign_are_sources(campaign: Campaign) -> None:
    archs = archs_of(campaign, LEAST + 5)
    latencies = {"phone": {a.id: 1.0 + i for i, a in enumerate(archs)}, "few": {archs[0].id: 1.0}}
    campaign.store.put_state(REUSED, {"folder": "old", "latencies": latencies})
    found = device_sources(campaign, campaign.target("one"), most=LEAST)
    assert "few" not in found and "one" not in found and len(found["phone"].y) == LEAST
    assert "table:amd-epyc-vm-t1-b1" in found and all(len(s.y) <= LEAST for s in found.values())


def test_sources_are_used_only_where_they_are_no_worse(campaign: Campaign) -> None:
    target, net = campaign.target("one"), campaign.loaded.net
    rows = campaign.space.to_array(archs_of(campaign, 12))
    X = net.features_array(rows)[0]
    like = device_sources(campaign, target)["table:amd-epyc-vm-t1-b1"]
    chosen = np.arange(0, len(like.y), len(like.y) // 12)[:12]
    known = like.X[chosen], 1.7 * like.y[chosen], np.zeros(12)
    without = CrossValidatedPredictor(schema=net.schema()).fit(*known)
    found, said = fit_with_sources(campaign, target, known, without.oof_predictions_)
    assert found is not None and "table:amd-epyc-vm-t1-b1" in said and "without" in said
    noise = np.random.default_rng(0).lognormal(0.0, 1.5, 12)  # follows nothing
    without = noise.copy()  # as if it were predicted without an error
    found, said = fit_with_sources(campaign, target, (X, noise, np.zeros(12)), without)
    assert found is None and "do not help and are not used" in said


def test_fit_says_what_it_trusted(campaign: Campaign) -> None:
    frame = hwsearch.fit(campaign)
    timed = frame[frame["metric"] == "latency_ms"]
    assert timed["sources"].str.contains("left-out error").all()
    for row in timed.itertuples():
        card = predictors.read_card(campaign.folder / "predictors" / f"latency_ms@{row.device}.zip")
        assert card["model"] == row.model and card["sources"]["trusted"] == row.sources
        assert (row.model == "other devices") == (bool(card["sources"]["hypotheses"]))
    assert len(hwsearch.predict(campaign, device="one", random=3)) == 3
