"""Weight files as they come: wrappers, prefixes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from hwsearch.errors import CheckpointError
from hwsearch.supernets.checkpoint import read_state, rows_of, shape_of

STATE = {"fc.weight": torch.arange(6.0).reshape(2, 3), "fc.bias": torch.ones(2)}


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict", "state_dict_ema", "ema"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrappers_and_prefixes_are_taken_off(wrapper: str, prefix: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({wrapper: {f"{prefix}{k}": v for k, v in STATE.items()}, "epoch": 3}, path)
    found = read_state(path)
    assert set(found) == set(STATE) and all(torch.equal(found[k], v) for k, v in STATE.items())


def test_safetensors_are_known_by_their_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    save_file(STATE, path)
    assert set(read_state(path)) == set(STATE)


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("code of a file was run",))


def test_files_that_hold_code_are_refused_and_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"fc.weight": Evil()}, path)
    with pytest.raises(CheckpointError, match="loading it could run code"):
        read_state(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no weight file"),
        (b"<html>not found</html>", "it is text"),
        (b"PK\x03\x04\x00\x00", "truncated or not a weight file"),
    ],
)
def test_what_is_no_weight_file_says_so(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        read_state(path)


def test_a_file_without_tensors_names_its_entries(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save({"epoch": 3, "loss": 0.5}, path)
    with pytest.raises(CheckpointError, match="epoch, loss"):
        read_state(path)


def test_shapes_are_read_from_tensors() -> None:
    assert shape_of(STATE, "fc.weight", 2, "hint") == (2, 3)
    with pytest.raises(CheckpointError, match=r"'fc.bias' is \(2,\), expected 2 axes"):
        shape_of(STATE, "fc.bias", 2, "hint")
    with pytest.raises(CheckpointError, match="lack 'head'"):
        shape_of(STATE, "head", 1, "hint")
    assert rows_of(STATE, ("head.bias", "fc.bias"), 1000) == 2 and rows_of(STATE, ("head.bias",), 1000) == 1000
