"""Torch files: what they announce is compared with what they store before torch reads them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.hostile_arrays import calling, large_zeros, old_form, repacked
from hwsearch.errors import CheckpointError
from hwsearch.supernets.checkpoint import read_checkpoint, read_state
from hwsearch.supernets.checkpoint.torch_file import check_torch_file, storages

STATE = {"a": torch.arange(6.0), "b": torch.ones(3, dtype=torch.int64), "c": torch.ones(2, dtype=torch.bfloat16)}


def saved(state: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer, **options)
    return buffer.getvalue()


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "weights.pt"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("new", [True, False])
def test_storages_are_found_with_their_sizes(new: bool, tmp_path: Path) -> None:
    shared = torch.arange(12.0)
    data = saved({**STATE, "d": shared[:4], "e": shared[4:]}, _use_new_zipfile_serialization=new)
    path = written(tmp_path, data)
    check_torch_file(path)
    assert set(read_state(path)) == {"a", "b", "c", "d", "e"}
    if new:
        with zipfile.ZipFile(path) as archive:
            name = next(n for n in archive.namelist() if n.endswith("data.pkl"))
            assert sorted(dict(storages(io.BytesIO(archive.read(name)), path)).values()) == [4, 24, 24, 48]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: large_zeros("fc.weight"), "would become 1.54e"),
        (lambda: old_form("fc.weight"), "are declared, more than the file has"),
        (lambda: repacked(saved(STATE)).replace(b"PK\x01\x02", b"PK\x01\x03"), "not a weight file"),
        (lambda: saved(STATE).replace(torch.arange(6.0).numpy().tobytes(), bytes(24)), "damaged: Bad CRC-32"),
        (lambda: calling("__builtin__ bytearray", 2**31 - 1), "'__builtin__.bytearray', which weights do not need"),
        (lambda: calling("torch.storage UntypedStorage", 2**31 - 1), "UntypedStorage"),
        (lambda: calling("torch FloatTensor", 2**31 - 1), "FloatTensor"),
        (lambda: saved({"a": torch.zeros(1).expand(10**11)}), "declare"),
    ],
)
@pytest.mark.parametrize("read", [read_state, read_checkpoint])
def test_more_than_is_stored_is_refused(
    make: Callable[[], bytes], message: str, read: Callable[[Path], Any], tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=message):
        read(written(tmp_path, make()))


def test_a_storage_longer_than_its_member_is_refused(tmp_path: Path) -> None:
    """Torch takes the length that the names say, and would read beyond the member."""
    data = saved({"a": torch.zeros(70_001)})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(
                name,
                content.replace(b"J\x71\x11\x01\x00", b"J\x71\x11\x01\x01") if name.endswith("data.pkl") else content,
            )
    with pytest.raises(CheckpointError, match="bytes are declared where 280004 are stored"):
        read_state(written(tmp_path, buffer.getvalue()))


def test_many_expanded_tensors_are_refused(tmp_path: Path) -> None:
    state = {str(k): torch.zeros(1).expand(200_000) for k in range(200)}
    with pytest.raises(CheckpointError, match="declares tensors of 153 MiB"):
        read_state(written(tmp_path, saved(state)))


def test_a_checkpoint_of_another_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="of another program"):
        read_checkpoint(written(tmp_path, saved([1, 2])))
