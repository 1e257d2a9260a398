"""Latencies of one device at several batches: which targets are the same device, and whether they help."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hwsearch.campaigns import Campaign
from hwsearch.campaigns.device_settings import fit_with_settings, other_settings, setting_of
from predictors import load, save


@pytest.fixture
def campaign(finished, tmp_path: Path) -> Campaign:
    shutil.copytree(finished[0], tmp_path / "again")
    return Campaign.open(tmp_path / "again")


def test_the_same_device_differs_in_settings_only(campaign: Campaign) -> None:
    one, four = campaign.targets["one"], campaign.targets["four"]
    assert (setting_of(one), setting_of(four)) == ((1.0, 1.0), (4.0, 1.0))
    found = other_settings(campaign, one)
    assert list(found) == ["four"] and found["four"][3] == (4.0, 1.0)
    X, y, noise, _ = found["four"]
    assert X.shape == (len(y), len(campaign.loaded.net.schema())) and len(noise) == len(y) >= 14
    one.facts = {**one.facts, "runtime": "another"}
    assert other_settings(campaign, one) == {}


@pytest.mark.parametrize("facts", [{}, {"batch": 1}, {"batch": 1, "threads": "all"}, {"batch": 0, "threads": 1}])
def test_a_device_without_settings_has_none(facts: dict) -> None:
    assert setting_of(SimpleNamespace(facts=facts)) is None  # type: ignore[arg-type]


def test_other_settings_are_used_only_where_they_are_no_worse(campaign: Campaign, tmp_path: Path) -> None:
    target = campaign.targets["one"]
    X, four, noise, _ = other_settings(campaign, target)["four"]
    y = 0.3 * np.asarray(four)[:12] ** 0.9
    rows = np.asarray(X)[:12], y, np.zeros(12)
    found, said = fit_with_settings(campaign, target, rows, y * 9.0)
    assert found is not None and "of the variance with four" in said and "800.0 % without" in said
    save(found, tmp_path / "p.zip")
    assert np.array_equal(load(tmp_path / "p.zip").predict(X), found.predict(X))
    found, said = fit_with_settings(campaign, target, rows, y.copy())
    assert found is None and "other batches and threads do not help and are not used" in said
    target.facts = {}
    assert fit_with_settings(campaign, target, rows, y) == (None, "")
