"""What the backbone of tasks is opened from, and what is refused before a training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwsearch.api.backbone import classifier, open_backbone, task_examples, task_steps
from hwsearch.errors import CheckpointError, DataError, TrainingError
from hwsearch.supernets import catalogue
from tests.api.test_adding_tasks import NETWORK, images
from tests.training.gated import small


def test_steps_are_epochs_of_whole_batches_unless_they_are_given() -> None:
    assert task_steps(70, 3, None, 32) == 6
    assert task_steps(20, 3, None, 32) == 3  # one batch at least; too few examples are refused by the training
    assert task_steps(70, 3, 5, 32) == 5


def test_a_translation_has_no_classes() -> None:
    with pytest.raises(TrainingError, match="is no classification"):
        classifier(catalogue.entry("hat-wmt14-ende"))


def test_one_class_is_no_task(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NETWORK)
    kind = catalogue.entry(f"{tmp_path}/net.py:ENTRY").find_task()
    with pytest.raises(DataError, match="have 1 class"):
        task_examples(kind, str(images(tmp_path / "one", "a", 0)))
    examples, test = task_examples(kind, str(images(tmp_path / "two", "ab", 0)))
    assert examples.classes == test.classes == ("a", "b") and len(examples) > len(test) > 0


def test_a_folder_of_other_weights_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NETWORK)
    entry = catalogue.entry(f"{tmp_path}/net.py:ENTRY")
    kind, folder = entry.find_task(), tmp_path / "many"
    opened = open_backbone(entry, small(3), kind, folder, given="A")
    assert opened.bank.rows == [] and not folder.exists()
    folder.mkdir()
    start = opened.bank.about["start"]
    other = {"backbone": {"generation": 1, "start": start.replace(start[0], "_")}, "tasks": []}
    (folder / "backbone.json").write_text(json.dumps(other))
    with pytest.raises(CheckpointError, match=r"started from other weights than A\. Do this\."):
        open_backbone(entry, small(3), kind, folder, given="A", hint="Do this.")
