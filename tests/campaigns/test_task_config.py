"""``[[task]]``: what is read and refused, and a whole campaign that has one."""

from __future__ import annotations

import inspect
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import hwsearch
from hwsearch.campaigns.config import CampaignConfig
from hwsearch.campaigns.loading import load_config, parse_config, with_absolute_paths
from hwsearch.campaigns.task_config import TaskConfig
from hwsearch.campaigns.toml import to_toml
from hwsearch.cli.render import print_summary
from hwsearch.errors import ConfigError


def parsed(*tasks: dict[str, object]) -> CampaignConfig:
    return parse_config({"device": [{"name": "cpu"}], "task": list(tasks)}, "here.toml")


def test_names_and_defaults_are_those_of_add_task() -> None:
    given = inspect.signature(hwsearch.add_task).parameters
    for name, field in TaskConfig.model_fields.items():
        if name not in ("name", "data", "folder", "export"):
            assert field.default == given[name].default, name


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({"name": "-a"}, "name = '-a'"),
        ({"name": "a", "density": 0}, "density = 0"),
        ({"name": "a", "weight_share": 1.5}, "weight_share = 1.5"),
        ({"name": "a", "densty": 0.1}, "unknown key 'task[0].densty'. Did you mean 'density'?"),
    ],
)
def test_what_is_wrong_is_named(task: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as told:
        parsed({"data": "x", **task})
    assert words in str(told.value)


def test_a_name_stands_once() -> None:
    """Also of different case: they are names of files."""
    with pytest.raises(ConfigError, match="two tasks are named 'Birds'"):
        parsed({"name": "Birds", "data": "x"}, {"name": "birds", "data": "y"})


def test_paths_become_absolute_and_the_file_means_the_same(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = with_absolute_paths(parsed({"name": "a", "data": "x", "folder": "many", "steps": 3, "transfer": False}))
    (task,) = config.task
    assert task.data == str(tmp_path / "x") and task.folder == str(tmp_path / "many")
    (tmp_path / "written.toml").write_text(to_toml(config))
    assert load_config(tmp_path / "written.toml") == config


def test_a_whole_run_shows_its_tasks(finished: tuple[Path, dict], tmp_path: Path, capsys) -> None:
    folder, rng = tmp_path / "run", np.random.default_rng(0)
    shutil.copytree(finished[0], folder)
    for split, n in (("train", 16), ("test", 8)):
        for i in range(n):  # dark and bright ones
            place = tmp_path / "data" / split / "ab"[i % 2]
            place.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 100, (32, 32, 3)) + 150 * (i % 2)
            Image.fromarray(pixels.astype(np.uint8)).save(place / f"{i}.png")
    config = tmp_path / "more.toml"
    config.write_text(
        (folder / "campaign.toml").read_text()
        + f'\n[[task]]\nname = "light"\ndata = "{tmp_path}/data"\nsteps = 2\nbatch = 8\nexport = true\n'
    )
    found = hwsearch.run(config, folder=folder)
    (row,) = found["tasks"]
    assert found["measured"] == 1 and row["name"] == "light" and row["classes"] == 2 and row["examples"] == 8
    assert Path(row["file"]) == folder / "models/tasks/light.onnx" and Path(row["file"]).exists()
    page = (folder / "report.html").read_text()
    assert "Further tasks of the largest subnet" in page and "0, equal to the bit" in page
    assert "<code>models/tasks/light.onnx</code>" in page
    (shown,) = json.loads((folder / "report.json").read_text())["tasks"]
    assert shown == {**row, "file": "models/tasks/light.onnx"}
    assert "Further tasks" not in (finished[0] / "report.html").read_text()

    again = hwsearch.run(folder)
    assert again["measured"] == 0 and again["tasks"] == found["tasks"]
    print_summary(again, False)
    printed = " ".join(capsys.readouterr().out.split())
    assert "task light: 2 classes, top-1 %" in printed and "0 measurements in" in printed
    (folder / "campaign.toml").write_text((finished[0] / "campaign.toml").read_text())
    hwsearch.report(folder)
    assert "Further tasks" not in (folder / "report.html").read_text()
