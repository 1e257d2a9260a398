"""Folders and .npz files of skeletons: splits, classes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwsearch.errors import DataError
from hwsearch.tasks.sequences import SkeletonTask
from hwsearch.tasks.sequences.readers import TRAINING_SUBJECTS
from tests.tasks.sequences.written import body, text, write

ONE = text([body("1", 0)], [body("1", 1)])


@pytest.fixture
def ntu(tmp_path: Path) -> Path:
    """Four persons (1 and 2 are for training, 3 and 6 for the test), three cameras, two actions."""
    for person in (1, 2, 3, 6):
        for camera in (1, 2, 3):
            for action in (7, 50):
                write(tmp_path / "ntu", f"S001C{camera:03d}P{person:03d}R001A{action:03d}.skeleton", ONE)
    return tmp_path / "ntu"


def read(text: str, limit: int = 10**9, **options) -> object:
    return SkeletonTask().read(text, limit=limit, **options)


def test_the_published_split_has_as_many_persons_as_its_papers_say() -> None:
    assert len([s for s in TRAINING_SUBJECTS if s <= 40]) == 20 and len(TRAINING_SUBJECTS) == 53
    assert max(TRAINING_SUBJECTS) <= 106


def test_splits_by_person_and_by_camera(ntu: Path) -> None:
    every = read(str(ntu))
    assert len(every) == 24 and every.classes == ("A007", "A050") and sorted(set(every.labels)) == [0, 1]
    assert len(read(f"{ntu}:train")) == 12 and len(read(f"{ntu}:test")) == 12  # 12 training files: no 20th
    assert len(read(f"{ntu}:camera:train")) == 16 and len(read(f"{ntu}:camera:test")) == 8
    assert len(read(f"{ntu}:calibration")) == 12 and len(read(f"{ntu}:subject:test")) == 12
    with pytest.raises(DataError, match="none of 24 files is in the split 'validation' by subject"):
        read(f"{ntu}:validation")


def test_every_twentieth_training_file_validates(tmp_path: Path) -> None:
    for n in range(1, 42):
        write(tmp_path, f"S001C001P001R{n:03d}A001.skeleton", ONE)
    assert len(read(f"{tmp_path}:train")) == 39 and len(read(f"{tmp_path}:validation")) == 2


def test_folders_of_splits_come_first(ntu: Path, tmp_path: Path) -> None:
    task = SkeletonTask()
    assert task.split(str(ntu), "train") == f"{ntu}:train"
    assert task.split("synthetic-skeletons", "test") == "synthetic-skeletons:test"
    for name in ("train", "val"):
        write(tmp_path / "own" / name, "S001C001P009R001A003.skeleton", ONE)
    assert task.split(str(tmp_path / "own"), "test") == str(tmp_path / "own" / "val")
    assert len(read(task.split(str(tmp_path / "own"), "train"))) == 1


def test_fewer_are_read_on_request_and_classes_are_checked(ntu: Path) -> None:
    assert len(read(str(ntu), 5)) == 5
    found = read(str(ntu), classes=("A050", "A007", "A001"))
    assert sorted(set(found.labels.tolist())) == [0, 1] and len(found.classes) == 3
    with pytest.raises(DataError, match="of class A050, which is none of the 1 expected"):
        read(str(ntu), classes=("A007",))


def test_missing_folders_splits_and_names_are_refused(ntu: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for wrong, match in (
        (str(tmp_path / "nowhere"), "no folder"),
        (f"{ntu}:trian", "no split 'trian'"),
        (str(tmp_path / "empty"), "has no files"),
        ("synthetic-skeletons:training", "has no split 'training'"),
    ):
        with pytest.raises(DataError, match=match):
            read(wrong)
    write(ntu, "walking.skeleton", ONE)
    with pytest.raises(DataError, match=r"'walking.skeleton' names no class"):
        read(str(ntu))
    with pytest.raises(DataError, match="need no vocabulary"):
        read(str(ntu), vocabulary=Path("v"))
    with pytest.raises(DataError, match="classes of its own"):
        read("synthetic-skeletons", classes=("a",))


def test_files_without_a_body_are_left_out_and_counted(ntu: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(ntu, "S001C001P001R001A007.skeleton", "1\n0\n")
    assert len(read(str(ntu))) == 23
    assert "1 of 24 files" in caplog.text and "S001C001P001R001A007.skeleton; they are left out" in caplog.text
    for path in ntu.iterdir():
        path.write_text("1\n0\n")
    with pytest.raises(DataError, match="24 of 24 files"):
        read(str(ntu))


def test_arrays_without_pickles(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 6, 25, 3)).astype(np.float32)
    x[0, 4:] = 0  # padding
    x[1, 2] = 0  # a lost body
    path = tmp_path / "own.npz"
    np.savez(
        path, x=x, y=np.array([0, 2, 1, 1]), x_test=x[:2], y_test=np.array([1, 0]), classes=np.array(["a", "b", "c"])
    )
    data = read(str(path))
    assert [len(j) for j in data.joints] == [4, 6, 6, 6] and data.seen[1].tolist() == [
        True,
        True,
        False,
        True,
        True,
        True,
    ]
    assert data.classes == ("a", "b", "c") and data.labels.tolist() == [0, 2, 1, 1]
    np.testing.assert_array_equal(data.joints[2], x[2])
    assert len(read(f"{path}:test")) == 2 and len(read(str(path), 3)) == 3
    with pytest.raises(DataError, match="no array 'x_train'"):
        read(f"{path}:train")
    with pytest.raises(DataError, match="expected z"):
        read(str(path), classes=("z",))


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"x": np.zeros((2, 3, 20, 3)), "y": np.zeros(2, int)}, "expected numbers of shape"),
        ({"x": np.zeros((2, 3, 25, 3), complex), "y": np.zeros(2, int)}, "complex128"),
        ({"x": np.ones((2, 3, 25, 3)), "y": np.zeros(3, int)}, "expected 2 class numbers"),
        ({"x": np.ones((2, 3, 25, 3)), "y": np.zeros(2)}, "float64"),
        ({"x": np.ones((2, 3, 25, 3)), "y": np.array([0, -1])}, "label -1"),
        ({"x": np.full((2, 3, 25, 3), np.nan), "y": np.zeros(2, int)}, "not finite"),
        ({"x": np.zeros((2, 3, 25, 3)), "y": np.zeros(2, int)}, "sequence 0 has no frame with a body"),
        ({"x": np.array([{}, {}], object), "y": np.zeros(2, int)}, "no readable .npz"),
        ({"x": np.ones((2, 3, 25, 3)), "y": np.zeros(2, int), "classes": np.arange(2)}, "expected a list of names"),
    ],
)
def test_broken_arrays_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], match: str) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(DataError, match=match):
        read(str(tmp_path / "x.npz"))


def test_files_that_are_no_archives_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 no archive")
    np.savez_compressed(tmp_path / "good.npz", x=np.ones((2, 3, 25, 3)), y=np.zeros(2, int))
    damaged = bytearray((tmp_path / "good.npz").read_bytes())
    damaged[80:100] = bytes(20)
    (tmp_path / "damaged.npz").write_bytes(damaged)
    for name in ("x.npz", "missing.npz", "damaged.npz"):
        with pytest.raises(DataError, match=r"no readable \.npz"):
            read(str(tmp_path / name))
