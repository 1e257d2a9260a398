"""Predictors of a campaign: their cards, what they learnt from, and the figures beside their files."""

from __future__ import annotations

import shutil

import pytest

import predictors
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.steps import fit as step
from hwsearch.errors import CampaignError


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


def test_too_few_measurements_are_refused(boards) -> None:
    with pytest.raises(CampaignError, match=r"only 0 measurements of .* are there; a predictor needs"):
        step.fit(boards())
