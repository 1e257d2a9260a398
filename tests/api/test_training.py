"""The verb `train`: stages in order, what is held out, and what the card says of data and licence."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hwsearch.api import training
from hwsearch.api.training import train, write_card
from hwsearch.errors import ConfigError, OutputError, TrainingError
from hwsearch.supernets.catalogue import load_supernet
from hwsearch.supernets.checkpoint import digest, read_state
from hwsearch.supernets.kernels import EAGER
from hwsearch.tasks.images import ImageTask, Preprocess, from_arrays
from hwsearch.training import Recipe, Run, Sandwich, TrainingConfig
from hwsearch.training.parts.sampler import UniformSampler
from hwsearch.training.parts.view import Slices
from hwsearch.training.ranks import ALONE

RECIPE = """
supernet = "small"
{more}
[[stage]]
[stage.training]
epochs = 2
seed = 5
[[stage]]
strategy = "sandwich"
[stage.training]
epochs = 3
lr = 0.01
"""


def images(n: int):
    pixels = np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
    return from_arrays(pixels, np.arange(n) % 4, tuple("abcd"), Preprocess(), "photos.parquet:test")


def trainers(epochs=(2, 3)) -> list:
    task = ImageTask()
    return [
        SimpleNamespace(
            task=task,
            seconds=90.0,
            config=TrainingConfig(epochs=e),
            train_data=range(1500),
            history=[{"loss": e}],
            kernels_said="eager (asked for)",
            device_said="cpu",
        )
        for e in epochs
    ]


def card(small_supernet, folder: Path, plan, n: int = 8):
    plan = {"stage": [{}, {"strategy": "deps"}], **plan}
    entry = SimpleNamespace(name="small")
    return write_card(small_supernet, entry, trainers(), plan, images(4), images(n), folder)


def test_a_card_names_the_recipes_data_set_and_licence(small_supernet, tmp_path: Path) -> None:
    found = card(small_supernet, tmp_path, {"supernet": "small", "data_set": "cifar10", "weights_licence": "MIT"})
    assert found["licence"].startswith("MIT (weights); images: CIFAR-10, Krizhevsky 2009")
    assert found["data_source"].startswith("CIFAR-10 (A. Krizhevsky")
    assert json.loads((tmp_path / "small.json").read_text()) == found


def test_a_card_of_ones_own_images_claims_nothing_about_them(small_supernet, tmp_path: Path) -> None:
    found = card(small_supernet, tmp_path, {"supernet": "small"})
    assert found["licence"] == "not stated (weights); images: not stated"
    assert found["data_source"] == "photos.parquet:test"


def test_a_card_adds_up_the_stages_and_scores_both_ends(small_supernet, tmp_path: Path) -> None:
    found = card(small_supernet, tmp_path, {"supernet": "small"})
    assert (
        found["training_summary"].startswith("5 epochs of 1,500 images, strategies sandwich, deps, ")
        and ", 3 minutes on" in found["training_summary"]
    )
    assert found["trained"]["seconds"] == 180.0 and found["trained"]["history"] == [[{"loss": 2}], [{"loss": 3}]]
    assert found["trained"]["kernels"] == "eager (asked for)" and found["trained"]["threads"] == torch.get_num_threads()
    assert found["trained"]["device"] == "cpu"
    space = small_supernet.space
    assert found["smallest"]["arch_id"] == space.smallest().id and found["largest"]["arch_id"] == space.largest().id
    assert found["smallest"]["macs"] == small_supernet.macs(space.smallest())
    assert len(found["random_subnets"]) == training.CARD_SUBNETS and found["test_images"] == 8
    assert 0 <= found["largest"][found["score"]["field"]] <= 100
    assert found["digest"] == digest(small_supernet)
    assert set() < set(read_state(tmp_path / "small.safetensors")) <= set(small_supernet.state_dict())


NETWORK = SimpleNamespace(
    check_data=lambda data, role: None,
    parameters=lambda: iter([torch.zeros(1)]),
    named_parameters=list,
    to=lambda device: None,
    cpu=lambda: None,
)


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Runs `train` with a stand-in for the trainer; returns what each stage was given."""
    seen: list[tuple] = []

    class Trainer:
        def __init__(
            self,
            net,
            strategy,
            task,
            data,
            config,
            folder,
            *,
            calibration,
            validation,
            progress,
            kernels,
            origin,
            ranks,
        ) -> None:
            assert kernels.kernels is EAGER and origin == "" and ranks is ALONE
            seen.append((net, len(data), config, folder.name, calibration and len(calibration), len(validation)))

        def run(self) -> None:
            seen.append(("run",))

    def run(text: str, *, calibrated: bool = True):
        task = SimpleNamespace(
            examples="images",
            split=lambda source, split: f"{source}:{split}",
            read=lambda path, **options: images(1200 if path.endswith("train") else 2500),
        )
        entry = SimpleNamespace(
            name="small",
            data=None,
            calibrated=calibrated,
            find_task=lambda: task,
            build=lambda: NETWORK,
            build_for_data=None,
        )
        monkeypatch.setattr(training.catalogue, "entry", lambda name: entry)
        monkeypatch.setattr(training, "Trainer", Trainer)
        monkeypatch.setattr(training, "init_weights", lambda net, seed: seen.append(("init", net, seed)))
        monkeypatch.setattr(training, "write_card", lambda *given, processes: {"given": given})
        path = tmp_path / "recipe.toml"
        path.write_text(text)
        return train(path, "photos", tmp_path / "out", kernels="eager"), seen

    return run


def test_stages_follow_each_other_on_one_network(stages) -> None:
    found, seen = stages(RECIPE.format(more=""))
    assert seen[0] == ("init", NETWORK, 5)
    (net, n, config, place, calibration, validation), one, (_, _, second, after, _, _), two = seen[1:]
    assert (net, n, place, after) == (NETWORK, 1200, "stage-1", "stage-2") and one == two == ("run",)
    assert (config.epochs, second.epochs, second.lr) == (2, 3, 0.01)
    assert (calibration, validation) == (1000, 2000)  # the first images alone, and not all of the test
    net, _entry, made, plan, few, test, folder = found["given"]
    assert len(made) == 2 and plan["supernet"] == "small" and len(few) == 1000 and len(test) == 2500


def test_a_family_without_batch_norms_gets_no_calibration_data(stages) -> None:
    found, seen = stages(RECIPE.format(more=""), calibrated=False)
    assert seen[1][4] is None and found["given"][4] is None


def test_a_stage_that_cannot_be_served_is_refused_before_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    data = images(8)
    run = Run(NETWORK, ImageTask(), data, TrainingConfig(batch=8))  # type: ignore[arg-type]
    training._check(Sandwich(), run)
    mixed = Recipe(UniformSampler(), view=Extended())
    strategy = SimpleNamespace(recipe=lambda given: mixed)
    with pytest.raises(TrainingError, match="more than a weight file of a supernet holds"):
        training._check(strategy, run)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("setting", "said"),
    [("batch = 1300", "1200 training images do not fill one batch of 1300"), ('precision = "bf16"', "is for a GPU")],
)
def test_settings_that_no_stage_can_have_are_refused_before_the_first(stages, setting: str, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        stages(RECIPE.format(more="").replace("lr = 0.01", setting))


def test_a_place_that_is_taken_is_refused_before_the_first_stage(stages, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "small.json").write_text("{}")
    with pytest.raises(OutputError, match=r"small\.json' exists, and is not a file of this kind"):
        stages(RECIPE.format(more=""))
    (tmp_path / "out" / "small.json").unlink()
    (tmp_path / "out" / "small.safetensors").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match=r"small\.safetensors' is a link"):
        stages(RECIPE.format(more=""))


class Extended(Slices):
    """A view with weights of its own."""

    @property
    def extra(self) -> torch.nn.Module:
        return torch.nn.Linear(1, 1)


def test_an_unknown_setting_is_answered_with_the_nearest(stages) -> None:
    text = RECIPE.format(more="").replace("epochs = 3", "epoch = 3")
    with pytest.raises(ConfigError, match=r"unknown key 'training\.epoch'\. Did you mean 'epochs'"):
        stages(text)


def test_a_network_of_ones_own_keeps_its_initial_weights_and_a_checkpoint_replaces_them(monkeypatch) -> None:
    seen: list[object] = []
    loaded = SimpleNamespace(net="loaded")
    entry = SimpleNamespace(
        build=lambda: float(torch.rand(())), build_for_data=None, load=lambda path: seen.append(path) or loaded
    )
    monkeypatch.setattr(training, "init_weights", lambda net, seed: seen.append("init"))
    before = torch.random.get_rng_state()
    own = training.initial_supernet(entry, "net.py:ENTRY", None, 3)
    assert (
        own
        == training.initial_supernet(entry, "net.py:ENTRY", None, 3)
        != training.initial_supernet(entry, "net.py:ENTRY", None, 4)
    )
    assert torch.equal(before, torch.random.get_rng_state()) and seen == []
    training.initial_supernet(entry, "small", None, 3)
    assert training.initial_supernet(entry, "small", Path("w.pt"), 3) == "loaded" and seen == ["init", Path("w.pt")]


def test_a_family_may_build_the_network_that_the_data_call_for(tmp_path: Path) -> None:
    """Three classes of 7 to 12 frames: the catalogue's network has 60 classes and 64 frames."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 24), ("test", 12)):
        x = rng.normal(size=(n, 12, 25, 3)).astype(np.float32)
        x[::2, 7:] = 0
        arrays |= {f"x_{split}": x, f"y_{split}": np.arange(n) % 3}
    np.savez(tmp_path / "data.npz", **arrays)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[[stage]]\nstrategy = "sandwich"\n[stage.training]\nepochs = 1\nbatch = 12\n')
    card = train(recipe, tmp_path / "data.npz", tmp_path / "out", supernet="skeleton-1d", kernels="eager", device="cpu")
    assert card["data_source"] == "data.npz:test"
    loaded = load_supernet("skeleton-1d", str(tmp_path / "out" / "skeleton-1d.safetensors")).net
    assert loaded.classes == 3 and loaded.input_shape(loaded.space.largest()) == (75, 16)
