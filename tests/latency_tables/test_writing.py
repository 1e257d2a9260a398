"""The one writer: whole files or none, never through a link, never over what this program did not write."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from latency_tables.writing import (
    HEAD,
    WritingError,
    anything,
    check_place,
    containing,
    forced,
    json_with,
    new_content,
    overwriting,
    own_folder,
    write_file,
)

OURS = containing(b"ours")


def test_content_that_is_written_in_parts_replaces_the_file_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"ours, old")
    with new_content(path, OURS) as stream:
        stream.write(b"ours, ")
        assert path.read_bytes() == b"ours, old"
        stream.write(b"new")
    assert path.read_bytes() == b"ours, new" and list(tmp_path.iterdir()) == [path]


def test_what_fails_half_way_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"ours, old")
    with pytest.raises(KeyError), new_content(path, OURS) as stream:
        stream.write(b"half")
        raise KeyError
    assert path.read_bytes() == b"ours, old" and list(tmp_path.iterdir()) == [path]


def test_a_foreign_file_is_refused_before_anything_is_written_and_replaced_by_force(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"mine")
    with pytest.raises(WritingError, match=r"'.*a' exists.*--force") as caught:
        write_file(path, b"ours", OURS)
    assert str(caught.value) == f"{caught.value.message} {caught.value.hint}"
    assert path.read_bytes() == b"mine" and list(tmp_path.iterdir()) == [path]
    with overwriting():
        write_file(path, b"ours", OURS)
    assert path.read_bytes() == b"ours"


def test_force_holds_inside_its_block_and_for_its_own_thread() -> None:
    told: list[bool] = []
    with overwriting():
        thread = threading.Thread(target=lambda: told.append(forced()))
        thread.start()
        thread.join()
        with overwriting(False):
            assert not forced()
        assert forced()
    assert told == [False] and not forced()


def test_only_the_head_of_a_file_is_shown_to_the_recogniser(tmp_path: Path) -> None:
    path, seen = tmp_path / "a", []
    path.write_bytes(b"x" * (HEAD + 1))
    check_place(path, lambda head: bool(seen.append(len(head))) or True)
    assert seen == [HEAD]


def test_a_folder_a_pipe_and_a_link_are_no_files_even_by_force(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "new")
    with overwriting():
        for place, told in ((tmp_path, "not a file"), (tmp_path / "pipe", "not a file"), (tmp_path / "link", "a link")):
            with pytest.raises(WritingError, match=told):
                check_place(place, anything)
        with pytest.raises(WritingError, match="a link or not a folder"):
            own_folder(tmp_path / "link")
    assert own_folder(tmp_path / "x" / "y").is_dir() and not (tmp_path / "new").exists()


def test_keys_of_an_object_are_recognised_and_nothing_where_no_mark_is_given() -> None:
    assert json_with("a", "b")(b' {"a": 1, "b": 2}') and not json_with("a", "b")(b'{"a": "b"}')
    assert not containing()(b"anything") and anything(b"")
