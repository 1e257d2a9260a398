"""Images from parquet files and folders, and what is said when one is not what it should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hwsearch.errors import DataError
from hwsearch.tasks.images import ImageTask, from_folder, from_parquet
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


def deep_grey(folder: Path, name: str = "sixteen.png") -> None:
    Image.fromarray(np.linspace(0, 65535, 12 * 10).reshape(10, 12).astype(np.uint16)).save(folder / "cat" / name)


def test_grey_images_of_16_bits_are_scaled_and_not_clipped(folder: Path) -> None:
    deep_grey(folder)
    deep_grey(folder, "sixteen.tif")
    data = from_folder(folder, PLAIN, classes=("cat",))
    found = [p for p, name in zip(data.pixels(10), data.names, strict=True) if "sixteen" in name]
    assert len(found) == 2 and all(abs(p.mean() - 127.5) < 2 and p.max() > 240 and p.min() < 15 for p in found)


@pytest.mark.parametrize(("kind", "says"), [(np.float32, "floating-point"), (np.int32, "32 bits")])
def test_pixels_whose_white_is_unknown_are_refused(folder: Path, kind: type, says: str) -> None:
    Image.fromarray(np.full((8, 8), 70000, kind)).save(folder / "cat" / "x.tiff")
    with pytest.raises(DataError, match=f"x.tiff.*{says}"):
        from_folder(folder, PLAIN).pixels(8)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK", "YCbCr", "LAB"])
def test_other_kinds_of_pixels_are_read(folder: Path, mode: str) -> None:
    Image.fromarray(picture(5)).convert("RGB").convert(mode).save(folder / "cat" / "x.tiff")
    assert from_folder(folder, PLAIN, classes=("cat",)).pixels(8).shape == (4, 8, 8, 3)


def test_files_of_other_endings_are_counted_and_further_formats_read(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.tif", "b.gif", "c.pgm"):
        Image.fromarray(picture(7)).convert("L").save(folder / "dog" / name)
    (folder / "owl" / "LICENSE").write_text("x")
    assert len(from_folder(folder, PLAIN)) == 12
    assert "4 files are left out, as no images: 3 of ending .txt, 1 of ending none" in caplog.text
    (folder / "raw").mkdir()
    (folder / "raw" / "1.NEF").write_bytes(b"x")
    with pytest.raises(
        DataError, match=r"no images in class folder 'raw', only files of ending \.nef\. Endings that are read: .*\.png"
    ):
        from_folder(folder, PLAIN)


def test_what_systems_leave_behind_is_no_data(folder: Path) -> None:
    before = from_folder(folder, PLAIN)
    for name in (".ipynb_checkpoints", "cat/.ipynb_checkpoints", "__MACOSX", "cat/__MACOSX"):
        (folder / name).mkdir()
        (folder / name / "0-checkpoint.png").write_bytes(png(picture(1)))
    (folder / "cat" / "._0.PNG").write_bytes(b"\0\5\x16\7 not an image")
    (folder / "cat" / ".DS_Store").write_bytes(b"x")
    after = from_folder(folder, PLAIN)
    assert after.classes == before.classes and after.digest == before.digest


def test_a_broken_link_is_an_error_that_names_it_whatever_is_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "cat" / "z.png").symlink_to(folder / "gone.png")
    data, again = from_folder(folder, PLAIN), from_folder(folder, PLAIN)
    for ask in (
        lambda: data.pixels(8),
        lambda: data.digest,
        lambda: data.without([again]),
        lambda: data.key(0) and list(map(data.key, range(10))),
    ):
        with pytest.raises(DataError, match=r"cannot read image .*z\.png.*No such file"):
            ask()
    monkeypatch.setattr("hwsearch.tasks.images.data.DIGEST_FILES", 2)
    with pytest.raises(DataError, match=r"cannot read image .*z\.png"):
        _ = again.digest
    (folder / "dog" / "album.jpg").mkdir()
    assert all("album" not in name for name in from_folder(folder, PLAIN, classes=("dog",)).names)


def test_a_part_of_a_parquet_file_is_a_random_one(tmp_path: Path) -> None:
    """Forty images sorted by class: of twenty, all four classes, the same ones each time."""
    rows = pd.DataFrame({"png": [png(picture(i)) for i in range(40)], "label": [i // 10 for i in range(40)]})
    path = saved(rows, tmp_path)
    task = ImageTask(PLAIN)
    part, again = (task.read(str(path), limit=20) for _ in range(2))
    assert set(part.labels.tolist()) == {0, 1, 2, 3} and part.digest == again.digest
    whole = task.read(str(path), limit=40)
    assert whole.digest == from_parquet(path, PLAIN).digest != part.digest  # all of them stay in their order
    assert len({part.key(i) for i in range(20)}) == 20


def test_labels_that_may_count_from_one_are_not_guessed(frame: pd.DataFrame, tmp_path: Path) -> None:
    path = saved(frame.assign(label=[1, 2, 3, 1]), tmp_path)
    with pytest.raises(DataError, match=r"labels are 1 to 3: they may count from 1, or class 0 may have no images"):
        from_parquet(path, PLAIN)
    assert from_parquet(path, PLAIN, classes=("none", "a", "b", "c")).labels.tolist() == [1, 2, 3, 1]
