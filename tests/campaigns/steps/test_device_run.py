"""The campaign of a new device: what is taken over, what is timed, and what is delivered as measured or as predicted."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hwsearch
from hwsearch.campaigns import Campaign
from hwsearch.objectives import Objective
from hwsearch.objectives.pareto import non_dominated

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
    with closing(sqlite3.connect(folder / "store.sqlite")) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what was copied of an open store becomes one file
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "new.toml"
    path.write_text(NEW)
    return path


def files(folder: Path) -> dict[str, bytes]:
    """All that lies there but the files of an open connection, which this test itself makes."""
    there = (p for p in folder.rglob("*") if p.is_file() and not p.name.endswith(("-shm", "-wal")))
    return {str(p.relative_to(folder)): p.read_bytes() for p in there}


def test_a_front_is_named_without_an_accuracy_and_then_measured(old: Path, config: Path, tmp_path: Path) -> None:
    before = files(old)
    found = hwsearch.run(config, folder=tmp_path / "new", device="new", reuse=old, latencies=20)
    campaign = Campaign.open(tmp_path / "new")
    scores = campaign.store.count(metric="accuracy")
    assert found["latencies"] == found["measured"] == 20 and found["evaluated"] == 0
    assert scores == Campaign.open(old).store.count(metric="accuracy")
    assert set(found["reused"]["latencies"]) == {"one", "four"}
    assert campaign.config.data.validation_images == 80  # as in the former campaign
    named = pd.DataFrame(found["named"])
    assert len(named) and not named["accuracy_measured"].all()
    for name in ("accuracy", "latency_ms"):
        guessed = named[~named[f"{name}_measured"]]
        assert (guessed[f"{name}_low"] < guessed[name]).all() and (guessed[name] < guessed[f"{name}_high"]).all()
    told = set(campaign.store.frame(metric="latency_ms")["arch_id"])
    assert set(named[named["latency_ms_measured"]]["arch_id"]) == set(named["arch_id"]) & told
    for row in found["front"]:  # every row of it was measured, here and there
        assert row["arch_id"] in told and campaign.store.count(metric="accuracy", arch_ids=[row["arch_id"]])

    again = hwsearch.run(config, folder=tmp_path / "new", reuse=old, latencies=20)
    assert again["measured"] == 0 and [r["arch_id"] for r in again["named"]] == list(named["arch_id"])
    more = hwsearch.run(config, folder=tmp_path / "new", reuse=old, latencies=20, evaluations=10)
    assert more["evaluated"] == 10 and campaign.store.count(metric="accuracy") == scores + 10
    front = pd.DataFrame(more["front"])
    values = front[["accuracy", "latency_ms"]].to_numpy(dtype=np.float64)
    assert len(front) > 2 and non_dominated(values, [Objective("accuracy"), Objective("latency_ms")]).all()
    assert files(old) == before


def test_an_interrupted_run_is_taken_up(old: Path, config: Path, tmp_path: Path, monkeypatch) -> None:
    from hwsearch.campaigns.steps import device_run, new_device

    calls = []
    real = new_device.measure_latency

    def stopped(*args, **options):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*args, **options)

    monkeypatch.setattr(new_device, "measure_latency", stopped)
    with pytest.raises(KeyboardInterrupt):
        hwsearch.run(config, folder=tmp_path / "new", reuse=old, latencies=20)
    timed = Campaign.open(tmp_path / "new").store.count(metric="latency_ms")
    assert 0 < timed < 20
    monkeypatch.setattr(new_device, "measure_latency", real)
    scored = device_run.measure_latency

    def stopped_round(campaign, target, archs, **options):
        if options["stage"] == "round 1":
            raise KeyboardInterrupt
        return scored(campaign, target, archs, **options)

    monkeypatch.setattr(device_run, "measure_latency", stopped_round)
    with pytest.raises(KeyboardInterrupt):
        hwsearch.run(config, folder=tmp_path / "new", reuse=old, latencies=20, evaluations=4)
    monkeypatch.setattr(device_run, "measure_latency", scored)
    campaign = Campaign.open(tmp_path / "new")
    scores = campaign.store.count(metric="accuracy")
    found = hwsearch.run(config, folder=tmp_path / "new", reuse=old, latencies=20, evaluations=4)
    assert campaign.store.count(metric="accuracy") == scores and found["evaluated"] == 4
    assert found["latencies"] == 24
