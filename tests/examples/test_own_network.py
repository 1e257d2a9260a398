"""The example of one's own network runs from images to an ONNX file that classifies a photo."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hwsearch
from hwsearch.api import supernets

EXAMPLES = Path(__file__).parents[2] / "examples"
#: fewer images than the example takes
PARTS = (("train", "calibration", 0, 300), ("val", "validation", 0, 100), ("test", "test", 0, 150))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example with its images, and the trained supernet."""
    place = tmp_path_factory.mktemp("own") / "own_network"
    shutil.copytree(EXAMPLES / "own_network", place)
    code = f"import images; from pathlib import Path; images.write(Path('images'), {PARTS!r})"
    subprocess.run([sys.executable, "-c", code], cwd=place, check=True)
    recipe = (place / "recipe.toml").read_text()
    (place / "short.toml").write_text(recipe.replace("epochs = 3", "epochs = 1"))
    return place


def test_from_a_network_to_a_classified_photo(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    card = hwsearch.train("short.toml", "images", "trained", supernet="supernet.py:ENTRY")
    assert card["test_images"] == 150 and card["trained"]["supernet"] == "supernet.py:ENTRY"
    found = supernets("check", "trained/my-net.safetensors", supernet="supernet.py:ENTRY")
    assert isinstance(found, dict) and found["fits"] == ["supernet.py:ENTRY"] and found["loads"]
    again = hwsearch.train(
        "short.toml", "images", "more", supernet="supernet.py:ENTRY", checkpoint="trained/my-net.safetensors"
    )
    assert again["digest"] != card["digest"]
    result = hwsearch.run("campaign.toml")
    assert Path(result["report"]).is_file() and result["devices"][0]["front_points"] >= 1
    picked = hwsearch.pick("runs/campaign", (), export="my_net.onnx")
    assert picked["export"]["file"] == "my_net.onnx" and json.loads(Path("my_net.json").read_text())["macs"] > 0
    photo = next((folder / "images" / "test").glob("*/*.png"))
    words = [sys.executable, str(EXAMPLES / "classify.py"), "my_net.onnx", str(photo)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 5
