"""The reader of NTU RGB+D against a file whose numbers are known, and broken files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwsearch.errors import DataError
from hwsearch.tasks.sequences.skeleton_file import SequenceName, read_skeleton
from tests.tasks.sequences.written import body, text, write

NAME = "S001C002P003R002A058.skeleton"


def test_the_numbers_of_a_file_written_by_hand(tmp_path: Path) -> None:
    """Three frames: a body, none, the body again beside another that is seen once."""
    path = write(
        tmp_path, NAME, text([body("72057594037931101", 0.5)], [], [body("9", 7), body("72057594037931101", -1)])
    )
    lines = path.read_text().splitlines()
    assert lines[:4] == ["3", "1", "72057594037931101 0 1 1 1 1 0 0.02764709 0.05745083 2", "25"]
    assert lines[4].split()[:3] == ["0.5", "0", "0"] and len(lines[4].split()) == 12
    joints, seen = read_skeleton(path)
    assert joints.shape == (3, 25, 3) and joints.dtype == np.float32 and seen.tolist() == [True, False, True]
    assert joints[0, 3].tolist() == [3.5, 6, -3] and joints[2, 24].tolist() == [23, 48, -24] and not joints[1].any()


def test_of_bodies_seen_equally_often_the_one_that_moves_counts(tmp_path: Path) -> None:
    frames = [[body("1", 0), body("2", step)] for step in (0, 5)]
    joints, seen = read_skeleton(write(tmp_path, NAME, text(*frames)))
    assert joints[1, 0].tolist() == [5, 0, 0] and seen.all()


def test_the_name_tells_class_person_and_camera() -> None:
    assert SequenceName.of(Path(NAME)) == SequenceName(camera=2, subject=3, action=58)
    for wrong in (
        "walking.skeleton",
        "S001C002P003R002.skeleton",
        "S001C002P003R002A000.skeleton",
        "S1C2P3R2A58.skeleton",
    ):
        with pytest.raises(DataError, match="names no class"):
            SequenceName.of(Path(wrong))


GOOD = text([body("1", 0)], [body("1", 1)]).splitlines()


def broken(line: int, new: str | None) -> str:
    """The good file with one line (from 1) changed, or cut off before it."""
    kept = GOOD[: line - 1] + ([] if new is None else [new, *GOOD[line:]])
    return "\n".join(kept)


@pytest.mark.parametrize(
    ("line", "new", "match"),
    [
        (30, None, "line 30: the file ends where the number of bodies of frame 2 should stand"),
        (44, None, "line 44: the file ends where joint 12 should stand"),
        (1, "0", "line 1: the number of frames should be a whole number from 1"),
        (1, "two", "line 1: the number of frames .* got 'two'"),
        (1, "-1", "line 1: the number of frames"),
        (1, "1", "line 30: '1' stands behind the last frame"),
        (2, "1.5", "line 2: the number of bodies of frame 1"),
        (2, "65", "line 2: the number of bodies of frame 1"),
        (3, "1 0 1", "line 3: the line of a body should have 10 numbers, got 3"),
        (4, "20", "line 4: a body of 20 joints, expected 25"),
        (7, "1 2 3", "line 7: joint 3 should have 12 numbers, got 3"),
        (7, "nan 2 3" + " 0" * 9, "line 7: joint 3 is at nan 2 3, which is no position"),
        (7, "1 inf 3" + " 0" * 9, "line 7: joint 3 is at 1 inf 3"),
        (7, "1 1e9 3" + " 0" * 9, "line 7: joint 3 is at"),
        (7, "1_0 2 3" + " 0" * 9, "line 7: joint 3: '1_0 2 3"),
        (7, "1 x 3" + " 0" * 9, "line 7: joint 3: could not convert string to float: 'x'"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_line(tmp_path: Path, line: int, new: str | None, match: str) -> None:
    path = write(tmp_path, NAME, broken(line, new))
    with pytest.raises(DataError, match=match) as error:
        read_skeleton(path)
    assert NAME in str(error.value)


def test_a_rotation_that_is_not_a_number_is_no_fault(tmp_path: Path) -> None:
    """As in files of the data set whose joints are inferred."""
    path = write(tmp_path, NAME, broken(7, "1 2 3" + " NaN" * 9))
    assert read_skeleton(path)[0][0, 2].tolist() == [1, 2, 3]


def test_empty_binary_missing_and_bodiless_files_are_refused(tmp_path: Path) -> None:
    for content, match in (
        (b"", "line 1: the file ends"),
        (b"\xff\xfe\x00", "no text file|not a text file"),
        (b"1\n0\n", "no body in any"),
    ):
        path = tmp_path / NAME
        path.write_bytes(content)
        with pytest.raises(DataError, match=match):
            read_skeleton(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_skeleton(tmp_path / "other.skeleton")
    doubled = text([body("1", 0), body("1", 1)])
    with pytest.raises(DataError, match="stands twice in frame 1"):
        read_skeleton(write(tmp_path, NAME, doubled))
