"""Images from parquet files and folders, and what is said when one is not what it should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hwsearch.errors import DataError
from hwsearch.tasks.images import from_folder, from_parquet
from tests.tasks.images.pictures import PLAIN, picture, png


# ---------------------------------------------------------------------- parquet
@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "split": ["train", "test", "train", "test"],
            "label": [0, 1, 2, 1],
            "png": [png(picture(i)) for i in range(4)],
        }
    )


def saved(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "images.parquet"
    frame.to_parquet(path)
    return path


def test_parquet_files_are_read_by_split(frame: pd.DataFrame, tmp_path: Path) -> None:
    path = saved(frame, tmp_path)
    data = from_parquet(path, PLAIN, split="test", classes=("a", "b", "c"))
    assert data.labels.tolist() == [1, 1] and data.classes == ("a", "b", "c")
    assert np.array_equal(data.pixels(10)[1], PLAIN.pixels(Image.fromarray(picture(3)), 10))
    everything = from_parquet(path, PLAIN)
    assert everything.labels.tolist() == [0, 1, 2, 1] and everything.classes == ("0", "1", "2")


def test_parquet_files_of_other_habits_are_read(frame: pd.DataFrame, tmp_path: Path) -> None:
    """Images as records with ``bytes``, as Hugging Face stores them; splits as numbers."""
    other = pd.DataFrame(
        {"image": [{"bytes": b, "path": None} for b in frame["png"]], "label": frame["label"], "split": [0, 1, 0, 1]}
    )
    data = from_parquet(saved(other, tmp_path), PLAIN, split="1")
    assert data.labels.tolist() == [1, 1]
    assert data.images == [frame["png"][1], frame["png"][3]]


def test_wrong_parquet_files_are_explained(frame: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("not parquet")
    cases: list[tuple[Path, str | None, str]] = [
        (tmp_path / "none.parquet", None, "there is no file"),
        (tmp_path / "text.parquet", None, "is not a readable parquet file"),
    ]
    broken = {
        "expected 'label' and one of jpeg, png, image": frame.drop(columns="png"),
        "expected 'label'": frame.drop(columns="label"),
        "no column 'split'": frame.drop(columns="split"),
        "has no split 'tset'. Did you mean 'test'": frame.assign(),
        "has no split 'tset'": frame.iloc[:0],
        "something other than class indices": frame.assign(split="tset", label=list("abcd")),
        "holds something other than class indices": frame.assign(split="tset", label=[0.5, 1, 2, 1]),
        "something other than encoded images": frame.assign(split="tset", png=[1, 2, 3, 4]),
        "holds something other than encoded images": frame.assign(split="tset", png=[*frame["png"][:3], None]),
        "label -1": frame.assign(split="tset", label=[0, 1, -1, 1]),
    }
    for i, (message, bad) in enumerate(broken.items()):
        bad.to_parquet(tmp_path / f"{i}.parquet")
        cases.append((tmp_path / f"{i}.parquet", "tset", message))
    frame.iloc[:0].to_parquet(tmp_path / "empty.parquet")
    cases.append((tmp_path / "empty.parquet", None, "has no rows"))
    for path, split, message in cases:
        with pytest.raises(DataError, match=message):
            from_parquet(path, PLAIN, split=split)
    with pytest.raises(DataError, match="label 2, but 2 classes"):
        from_parquet(saved(frame, tmp_path), PLAIN, classes=("a", "b"))


# ---------------------------------------------------------------------- folders
@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for c, name in enumerate(("cat", "dog", "owl")):
        (tmp_path / name / "deep").mkdir(parents=True)
        for i in range(3):
            (tmp_path / name / ("deep" if i else ".") / f"{i}.PNG").write_bytes(png(picture(10 * c + i)))
        (tmp_path / name / "notes.txt").write_text("not an image")
    return tmp_path


def test_folders_are_read_one_a_class_in_a_fixed_random_order(folder: Path) -> None:
    data = from_folder(folder, PLAIN)
    assert data.classes == ("cat", "dog", "owl") and sorted(data.labels.tolist()) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    known = {png(picture(10 * c + i)): c for c in range(3) for i in range(3)}
    assert [known[b] for b in data.images] == data.labels.tolist()  # type: ignore[index]
    again = from_folder(folder, PLAIN)
    assert again.digest == data.digest != from_folder(folder, PLAIN, seed=1).digest
    assert from_folder(folder, PLAIN, limit=4).digest == data.head(4).digest
    assert from_folder(folder, PLAIN, classes=("owl", "cat")).classes == ("owl", "cat")


def test_wrong_folders_are_explained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(DataError, match="there is no folder"):
        from_folder(folder / "none", PLAIN)
    with pytest.raises(DataError, match="lacks the class folders bat, fox"):
        from_folder(folder, PLAIN, classes=("cat", "fox", "bat"))
    with pytest.raises(DataError, match="no images in class folder 'eel'"):
        (folder / "eel").mkdir()
        from_folder(folder, PLAIN)
    with pytest.raises(DataError, match="has no class folders"):
        from_folder(tmp_path_factory.mktemp("empty"), PLAIN)
    with pytest.raises(DataError, match="has no images"):
        from_folder(folder, PLAIN, classes=("cat",), limit=0)
