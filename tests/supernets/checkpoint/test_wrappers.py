"""What training scripts put around weights is taken off; what no network can take is refused before it is touched."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hwsearch.errors import CheckpointError
from hwsearch.supernets.checkpoint import read_state
from hwsearch.supernets.checkpoint.wrappers import AVERAGED, RAW, named_tensors

PLAIN = {"conv.weight": torch.randn(4, 3, 3, 3), "conv.bias": torch.zeros(4), "bn.num_batches_tracked": torch.tensor(7)}


def same(found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == PLAIN.keys() and all(torch.equal(found[k], PLAIN[k]) for k in PLAIN)


@pytest.mark.parametrize("wrapper", [*RAW, *AVERAGED])
def test_every_wrapper_is_taken_off_also_inside_another(wrapper: str) -> None:
    assert same(named_tensors({wrapper: PLAIN, "epoch": 3}, Path("x")))
    assert same(named_tensors({"state_dict": {wrapper: PLAIN}}, Path("x")))


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "model.net."]
)
def test_prefixes_that_all_names_share_are_taken_off(prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    state: dict[str, Any] = {f"{prefix}{k}": v for k, v in PLAIN.items()}
    assert same(named_tensors(state, Path("x"))) and not caplog.text
    assert same(named_tensors({**state, "n_averaged": torch.tensor(5)}, Path("x")))
    assert "left out, as no weights: n_averaged" in caplog.text


def test_a_prefix_that_some_names_lack_stays() -> None:
    state = {"module.a.weight": torch.ones(2, 2), "b.weight": torch.ones(2, 2)}
    assert named_tensors(state, Path("x")).keys() == state.keys()
    assert named_tensors({"weight": torch.ones(2, 2)}, Path("x")).keys() == {"weight"}


def test_of_raw_and_averaged_weights_the_raw_are_taken_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    averaged = {k: v + 1 for k, v in PLAIN.items()}
    assert same(named_tensors({"model_ema": averaged, "state_dict": PLAIN}, Path("mine.pt")))
    assert "mine.pt holds raw and averaged weights (state_dict, model_ema); 'state_dict' is taken" in caplog.text


def test_records_beside_the_weights_are_left_out_and_other_things_are_refused(caplog: pytest.LogCaptureFixture) -> None:
    assert same(named_tensors({**PLAIN, "epoch": 3, "best": np.float64(71.2), "note": "x", "nothing": None}, Path("x")))
    assert "epoch, best, note, nothing" in caplog.text
    with pytest.raises(CheckpointError, match="entry 'optimizer' beside the tensors is a list"):
        named_tensors({**PLAIN, "optimizer": [1]}, Path("x"))


@pytest.mark.parametrize("number", [np.float64(71.2), np.float32(0.5), np.int64(3), np.bool_(True), np.float16(1)])
def test_numpys_numbers_beside_weights_are_read_from_a_file(number: np.generic, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"state_dict": PLAIN, "best_acc1": number, "epoch": 3}, path)
    assert same(read_state(path))


def test_numpys_arrays_of_objects_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"state_dict": PLAIN, "x": np.array([print], dtype=object)}, path)
    with pytest.raises(CheckpointError, match="could run code"):
        read_state(path)


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (torch.ones(1).expand(10**11), r"is declared as \(100000000000,\), 373 GiB, and stored in 4 bytes"),
        (torch.eye(3).to_sparse(), "is sparse"),
        (torch.quantize_per_tensor(torch.ones(2, 2), 0.1, 0, torch.qint8), "is quantised"),
    ],
)
def test_tensors_that_no_network_can_take_are_refused(tensor: torch.Tensor, says: str) -> None:
    with pytest.raises(CheckpointError, match=f"tensor 'odd' {says}"):
        named_tensors({**PLAIN, "odd": tensor}, Path("x"))


def test_a_file_that_grows_out_of_proportion_is_refused_by_its_directory(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(30 * 2**20)}, buffer)
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(buffer) as whole, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for entry in whole.infolist():
            packed.writestr(entry.filename, whole.read(entry))
    assert path.stat().st_size < 2**20
    with pytest.raises(CheckpointError, match="would become 120 MiB"):
        read_state(path)


def test_damaged_files_end_in_one_kind_of_error(tmp_path: Path) -> None:
    """Two hundred files with bytes changed, of the new format and the old: an error that names the file, or tensors."""
    rng = np.random.default_rng(0)
    path = tmp_path / "w.pt"
    for new in (True, False):
        buffer = io.BytesIO()
        torch.save(PLAIN, buffer, _use_new_zipfile_serialization=new)
        for _ in range(100):
            data = bytearray(buffer.getvalue())
            for place in rng.integers(0, len(data), rng.integers(1, 6)):
                data[place] = rng.integers(256)
            path.write_bytes(bytes(data))
            try:
                read_state(path)
            except CheckpointError as error:
                assert "w.pt" in str(error)
