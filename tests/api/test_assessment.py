"""The verb `assess_supernet` on a small supernet of a user's own file and a folder of images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import hwsearch
from hwsearch.api import assessing
from hwsearch.api.assessment import PAGE, RECORD, RESULT, TABLE
from hwsearch.errors import CheckpointError, ConfigError, DataError, OutputError, SupernetError, TrainingError
from hwsearch.supernets import catalogue
from hwsearch.supernets.checkpoint import save_weights

NETWORK = """
from hwsearch.supernets import SupernetEntry
from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3

def build(classes={classes}):
    stages = (Stage(8, 1, "relu", False), Stage(16, 2, "h_swish", True))
    config = MobileNetV3Config(
        "tiny", stages, 8, 2, 24, 24, classes, kernels=(3, 5), expansions=(1, 2), depths=(1, 2), resolutions=(12, 16)
    )
    return ElasticMobileNetV3(config)

ENTRY = SupernetEntry("tiny", "a small one", build)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``net.py``, its weights ``tiny.safetensors``, and ``images`` of three classes."""
    folder = tmp_path_factory.mktemp("worth")
    (folder / "net.py").write_text(NETWORK.format(classes=3))
    torch.manual_seed(0)
    save_weights(catalogue.entry(f"{folder}/net.py:ENTRY").build(), folder / "tiny.safetensors", {})
    rng = np.random.default_rng(0)
    for split, n in (("train", 30), ("test", 20)):
        for label, name in enumerate(("blue", "green", "red")):
            (folder / "images" / split / name).mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(0, 156, (16, 16, 3))
                pixels[..., label] += 90
                Image.fromarray(pixels.astype(np.uint8)).save(folder / "images" / split / name / f"{i}.png")
    return folder


SMALL = {"subnets": 8, "bands": 2, "examples": 40, "batches": 2, "passes": 4}


def assess(place: Path, folder: Path, **more):
    given = {"checkpoint": place / "tiny.safetensors", "data": place / "images", **SMALL, **more}
    return hwsearch.assess_supernet(f"{place}/net.py:ENTRY", folder, **given)


@pytest.fixture(scope="module")
def assessed(place: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("out") / "new"
    return assess(place, folder, standalone=5), folder


def test_bands_are_of_the_subnets_of_the_table(assessed) -> None:
    found, folder = assessed
    table = pd.read_csv(folder / TABLE)
    assert len(table) == 8 and table["arch_id"].is_unique and found["examples"] == 40
    assert len(found["bands"]) == 2 and table["macs"].is_monotonic_increasing
    for band in found["bands"]:
        mine = table[table["band"] == band["band"]]
        assert band["subnets"] == len(mine) and band["macs_low"] <= mine["macs"].min()
        assert band["score"]["value"] == pytest.approx(mine["score"].mean())
        assert band["excess_loss"]["value"] == pytest.approx(mine["excess_loss"].mean(), abs=1e-6)
    assert json.loads((folder / RESULT).read_text(encoding="utf-8")) == found
    page = (folder / PAGE).read_text(encoding="utf-8")
    assert found["advice"]["strategy"] in page and "trained by itself" in page


def test_probes_are_trained_by_themselves_and_paired(assessed) -> None:
    found, folder = assessed
    table = pd.read_csv(folder / TABLE)
    probes = table.dropna(subset=["standalone"])
    assert len(probes) == found["gap"]["n"] == found["rank_correlation"]["n"] == 5 and found["passes"] == 4
    np.testing.assert_allclose(probes["gap"], probes["standalone"] - probes["score"], atol=1e-9)
    assert {table["macs"].idxmin(), table["macs"].idxmax()} <= set(probes.index)
    assert not (folder / assessing.UNDER_WAY).exists()
    assert (
        found["conflict"]["batches"] == 2
        and found["conflict"]["parts"]
        and -1 <= found["conflict"]["smallest_largest"]["value"] <= 1
    )


def test_nothing_is_measured_twice(assessed, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, folder = assessed
    for name in ("judge_inherited", "judge_alone"):
        monkeypatch.setattr(assessing, name, lambda *_, **__: pytest.fail("measured again"))
    again = assess(place, folder, standalone=5)
    timed = ("created", "seconds")
    assert {k: v for k, v in again.items() if k not in timed} == {k: v for k, v in found.items() if k not in timed}


def test_an_assessment_that_is_interrupted_keeps_what_it_has(place: Path, tmp_path: Path, monkeypatch) -> None:
    judged, real = [], assessing.judge_inherited

    def third_fails(task, net, arch, calibration, data):
        if len(judged) == 2:
            raise KeyboardInterrupt
        judged.append(arch.id)
        return real(task, net, arch, calibration, data)

    monkeypatch.setattr(assessing, "judge_inherited", third_fails)
    with pytest.raises(KeyboardInterrupt):
        assess(place, tmp_path)
    assert len(json.loads((tmp_path / RECORD).read_text())["assessed"]) == 2
    monkeypatch.setattr(assessing, "judge_inherited", lambda *a: judged.append(a[2].id) or real(*a))
    assess(place, tmp_path)
    assert len(judged) == len(set(judged)) == 8


def test_the_supernet_is_left_as_it_was_and_the_seed_decides(place: Path, tmp_path: Path, assessed) -> None:
    found, _ = assessed
    other = assess(place, tmp_path / "a", seed=1)
    assert other["digest"] == found["digest"] and other["gap"] is None and other["passes"] is None
    assert {r["arch_id"] for r in other["subnets"]} != {r["arch_id"] for r in found["subnets"]}
    holds = {rule["rule"]: rule["holds"] for rule in other["advice"]["rules"]}
    assert [name for name, known in holds.items() if known is None] == ["large-lose", "small-lose", "order", "gap"]
    assert (
        "Train longer first: the best measured subnet is not clearly better than guessing"
        in other["advice"]["sentence"]
    )


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"subnets": 1}, ConfigError, "subnets 1 is not a whole number of at least 2"),
        ({"bands": 5}, ConfigError, "8 subnets of 5 bands: a band needs 2. Give subnets 10"),
        ({"batches": 1.5}, ConfigError, "batches 1.5 is not a whole number"),
        ({"standalone": 1}, ConfigError, "one probe has no smaller and no larger one"),
        ({"standalone": 4, "data": None}, ConfigError, "needs the supernet's training data"),
        ({"data": None}, DataError, "supernet 'tiny' ships no examples"),
        ({"checkpoint": None}, CheckpointError, "supernet 'tiny' ships no weights"),
        ({"data": "nowhere"}, DataError, "nowhere"),
        ({"standalone": 4, "lr": 50.0}, TrainingError, "lr = 50.0 is not valid"),
    ],
)
def test_what_cannot_be_is_refused(place: Path, tmp_path: Path, given, error, said: str) -> None:
    with pytest.raises(error, match=said):
        assess(place, tmp_path, **given)


def test_data_of_other_classes_and_unknown_supernets_are_refused(place: Path, tmp_path: Path) -> None:
    (place / "four.py").write_text(NETWORK.format(classes=4))
    with pytest.raises((DataError, CheckpointError), match=r"classes|shape"):
        hwsearch.assess_supernet(
            f"{place}/four.py:ENTRY", tmp_path, checkpoint=place / "tiny.safetensors", data=place / "images", **SMALL
        )
    with pytest.raises(SupernetError, match="cifar10-mbv3"):
        hwsearch.assess_supernet("cifar10-mbv2", tmp_path)


def test_files_of_others_are_kept(place: Path, tmp_path: Path) -> None:
    (tmp_path / TABLE).write_text("mine")
    with pytest.raises(OutputError, match=r"assessment\.csv' exists"):
        assess(place, tmp_path)
    (tmp_path / TABLE).unlink()
    (tmp_path / PAGE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match=r"assessment\.html' is a link"):
        assess(place, tmp_path, force=True)
    assert not (tmp_path / RECORD).exists()
