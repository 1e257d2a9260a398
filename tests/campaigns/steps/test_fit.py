"""Predictors of a campaign: their cards, what they learnt from, and the figures beside their files."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import hwsearch
import predictors
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.lookup import find_latency
from hwsearch.campaigns.purpose import PROFILE, SEARCH
from hwsearch.campaigns.steps import fit as step
from hwsearch.devices.timing.operator_profile import PROTOCOL
from hwsearch.errors import CampaignError
from hwsearch.store import Measurement


def test_each_predictor_has_a_card_of_all_candidates_and_a_figure(finished, tmp_path, monkeypatch) -> None:
    shutil.copytree(finished[0], tmp_path / "run")
    drawn = []
    monkeypatch.setattr(step, "save_figure", lambda figure, folder, stem: drawn.append((folder.name, stem)))
    campaign = Campaign.open(tmp_path / "run")
    rows = step.fit(campaign)
    assert sorted(drawn) == [("predictors", n) for n in ("accuracy", "latency_ms@four", "latency_ms@one")]
    for row in rows.to_dict("records"):
        name = f"{row['metric']}@{row['device']}" if isinstance(row["device"], str) else row["metric"]
        card = predictors.read_card(tmp_path / "run" / "predictors" / f"{name}.zip")
        assert {"gaussian-process", "ridge", row["model"]} <= set(card["candidates"]) and card["model"] == row["model"]
        assert card["n"] == row["n"] == len(card["ids"]) and card["scores"]["mae"] == pytest.approx(row["mae"])


def test_operators_of_a_device_are_used_said_and_predicted_by(finished, tmp_path, monkeypatch) -> None:
    """A table by which sums are the latencies themselves, of the subnets that were measured and of others."""
    shutil.copytree(finished[0], tmp_path / "run")
    campaign = Campaign.open(tmp_path / "run")
    target = campaign.targets["one"]
    common = {"subject": target.fingerprint, "protocol": PROTOCOL, "purpose": str(PROFILE)}
    latency = find_latency(campaign, target, SEARCH)
    others = campaign.space.sample(12, np.random.default_rng(5))
    campaign.store.add_architectures(others)
    archs = campaign.store.architectures(campaign.space)
    ms = {a.id: float(latency[a.id].value or 0.0) if a.id in latency else 1.0 for a in archs}
    table = [Measurement("us", "operator_ms", value=1e-6, unit="ms", repeats=9, details={}, **common)]
    for a in archs:
        details = {"signatures": {"us": max(1, round(1e6 * ms[a.id]))}}
        table.append(
            Measurement(
                a.id, "kernels", value=1.0, unit="kernels", details=details, supernet=campaign.loaded.digest, **common
            )
        )
    campaign.store.add(table)
    monkeypatch.setattr(step, "fit_with_sources", lambda *_: (None, ""))
    rows = step.fit(campaign).set_index(["metric", "device"])
    row, other = rows.loc[("latency_ms", "one")], rows.loc[("latency_ms", "four")]
    assert row["model"] == "operators" and f"sums of the operators of {len(archs)} subnets explain" in row["sources"]
    assert "operators" not in str(other["sources"])
    card = predictors.read_card(tmp_path / "run" / "predictors" / "latency_ms@one.zip")
    assert (
        card["model"] == "operators"
        and card["operators"]["sum"] > 0.5
        and card["scores"]["mape"] == pytest.approx(row["mape"])
    )
    told = hwsearch.predict(campaign, device="one", random=5)
    assert len(told) == 5 and (told["latency_ms_low"] <= told["latency_ms"]).all()


def test_too_few_measurements_are_refused(boards) -> None:
    with pytest.raises(CampaignError, match=r"only 0 measurements of .* are there; a predictor needs"):
        step.fit(boards())
