"""The example of a folder of photos runs from pictures to an ONNX file, small."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import hwsearch

EXAMPLE = Path(__file__).parents[2] / "examples" / "image_folder"


def test_from_photos_to_onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick_report: None) -> None:
    place = tmp_path / "image_folder"
    shutil.copytree(EXAMPLE, place, ignore=shutil.ignore_patterns("photos", "trained", "worth", "runs", "__pycache__"))
    code = "import photos; from pathlib import Path; photos.write(Path('photos'), (('train', 40), ('val', 12), ('test', 20)))"
    subprocess.run([sys.executable, "-c", code], cwd=place, check=True)
    recipe, campaign = ((place / name).read_text() for name in ("recipe.toml", "campaign.toml"))
    (place / "short.toml").write_text(recipe.replace("epochs = 10", "epochs = 1"))
    for before, after in (
        ("latency = 20", "latency = 8"),
        ("accuracy = 16", "accuracy = 8"),
        ("random = 8", "random = 4"),
    ):
        assert before in campaign
        campaign = campaign.replace(before, after)
    (place / "campaign.toml").write_text(
        campaign.replace("per_round = 8", "per_round = 4").replace("candidates = 8", "candidates = 4")
    )
    monkeypatch.chdir(place)
    net = "supernet.py:ENTRY"
    card = hwsearch.train("short.toml", "photos", "trained", supernet=net, kernels="eager")
    assert card["test_images"] == 80 and card["trained"]["stage"][0]["strategy"] == "sandwich-labels"
    weights = "trained/my-photos.safetensors"
    worth = hwsearch.assess_supernet(net, "worth", checkpoint=weights, data="photos", subnets=4, bands=2, batches=2)
    assert (
        worth["trained_by"] == ["sandwich-labels"]
        and worth["digest"] == card["digest"]
        and worth["examples"] == 80
        and Path("worth/assessment.html").is_file()
    )
    result = hwsearch.run("campaign.toml")
    assert result["devices"][0]["front_points"] >= 1
    picked = hwsearch.pick("runs/campaign", (), export="my_photos.onnx")
    assert picked["export"]["file"] == "my_photos.onnx" and json.loads(Path("my_photos.json").read_text())["macs"] > 0
