"""The strategy `generator` from a recipe to the ONNX file of a width that was never trained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

import hwsearch
from hwsearch.accuracy import recalibrate
from hwsearch.api.catalogue import check_file
from hwsearch.errors import CampaignError, CheckpointError, ConfigError, TrainingError, UnknownArchitectureGene
from hwsearch.supernets import catalogue
from hwsearch.tasks.data import NO_LIMIT

NETWORKS = """
from torch import nn
from hwsearch.supernets import SupernetEntry
from hwsearch.supernets.declared import Width, elastic
from hwsearch.tasks.images import ImageTask, Preprocess


def build(shares, gene="0"):
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 3, 1, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2),
    )
    return elastic(net, {gene: Width(shares, divisor=2)}, input_shape=(3, 16, 16), name="net")


def entry(name, *options):
    return SupernetEntry(name, "A tiny network", build=lambda: build(*options), task=ImageTask(Preprocess()))


ENTRY, DENSE = entry("net", (0.25, 0.5, 1.0)), entry("dense", (0.25, 0.375, 0.5, 1.0))
OTHER = entry("other", (0.5, 1.0), "3")
"""
STAGE = '[[stage]]\nstrategy = "{}"\n{}[stage.training]\nsteps = 3\nbatch = 8\npadding = 0\nlr = 0.01\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NETWORKS)
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for k in range(2):
            folder = tmp_path / "images" / split / f"class{k}"
            folder.mkdir(parents=True)
            for i in range(12):
                pixels = (rng.integers(0, 100, (16, 16, 3)) + 100 * k).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return tmp_path


def train(place: Path, *stages: str, folder: str = "trained", entry: str = "ENTRY", **options):
    (place / "my.toml").write_text("".join(stages))
    own = f"{place / 'net.py'}:{entry}"
    return hwsearch.train(place / "my.toml", place / "images", place / folder, supernet=own, kernels="eager", **options)


def test_a_width_that_was_never_trained_is_exported(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)  # campaigns lie in ./runs
    stage = STAGE.format("generator", 'strategy_options = { mode = "layer", hidden = 8 }\n')
    card = train(place, stage, STAGE.format("uniform", ""))
    assert card["generator"]["outputs"] == "layer-wise, added to weights of their own"
    assert card["generator"]["trained"] == {"width[0]": [0.25, 0.5, 1.0]}
    assert json.loads((place / "trained" / "net.json").read_text())["generator"] == card["generator"]
    weights = place / "trained" / "net.safetensors"
    checked = check_file(weights, f"{place / 'net.py'}:DENSE")
    assert checked["loads"] and checked["generator"] == card["generator"]
    with pytest.raises(CheckpointError, match="of another search space"):
        catalogue.entry(f"{place / 'net.py'}:OTHER").load(weights)

    config = place / "my-campaign.toml"
    config.write_text(
        f'[supernet]\nname = "{place / "net.py"}:DENSE"\ncheckpoint = "{weights}"\n'
        f'[data]\ncalibration = "{place / "images" / "train"}"\nvalidation = "{place / "images" / "test"}"\n'
        f'test = "{place / "images" / "test"}"\n'
        '[[device]]\nname = "cpu"\n'
    )
    (model,) = hwsearch.export(config, '{"width[0]": 0.375}', output=place / "unseen.onnx")
    assert model["architecture"]["genes"] == {"width[0]": 0.375}
    net = catalogue.entry(f"{place / 'net.py'}:DENSE").load(weights).net
    arch = net.space.architecture({"width[0]": 0.375})
    x = np.random.default_rng(0).standard_normal((4, 3, 16, 16)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(place / "unseen.onnx"))
    (found,) = session.run(None, {session.get_inputs()[0].name: x})
    plain = net.subnet(arch).eval()
    task = catalogue.entry(f"{place / 'net.py'}:DENSE").find_task()
    recalibrate(plain, task.read(str(place / "images" / "train"), limit=NO_LIMIT), 16)
    with torch.no_grad():
        np.testing.assert_allclose(found, plain(torch.from_numpy(x)).numpy(), atol=1e-5, rtol=1e-5)
    for genes, error, said in (
        ('{"width[0]": 0.4}', UnknownArchitectureGene, "is not one of"),
        ('{"width": 1}', UnknownArchitectureGene, "is not a gene"),
        ('{"width[0]": ', CampaignError, "is no JSON object"),
    ):
        with pytest.raises(error, match=said):
            hwsearch.export(config, genes)


def test_what_does_not_go_together_is_refused_before_anything_is_trained(place: Path) -> None:
    plain, made = STAGE.format("uniform", ""), STAGE.format("generator", "")
    with pytest.raises(TrainingError, match=r"stage 2, WeightGenerator, trains another network"):
        train(place, plain, made)
    with pytest.raises(ConfigError, match="mode"):
        train(place, STAGE.format("generator", 'strategy_options = { mode = "half" }\n'))
    assert not (place / "trained").exists()


def test_a_trained_supernet_gets_a_generator(place: Path) -> None:
    train(place, STAGE.format("uniform", ""), folder="first")
    weights = place / "first" / "net.safetensors"
    before = catalogue.entry(f"{place / 'net.py'}:ENTRY").load(weights).net.state_dict()
    stage = STAGE.format("generator", "").replace("lr = 0.01", "lr = 0.0")
    train(place, stage, folder="second", checkpoint=weights)
    after = catalogue.entry(f"{place / 'net.py'}:ENTRY").load(place / "second" / "net.safetensors").net.state_dict()
    assert torch.equal(after["0.weight"], before["0.weight"]) and "generator.head.weight" in after
