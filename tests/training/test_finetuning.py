"""Fine-tuning: it learns, repeats itself, goes on where it stopped, and never learns from what judges."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import hwsearch
from hwsearch.accuracy import Preprocess, calibrated_subnet, evaluate, from_arrays, recalibrate
from hwsearch.errors import CampaignError, TrainingError
from hwsearch.images import ImageData
from hwsearch.supernets.cifar10 import ENTRY, images
from hwsearch.supernets.mobilenetv3 import ElasticMobileNetV3
from hwsearch.testing.weights import seeded_weights
from hwsearch.training import FinetuneConfig, finetune


def coloured(n: int, seed: int) -> ImageData:
    """Images of four classes that differ in colour, under noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n)
    colours = np.array([[60, 60, 180], [60, 180, 60], [180, 60, 60], [150, 150, 40]])
    pixels = colours[labels][:, None, None, :] + rng.normal(0, 25, (n, 32, 32, 3))
    return from_arrays(pixels.clip(0, 255).astype(np.uint8), labels, tuple("abcd"), Preprocess(), f"coloured {seed}")


def subnet(net: ElasticMobileNetV3) -> nn.Module:
    net.load_state_dict(seeded_weights(net.state_dict()))
    return net.subnet(net.space.smallest())


def test_it_learns(small_supernet: ElasticMobileNetV3) -> None:
    net, size = subnet(small_supernet), 16
    train, test = coloured(256, 0), coloured(200, 1)
    recalibrate(net, train, size)
    before = evaluate(net, test, size)
    report = finetune(net, train, size, FinetuneConfig(steps=40, batch=32, lr=0.05))
    recalibrate(net, train, size)
    after = evaluate(net, test, size)
    assert len(report["losses"]) == 40 and report["examples"] == 1280
    assert after.top1 > 90 > before.top1


def test_it_repeats_itself_and_goes_on_where_it_stopped(
    small_supernet: ElasticMobileNetV3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hwsearch.training.finetuning.CHECKPOINT_STEPS", 4)
    train, config = coloured(100, 0), FinetuneConfig(steps=14, batch=24, lr=0.05)
    whole, stopped = subnet(small_supernet), subnet(small_supernet)
    losses = finetune(whole, train, 16, config)["losses"]

    def stop(done: int, _: float) -> None:
        if done == 6:
            raise KeyboardInterrupt

    file = tmp_path / "x.pt"
    with pytest.raises(KeyboardInterrupt):
        finetune(stopped, train, 16, config, progress=stop, checkpoint=file)
    assert file.exists()
    again = subnet(small_supernet)
    assert finetune(again, train, 16, config, checkpoint=file)["losses"] == losses
    assert not file.exists()
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in whole.state_dict().items())
    file.write_bytes(b"no checkpoint")
    with pytest.raises(TrainingError, match="cannot be used"):
        finetune(again, train, 16, config, checkpoint=file)


def test_bad_settings_are_named(small_supernet: ElasticMobileNetV3) -> None:
    with pytest.raises(TrainingError, match="lr 100"):
        FinetuneConfig(lr=100)
    with pytest.raises(TrainingError, match="0 steps"):
        FinetuneConfig(steps=0)
    with pytest.raises(TrainingError, match="do not fill one batch of 64"):
        finetune(subnet(small_supernet), coloured(50, 0), 16, FinetuneConfig(steps=1))
    with pytest.raises(TrainingError, match="Lower lr"):
        net = subnet(small_supernet)
        net.classifier.weight.data[0, 0] = torch.inf  # type: ignore[union-attr, operator]
        finetune(net, coloured(64, 0), 16, FinetuneConfig(steps=1))


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    path = tmp_path / "c.toml"
    path.write_text(
        '[data]\ncalibration_images = 128\nvalidation_images = 50\ntest_images = 200\n[[device]]\nname = "cpu"\n'
    )
    return path


def test_a_subnet_of_a_campaign(campaign: Path, tmp_path: Path) -> None:
    opened = hwsearch.Campaign.open(campaign, folder=tmp_path / "run")
    result = hwsearch.finetune(opened, "smallest", steps=3, batch=32, lr=1e-4)
    net, arch = opened.loaded.net, opened.space.smallest()
    size = net.input_size(arch)
    expected = evaluate(calibrated_subnet(net, arch, opened.data["calibration"]), opened.data["test"], size)
    assert result["before"] == pytest.approx(expected.top1)
    assert result["gain_low"] <= result["after"] - result["before"] <= result["gain_high"]
    card = json.loads(Path(result["path"]).with_suffix(".json").read_text())
    assert card["finetuned"]["steps"] == 3 and card["accuracy"]["top1_percent"] == pytest.approx(
        result["after"], abs=1e-3
    )
    assert card["finetuned"]["weights"] != card["supernet"]["weights"] == opened.loaded.digest
    rows = opened.store.frame()
    assert set(rows["purpose"]) == {"finetuned"} and set(rows["supernet"]) == {card["finetuned"]["weights"]}
    with pytest.raises(TrainingError, match="no such setting"):
        hwsearch.finetune(opened, "smallest", colour=3)


def test_what_judges_is_no_training_data(campaign: Path, tmp_path: Path) -> None:
    opened = hwsearch.Campaign.open(campaign, folder=tmp_path / "run")
    shipped = Path(str(ENTRY.weights)).parent / "cifar10-images.parquet"
    opened.data["test"] = images()["test"]
    with pytest.raises(CampaignError, match="also judges"):
        hwsearch.finetune(opened, "smallest", data=f"{shipped}:test", steps=1)
