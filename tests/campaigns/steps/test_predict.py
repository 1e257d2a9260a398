"""Predictions of any subnets: which are asked for, what is told of each, and files of architectures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hwsearch
from hwsearch.api.results import predictions
from hwsearch.campaigns import Campaign, running
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.predictions import feature_matrix, predict, predictor_path
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.steps.predict import asked_subnets, predict_subnets, read_archs
from hwsearch.errors import CampaignError, DeviceError, SpaceError, StoreError, UnknownArchitectureGene
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import non_dominated
from predictors import GaussianProcessPredictor, read_card, save


@pytest.fixture
def campaign(finished) -> Campaign:
    return Campaign.open(finished[0])


def test_each_device_has_a_row_a_subnet(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "running", lambda *_: None)  # intervals as the fit gave them
    frame = hwsearch.predict(campaign, ["smallest", "largest"], random=5)
    names = list(campaign.targets)
    assert len(frame) == 7 * len(names) and list(frame["device"].unique()) == names
    first = frame[frame["device"] == names[0]].reset_index(drop=True)
    ends = [campaign.space.smallest(), campaign.space.largest()]
    assert list(first["arch_id"][:2]) == [a.id for a in ends] and first["genes"][0] == ends[0].to_dict()
    told = predict(campaign, "latency_ms", names[0], ends, 0.95)
    np.testing.assert_allclose(first["latency_ms"][:2], told["value"], rtol=1e-12)
    np.testing.assert_allclose(first["latency_ms_low"][:2], told["low"], rtol=1e-12)
    known = Known.read(campaign)
    score = known.accuracy(Split.VALIDATION)[ends[1].id].value
    assert first["accuracy_measured"][1] == score and first["latency_ms_measured"][:2].notna().all()
    wider = hwsearch.predict(campaign, "largest", names[0], coverage=0.99)
    assert (wider["accuracy_high"] - wider["accuracy_low"])[0] >= (first["accuracy_high"] - first["accuracy_low"])[1]
    assert set(frame["arch_id"]) == set(hwsearch.predict(campaign, ["smallest", "largest"], random=5)["arch_id"])


def test_the_predicted_front_is_corrected_for_having_been_chosen(with_processes: Campaign) -> None:
    campaign = with_processes
    found = predictions(campaign, random=200)
    assert set(found.front["device"]) == set(campaign.targets)
    for device, members in found.front.groupby("device"):
        rows = found.frame[found.frame["device"] == device]
        values = rows[["accuracy", "latency_ms"]].to_numpy()
        keep = non_dominated(values, [Objective("accuracy"), Objective("latency_ms")])
        assert len(members) and set(members["arch_id"]) == set(rows["arch_id"][keep])
        assert (members["accuracy_expected"] - members["accuracy"]).mean() < 0
        assert (members["latency_ms_expected"] - members["latency_ms"]).mean() > 0
    assert set(found.running["metric"]) == {"accuracy", "latency_ms"} and (found.running["n"] > 0).all()


def test_subnets_unlike_those_of_the_fit_are_named(with_processes: Campaign) -> None:
    campaign = with_processes
    space = campaign.space
    path = predictor_path(campaign, "accuracy", None)
    schema, card = campaign.loaded.net.schema(), read_card(path)
    gene = space.choices[0]
    rows = space.sample_array(400, np.random.default_rng(0))
    same = rows[rows[:, 0] == 0][:30]  # one value of the first gene alone
    y = 80 + np.random.default_rng(0).normal(size=len(same)) + same[:, 1]
    save(GaussianProcessPredictor(schema).fit(feature_matrix(campaign, same), y), path, card)
    other = space.from_array(rows[rows[:, 0] == 1][:5])
    frame = predict_subnets(campaign, other, campaign.targets.values())
    assert any(f"never measured: {gene.name}={gene.values[1]}" in said for said in frame.warnings)
    alike = predict_subnets(campaign, space.from_array(same[:3]), campaign.targets.values())
    assert not any("accuracy" in said and "never" in said for said in alike.warnings)


def test_files_of_architectures(campaign: Campaign, tmp_path: Path) -> None:
    space = campaign.space
    archs = [space.smallest(), *space.sample(4, np.random.default_rng(0))]
    table = pd.DataFrame([a.to_dict() for a in archs]).assign(note="x", latency_ms=1.0)
    table.to_csv(tmp_path / "a.csv", index=False)
    table.to_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.json").write_text(json.dumps([a.to_dict() for a in archs]))
    (tmp_path / "ids.json").write_text(json.dumps(["smallest", *({"genes": a.to_dict()} for a in archs[1:])]))
    (tmp_path / "front.json").write_text(json.dumps({"points": [{"genes": a.to_dict(), "macs": 1} for a in archs]}))
    for name in ("a.csv", "a.parquet", "a.json", "ids.json", "front.json"):
        assert read_archs(campaign, tmp_path / name) == archs, name


@pytest.mark.parametrize(
    ("name", "text", "error", "said"),
    [
        ("no.json", None, SpaceError, "cannot be read"),
        ("a.json", "[1]", SpaceError, "entry 0"),
        ("a.json", '{"a": 1}', SpaceError, "no list"),
        ("a.json", '[{"nose": 3}]', UnknownArchitectureGene, "a.json, entry 0"),
        ("a.json", '["feedfacefeed"]', StoreError, "feedfacefeed"),
        ("a.csv", "x,y\n1,2\n", SpaceError, "no column that is a gene"),
        ("a.csv", "", SpaceError, "empty"),
    ],
)
def test_files_that_hold_something_else(campaign: Campaign, tmp_path: Path, name, text, error, said) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(error, match=said):
        read_archs(campaign, tmp_path / name)


def test_what_cannot_be_asked(campaign: Campaign, tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match="no subnet is named"):
        asked_subnets(campaign)
    for random in (0, -1, 10**9):
        with pytest.raises(CampaignError, match="not from 1"):
            asked_subnets(campaign, random=random)
    for coverage in (0.0, 1.0, 95.0, float("nan")):
        with pytest.raises(CampaignError, match="between 0 and 1"):
            hwsearch.predict(campaign, "largest", coverage=coverage)
    with pytest.raises(DeviceError):
        hwsearch.predict(campaign, "largest", "toaster")
