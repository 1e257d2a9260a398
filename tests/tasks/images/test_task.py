"""The task of images: where the splits of a data set lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsearch.errors import DataError
from hwsearch.tasks.images import ImageTask


@pytest.mark.parametrize(("folders", "test"), [(("train", "test", "val"), "test"), (("train", "val"), "val")])
def test_splits_of_a_folder_are_its_folders(tmp_path: Path, folders: tuple[str, ...], test: str) -> None:
    for name in folders:
        (tmp_path / name).mkdir()
    task = ImageTask()
    assert task.split(str(tmp_path), "train") == str(tmp_path / "train")
    assert task.split(str(tmp_path), "test") == str(tmp_path / test)


def test_a_folder_without_the_split_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder 'train' or 'training'"):
        ImageTask().split(str(tmp_path), "train")


def test_splits_of_a_file_are_named_behind_it() -> None:
    assert ImageTask().split("cifar10.parquet", "train") == "cifar10.parquet:train"
