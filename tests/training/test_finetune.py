"""Fine-tuning: it learns, repeats itself, goes on where it stopped, and never learns from what judges."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import hwsearch
from hwsearch.accuracy import calibrated_subnet, recalibrate
from hwsearch.errors import CampaignError, TrainingError
from hwsearch.supernets.families.cifar10 import ENTRY, images
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.tasks.images import ImageTask, Preprocess, from_arrays
from hwsearch.tasks.images.data import ImageData
from hwsearch.tasks.images.readers import from_folder
from hwsearch.tasks.text.data import TextData
from hwsearch.tasks.text.tokenizer import WordPiece
from hwsearch.testing.weights import seeded_weights
from hwsearch.training.finetune import FinetuneConfig, finetune


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
    before = ImageTask().evaluate(net, test, size)
    report = finetune(ImageTask(), net, train, size, FinetuneConfig(steps=40, batch=32, lr=0.05))
    recalibrate(net, train, size)
    after = ImageTask().evaluate(net, test, size)
    assert len(report["losses"]) == 40 and report["examples"] == 1280
    assert after.value > 90 > before.value


def test_it_repeats_itself_and_goes_on_where_it_stopped(
    small_supernet: ElasticMobileNetV3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dropout included; stopped in the middle of a step, too."""
    monkeypatch.setattr("hwsearch.training.finetune.CHECKPOINT_SECONDS", 0.0)
    train, config = coloured(100, 0), FinetuneConfig(steps=14, batch=24, lr=0.05)

    def fresh() -> nn.Module:
        net = subnet(small_supernet)
        net.classifier = nn.Sequential(nn.Dropout(0.3), net.classifier)
        return net

    whole, stopped = fresh(), fresh()
    losses = finetune(ImageTask(), whole, train, 16, config)["losses"]
    torch.manual_seed(99)
    assert finetune(ImageTask(), fresh(), train, 16, config)["losses"] == losses

    calls, clip = [], nn.utils.clip_grad_norm_

    def stop(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return clip(*arguments)

    file = tmp_path / "x.pt"
    monkeypatch.setattr(nn.utils, "clip_grad_norm_", stop)
    with pytest.raises(KeyboardInterrupt):
        finetune(ImageTask(), stopped, train, 16, config, checkpoint=file)
    done = len(calls)
    again = fresh()
    assert finetune(ImageTask(), again, train, 16, config, checkpoint=file)["losses"] == losses
    assert len(calls) - done == 14 - 6  # six steps were kept
    found = again.state_dict()
    assert all(torch.equal(v, found[k]) for k, v in whole.state_dict().items())

    other = fresh()
    with torch.no_grad():
        other.classifier[1].weight.mul_(2)
    before = len(calls)
    assert (
        finetune(ImageTask(), other, train, 16, config, checkpoint=file)["losses"] != losses
    )  # another network starts anew
    assert len(calls) - before == 14
    file.write_bytes(b"no checkpoint")
    with pytest.raises(TrainingError, match="cannot be used"):
        finetune(ImageTask(), again, train, 16, config, checkpoint=file)


def test_bad_settings_are_named(small_supernet: ElasticMobileNetV3) -> None:
    with pytest.raises(TrainingError, match="lr = 100 is not valid"):
        FinetuneConfig(lr=100)
    with pytest.raises(TrainingError, match="steps = 0 is not valid"):
        FinetuneConfig(steps=0)
    for name in ("momentum", "weight_decay", "warmup", "label_smoothing", "clip"):
        with pytest.raises(TrainingError, match=f"{name} = nan is not valid"):
            FinetuneConfig(**{name: float("nan")})
    with pytest.raises(TrainingError, match="do not fill one batch of 64"):
        finetune(ImageTask(), subnet(small_supernet), coloured(50, 0), 16, FinetuneConfig(steps=1))
    with pytest.raises(TrainingError, match="Lower lr"):
        net = subnet(small_supernet)
        net.classifier.weight.data[0, 0] = torch.inf  # type: ignore[union-attr, operator]
        finetune(ImageTask(), net, coloured(64, 0), 16, FinetuneConfig(steps=1))


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
    expected = ImageTask().evaluate(calibrated_subnet(net, arch, opened.data["calibration"]), opened.data["test"], size)
    assert result["before"] == pytest.approx(expected.value)
    assert result["gain_low"] <= result["after"] - result["before"] <= result["gain_high"]
    card = json.loads(Path(result["path"]).with_suffix(".json").read_text())
    assert card["finetuned"]["steps"] == 3 and card["accuracy"]["top1_percent"] == pytest.approx(
        result["after"], abs=1e-3
    )
    assert card["finetuned"]["weights"] != card["supernet"]["weights"] == opened.loaded.digest
    rows = opened.store.frame()
    assert set(rows["purpose"]) == {"finetuned"} and set(rows["supernet"]) == {card["finetuned"]["weights"]}
    with pytest.raises(TrainingError, match="unknown fine-tuning setting"):
        hwsearch.finetune(opened, "smallest", colour=3)


def test_what_judges_is_not_learnt_from(
    campaign: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The campaign judges by the first images of a split; the whole split is given to learn from."""
    opened = hwsearch.Campaign.open(campaign, folder=tmp_path / "run")
    shipped = Path(str(ENTRY.weights)).parent / "cifar10-images.parquet"
    seen: list[ImageData] = []

    def note(
        task: ImageTask, net: nn.Module, data: ImageData, *arguments: object, **settings: object
    ) -> dict[str, object]:
        seen.append(data)
        return finetune(task, net, data, *arguments, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr("hwsearch.campaigns.steps.finetune.finetune", note)
    hwsearch.finetune(opened, "smallest", data=f"{shipped}:test", steps=1)
    assert len(seen[0]) == len(images()["test"]) - 200 and "200 of 3,000 examples" in caplog.text
    judges = {*opened.data["test"].images, *opened.data["validation"].images}
    assert judges.isdisjoint(seen[0].images)
    assert not (tmp_path / "run" / "finetuning").exists() or not list((tmp_path / "run" / "finetuning").iterdir())


def test_nothing_left_to_learn_from_is_told(campaign: Path, tmp_path: Path) -> None:
    campaign.write_text(campaign.read_text().replace("test_images = 200", "test_images = 3000"))
    opened = hwsearch.Campaign.open(campaign, folder=tmp_path / "run")
    shipped = Path(str(ENTRY.weights)).parent / "cifar10-images.parquet"
    with pytest.raises(CampaignError, match="all 3,000 examples"):
        hwsearch.finetune(opened, "smallest", data=f"{shipped}:test", steps=1)


def test_texts_and_folders_leave_out_what_judges(tmp_path: Path) -> None:
    for split, values in (("a", (1, 2, 3)), ("b", (3, 4))):
        (tmp_path / split / "x").mkdir(parents=True)
        for v in values:
            Image.fromarray(np.full((4, 4, 3), v, np.uint8)).save(tmp_path / split / "x" / f"{split}{v}.png")
    one, two = (from_folder(tmp_path / split, Preprocess()) for split in ("a", "b"))
    assert sorted(Path(n).name for n in one.without([two]).names) == ["a1.png", "a2.png"]
    tokenizer = WordPiece(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "x", "y"))
    labels = np.zeros(2, np.int64)
    text, other = (TextData(ids, None, labels, ("k",), tokenizer) for ids in ([[4], [5]], [[5], [5, 4]]))
    assert text.without([other, one]).first == [[4]]
