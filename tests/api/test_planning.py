"""A plan of the shipped recipe, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import hwsearch
from hwsearch.api import planning
from hwsearch.errors import ConfigError, TrainingError
from hwsearch.supernets import catalogue
from hwsearch.training.planning.calibration import design, fit

TOPOLOGY = '[topology]\nleaves = 2\nranks_per_leaf = 2\nspines = 3\nplacement = "striped"\n'
NETWORK = "[network]\nalpha_us = 20\nlink_gbps = 10\n"


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    path = tmp_path / "cluster.toml"
    path.write_text(TOPOLOGY + NETWORK + "[compute]\npass_ms = 50\n")
    return path


def test_the_shipped_recipe_is_planned(cluster: Path) -> None:
    plan = hwsearch.plan_training("cifar10-mbv3", cluster, examples=50_000, draws=20)
    assert plan["ranks"] == 4 and [s["steps"] for s in plan["stages"]] == [24 * 390, 30 * 390, 20 * 390]
    state = catalogue.load_supernet("cifar10-mbv3").net.state_dict()
    floats = sum(4 * v.numel() for v in state.values() if v.dtype == torch.float32)
    assert plan["stages"][0]["sum_bytes"] == floats
    hours = {(t["collective"], t["routing"]): t for t in plan["totals"]}
    one = [c for c in plan["costs"] if (c["collective"], c["routing"]) == ("ring", "split")]
    expected = sum(s["steps"] * (50 * s["passes"] + c["exchange_ms"]) for s, c in zip(plan["stages"], one, strict=True))
    assert hours["ring", "split"]["hours"] == pytest.approx(expected / 3.6e6)
    assert hours["ring", "split"]["exchange_hours"] == pytest.approx(hours["ring", "spray"]["exchange_hours"])
    assert hours["ring", "ecmp"]["hours"] > hours["ring", "spray"]["hours"]
    assert plan["calibration"] is None and len(plan["split"]["ring"]) == 4  # two flows on three spines
    assert plan == hwsearch.plan_training("cifar10-mbv3", cluster, examples=50_000, draws=20)


def test_incubated_modules_exchange_nothing_and_the_fine_tuning_does(cluster: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "assemble.toml"
    stages = [("assemble", "{ modules = 5, random = 1 }", 8), ("uniform", "{}", 3)]
    recipe.write_text(
        'supernet = "cifar10-mbv3"\n'
        + "".join(
            f'[[stage]]\nstrategy = "{name}"\nstrategy_options = {options}\n[stage.training]\nepochs = {epochs}\nbatch = 100\n'
            for name, options, epochs in stages
        )
    )
    plan = hwsearch.plan_training(recipe, cluster, examples=1000, draws=2)
    apart, tuned = plan["stages"]
    assert apart["sum_bytes"] == 0 and tuned["sum_bytes"] > 0
    # 4 processes: half a module's steps of the meta network, then modules 1 to 4 at once, then module 5
    assert (apart["steps"], tuned["steps"]) == (40 + 2 * 80, 30)
    assert apart["passes"] == pytest.approx((40 * 1 + 2 * 80 * 3) / 200)
    first = [c for c in plan["costs"] if c["stage"] == 1]
    assert {c["exchange_ms"] for c in first} == {0.0}
    assert {round(c["hours"] * 3.6e6) for c in first} == {
        (40 * 1 + 2 * 80 * 3) * 4 * 50
    }  # whole batches: 4 shares a pass
    assert len(plan["split"]["ring"]) == 4  # of the fine-tuning


def test_a_calibration_takes_the_place_of_the_network(cluster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.write_text(TOPOLOGY)
    sizes = (1000, 2000, 4000, 8000, 16000)
    exact = fit(sizes, (design(sizes, 2) @ [3e-4, 1e-9]).tolist(), 2)
    monkeypatch.setattr(planning, "calibrate_locally", lambda processes, environment: exact)
    plan = hwsearch.plan_training("cifar10-mbv3", cluster, examples=50_000, calibrate=2, draws=2)
    assert plan["network"]["alpha_us"] == pytest.approx(300) and plan["network"]["link_gbps"] == pytest.approx(8)
    assert plan["network"]["from"] == "calibration" and plan["calibration"]["mape_pct"] == pytest.approx(0, abs=1e-6)
    monkeypatch.setattr(planning, "calibrate_locally", lambda processes, environment: replace(exact, beta_s=0.0))
    with pytest.raises(TrainingError, match="no longer for more bytes"):
        hwsearch.plan_training("cifar10-mbv3", cluster, examples=50_000, calibrate=2)


def test_training_data_are_counted(cluster: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in catalogue.entry("cifar10-mbv3").examples()["test"].classes:
        (tmp_path / "images" / "train" / name).mkdir(parents=True)
        for k in range(13):
            pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / "train" / name / f"{k}.png")
    plan = hwsearch.plan_training("cifar10-mbv3", cluster, data=tmp_path / "images", draws=2)
    assert [s["steps"] for s in plan["stages"]] == [24, 30, 20]  # 130 images fill one batch of 128


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "Give examples or data"),
        ({"examples": 0}, "examples 0"),
        ({"examples": 9, "data": "x"}, "Give examples or data"),
        ({"examples": 50_000, "draws": 0}, "draws 0"),
        ({"examples": 50_000, "seed": -1}, "seed -1"),
        ({"examples": 50_000, "calibrate": 9}, "calibrate=9"),
    ],
)
def test_what_cannot_be_planned_is_refused(cluster: Path, given: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        hwsearch.plan_training("cifar10-mbv3", cluster, **given)


def test_clusters_that_do_not_fit_are_refused(cluster: Path) -> None:
    cluster.write_text(TOPOLOGY)
    with pytest.raises(ConfigError, match=r"table .network. is missing"):
        hwsearch.plan_training("cifar10-mbv3", cluster, examples=50_000)
    cluster.write_text(TOPOLOGY.replace("ranks_per_leaf = 2", "ranks_per_leaf = 3") + NETWORK)
    with pytest.raises(TrainingError, match="cannot be cut into 6"):
        hwsearch.plan_training("cifar10-mbv3", cluster, examples=50_000)
