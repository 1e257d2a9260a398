"""The verb `grow`: a file that `train --checkpoint` takes, and an ONNX file of the grown network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

import hwsearch
from hwsearch.errors import CheckpointError, OutputError
from hwsearch.exporters import lower, run_onnx
from hwsearch.supernets import catalogue
from hwsearch.supernets.checkpoint import save_weights
from hwsearch.supernets.growing import GrowthError

NETWORKS = """
import torch
from torch import nn
from hwsearch.supernets import SupernetEntry
from hwsearch.supernets.declared import Width, elastic
from hwsearch.tasks.images import ImageTask, Preprocess


def build(width):
    net = nn.Sequential(
        nn.Conv2d(3, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 2),
    )
    return elastic(net, {"0": Width((0.5, 1.0), divisor=2)}, input_shape=(3, 16, 16), name="net")


def entry(name, width):
    return SupernetEntry(name, "A tiny network", build=lambda: build(width), task=ImageTask(Preprocess()))


ENTRY, WIDE, WIDER = entry("net", 4), entry("wide", 8), entry("wider", 10)
"""
RECIPE = '[[stage]]\nstrategy = "sandwich-labels"\n[stage.training]\nsteps = 2\nbatch = 8\npadding = 0\nlr = 0.01\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NETWORKS)
    torch.manual_seed(0)
    for name in ("a", "b"):
        net = catalogue.entry(f"{tmp_path / 'net.py'}:ENTRY").build()
        save_weights(net, tmp_path / f"{name}.safetensors", {"supernet": "net", "digest": name})
    return tmp_path


def logits(place: Path, entry: str, weights: str) -> tuple[np.ndarray, np.ndarray]:
    net = catalogue.entry(f"{place / 'net.py'}:{entry}").load(place / weights).net
    plain = net.subnet(net.space.largest()).eval()
    x = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    (found,) = run_onnx(lower(plain, (3, 16, 16)).SerializeToString(), x.numpy())
    with torch.no_grad():
        return plain(x).numpy(), found


def test_a_grown_file_is_loaded_exported_and_trained_on(place: Path) -> None:
    own = f"{place / 'net.py'}:"
    with pytest.raises(CheckpointError):
        hwsearch.grow(f"{own}ENTRY", f"{own}WIDE", place / "x.safetensors")  # no weights
    found = hwsearch.grow(
        f"{own}ENTRY", f"{own}WIDE", place / "grown.safetensors", checkpoint=place / "a.safetensors", second=place / "b.safetensors", method="orthogonal"
    )  # fmt: skip
    assert found["params_after"] > 2 * found["params_before"] and found["function"] < 1e-5 and json.dumps(found)
    with safe_open(place / "grown.safetensors", "pt") as file:
        about = file.metadata()
    assert about["supernet"] == "wide" and about["digest"] == found["digest"] and about["method"] == "orthogonal"
    torch_says, onnx_says = logits(place, "WIDE", "grown.safetensors")
    np.testing.assert_allclose(onnx_says, torch_says, atol=1e-5, rtol=1e-5)

    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for label in "ab":
            folder = place / "images" / split / label
            folder.mkdir(parents=True)
            for i in range(4):
                Image.fromarray(rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)).save(folder / f"{i}.png")
    (place / "recipe.toml").write_text(RECIPE)
    card = hwsearch.train(
        place / "recipe.toml", place / "images", place / "on", supernet=f"{own}WIDE", checkpoint=place / "grown.safetensors", kernels="eager"
    )  # fmt: skip
    assert card["digest"] != found["digest"] and (place / "on" / "wide.safetensors").exists()


def test_repeated_channels_grow_to_any_width(place: Path) -> None:
    own, given = f"{place / 'net.py'}:", {"checkpoint": place / "a.safetensors"}
    with pytest.raises(GrowthError, match=r"doubles axes, or leaves them.*Use the method 'wider'"):
        hwsearch.grow(f"{own}ENTRY", f"{own}WIDER", place / "g.safetensors", method="orthogonal", **given)
    for _ in range(2):  # its own file is replaced
        hwsearch.grow(f"{own}ENTRY", f"{own}WIDER", place / "g.safetensors", **given)
    np.testing.assert_allclose(
        logits(place, "WIDER", "g.safetensors")[0], logits(place, "ENTRY", "a.safetensors")[0], atol=1e-5
    )


def test_places_and_networks_are_checked(place: Path) -> None:
    own, given = f"{place / 'net.py'}:", {"checkpoint": place / "a.safetensors"}
    with pytest.raises(OutputError, match=r"has not the ending \.safetensors"):
        hwsearch.grow(f"{own}ENTRY", f"{own}WIDE", place / "grown.pt", **given)
    (place / "mine.safetensors").write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists"):
        hwsearch.grow(f"{own}ENTRY", f"{own}WIDE", place / "mine.safetensors", **given)
    weights = {name: (place / f"{name}.safetensors").read_bytes() for name in "ab"}
    (place / "same.safetensors").hardlink_to(place / "a.safetensors")
    for output in ("a.safetensors", "b.safetensors", "same.safetensors"):
        with pytest.raises(OutputError, match="is read for what would replace it"):
            grown = given | {"second": place / "b.safetensors", "method": "zero", "force": True}
            hwsearch.grow(f"{own}ENTRY", f"{own}WIDE", place / output, **grown)
    assert {name: (place / f"{name}.safetensors").read_bytes() for name in "ab"} == weights
    for seed in (None, -1, 0.5):
        with pytest.raises(GrowthError, match=f"seed = {seed} is not valid"):
            hwsearch.grow(f"{own}ENTRY", f"{own}WIDE", place / "g.safetensors", seed=seed, **given)
    with pytest.raises(GrowthError, match="no width grows"):
        hwsearch.grow(f"{own}ENTRY", f"{own}ENTRY", place / "g.safetensors", **given)
