"""Damage is the same for the same seed, and each outcome is counted as what it is."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.hostile_kinds import Kind
from benchmarks.hostile_mutations import BINARY_WAYS, TEXT_WAYS, WAYS, damaged, repeated_gzip, within_gzip, within_zip
from benchmarks.hostile_pool import attempt
from hwsearch.errors import DataError

DATA = b'{"a": 12, "b": [1.5, "text"]}\nname,12\n' * 3


@pytest.mark.parametrize("way", [*WAYS, *TEXT_WAYS, *BINARY_WAYS])
@pytest.mark.parametrize("data", [b"", b"\0", DATA])
def test_every_way_takes_any_file(way: Callable[..., bytes], data: bytes) -> None:
    for seed in range(20):
        assert isinstance(way(data, np.random.default_rng(seed)), bytes)


def test_damage_is_repeatable_and_mostly_there() -> None:
    made = [damaged(DATA, np.random.default_rng(k), text=True) for k in range(100)]
    assert made == [damaged(DATA, np.random.default_rng(k), text=True) for k in range(100)]
    assert sum(m != DATA for m in made) > 90


def test_containers_are_sound_after_damage_within() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.json", DATA)
    again = within_zip(buffer.getvalue(), np.random.default_rng(1))
    with zipfile.ZipFile(io.BytesIO(again)) as archive:
        assert archive.testzip() is None and archive.read("a.json") != DATA
    assert gzip.decompress(within_gzip(gzip.compress(DATA), np.random.default_rng(1))) != DATA
    assert gzip.decompress(repeated_gzip(b"head", b"ab", 2**20))[:8] == b"headabab"


def kind(read: Callable[[Path], Any], crafted: tuple[bytes, ...] = ()) -> Kind:
    return Kind("fake", "fake.txt", b"0123456789" * 20, read, bool, bool, crafted=crafted)


def no_memory(path: Path) -> None:
    try:
        raise MemoryError
    except MemoryError as error:
        raise DataError("too large") from error


def refused(path: Path) -> None:
    raise DataError("no")


def broken(path: Path) -> None:
    raise IndexError(7)


@pytest.mark.parametrize(
    ("read", "what", "over"),
    [
        (lambda path: True, "right", False),
        (lambda path: False, "silent_wrong", False),
        (refused, "refused", False),
        (no_memory, "refused", True),
        (broken, "traceback", False),
    ],
)
def test_outcomes(read: Callable[[Path], Any], what: str, over: bool, tmp_path: Path) -> None:
    found = attempt(kind(read), 3, 0, tmp_path)
    assert (found.what, found.over_memory, found.over_time) == (what, over, False)
    assert found.fault == (what not in ("right", "refused") or over)


def test_files_made_by_hand_must_be_refused(tmp_path: Path) -> None:
    assert attempt(kind(lambda path: True, (b"x",)), 0, 0, tmp_path).what == "silent_wrong"
    assert attempt(kind(refused, (b"x",)), 0, 0, tmp_path).what == "refused"
