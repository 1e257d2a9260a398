"""Kinds of arrays: predictor files, weight files, checkpoints of training."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as save_safetensors
from torch import Tensor, nn

import predictors
from benchmarks.hostile_kinds import Kind
from benchmarks.hostile_mutations import repeated_zip, within_zip
from hwsearch.supernets.checkpoint import read_checkpoint, read_state
from predictors import (
    BasePredictor,
    CrossValidatedPredictor,
    GaussianProcessPredictor,
    RidgePredictor,
    XGBoostPredictor,
)

ROWS = np.random.default_rng(0).normal(size=(40, 6))
TARGET = ROWS @ np.arange(1.0, 7.0) + 20.0


def packed(members: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Pack members into a zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", kind) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def lying(archive: bytes, size: int) -> bytes:
    """Let the first member of an archive say another size, in both of its headers."""
    data = bytearray(archive)
    struct.pack_into("<I", data, 22, size)
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, size)
    return bytes(data)


def _npy(dtype: str, shape: str) -> bytes:
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + bytes(64)


def _ridge(**learned: Any) -> bytes:
    content = {"$predictor": "RidgePredictor", "parameters": {}, "learned": learned}
    return json.dumps({"format": "hwsearch-predictor", "version": 1, "predictor": content}).encode()


def _predictor_bombs() -> tuple[bytes | Callable[[], bytes], ...]:
    index = _ridge(coef_={"$array": "0.npy"})
    often = _ridge(coef_=[{"$array": "0.npy"}] * 50_000)
    number, zero = _npy("<f8", "(8,)"), b"\0"
    return (
        partial(
            repeated_zip, {"predictor.json": (index, b"", 0), "0.npy": (_npy("<f8", "(201326592,)"), zero, 3 * 2**29)}
        ),
        packed({"predictor.json": index, "0.npy": _npy("<f8", "(1000000000000,)")}),
        packed({"predictor.json": index, "0.npy": _npy("|O", "(3,)")}),
        packed({"predictor.json": often, "0.npy": _npy("<f8", "(262144,)") + bytes(2**21 - 64)}),
        packed({"predictor.json": b"[" * 2_000_000}),
        partial(repeated_zip, {"predictor.json": (b"[", b"[],", 100_000_000)}),
        packed({"predictor.json": b"9" * 3_000_000}),
        packed({"predictor.json": index, "0.npy": number}, zipfile.ZIP_LZMA),
        lying(packed({"predictor.json": b"[" + b"0," * 20_000_000 + b"0]"}), 2000),
        packed({f"{k}.npy": b"" for k in range(20_000)}),
    )


def _predictor(folder: Path, name: str, make: Callable[[], BasePredictor], bombs: bool = False) -> Kind:
    model = make().fit(ROWS, TARGET)
    path = folder / "predictor.zip"
    predictors.save(model, path)
    probe = np.random.default_rng(1).normal(size=(16, 6))

    def read(path: Path) -> np.ndarray[Any, Any]:
        again = predictors.load(path)
        if not again.__sklearn_is_fitted__():  # a file of a predictor that is not fitted is a legal one
            return np.full((5, len(probe)), np.nan)
        columns = probe[:, :1].repeat(again.n_features_in_, axis=1) if again.n_features_in_ != 6 else probe
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            lower, upper = again.predict_interval(columns, 0.8)
            return np.stack([again.predict(columns), *again.predict(columns, return_std=True), lower, upper])

    known = read(path)
    return Kind(
        name, path.name, path.read_bytes(), read, lambda v: v.shape == known.shape, lambda v: bool(np.array_equal(v, known)),
        checksum=True, repack=within_zip, crafted=_predictor_bombs() if bombs else (),
    )  # fmt: skip


def _trees(folds: int) -> BasePredictor:
    return XGBoostPredictor(n_estimators=8, interval_folds=folds)


def _chosen() -> BasePredictor:
    return CrossValidatedPredictor({"trees": XGBoostPredictor(n_estimators=8), "ridge": RidgePredictor()}, folds=3)


STATE = {
    "stem.weight": torch.arange(54.0).reshape(2, 3, 3, 3),
    "fc.weight": torch.ones(4, 8),
    "fc.bias": torch.arange(4.0),
}


def _saved(state: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer, **options)
    return buffer.getvalue()


def repacked(data: bytes) -> bytes:
    """Compress the members of a torch file, which torch leaves as they are."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return packed({name: archive.read(name) for name in archive.namelist()})


def large_zeros(key: str) -> bytes:
    """Make a small torch file of one tensor of 1.5 GiB."""
    count = 70_001
    data = _saved({key: torch.zeros(count)})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: (archive.read(name), b"", 0) for name in archive.namelist() if "/data/" not in name}
    name = next(name for name in members if name.endswith("data.pkl"))
    large = 3 * 2**27
    pickle = members[name][0].replace(b"J" + struct.pack("<i", count), b"J" + struct.pack("<i", large))
    members[name] = (pickle, b"", 0)
    return repeated_zip({**members, name.replace("data.pkl", "data/0"): (b"", b"\0", 4 * large)})


def old_form(key: str) -> bytes:
    """Make a file of the older form whose storage is declared larger than the file."""
    data = _saved({key: torch.zeros(70_001)}, _use_new_zipfile_serialization=False)
    return data.replace(b"J" + struct.pack("<i", 70_001), b"J" + struct.pack("<i", 2**31 - 2))


def calling(name: str, number: int) -> bytes:
    """Make a torch file that calls a name with a large number."""
    pickle = b"\x80\x02c" + name.replace(" ", "\n").encode() + b"\nJ" + struct.pack("<i", number) + b"\x85R."
    data = _saved({"a": torch.zeros(1)})
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return packed({n: pickle if n.endswith("data.pkl") else archive.read(n) for n in archive.namelist()})


def _weight_bombs() -> tuple[bytes | Callable[[], bytes], ...]:
    expanded = _saved({"fc.weight": torch.zeros(1).expand(100_000_000_000)})
    some = _saved({"fc.weight": torch.zeros(1024), **{f"fc.{k}": torch.zeros(1).expand(200_000) for k in range(2000)}})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sparse = _saved({"fc.weight": torch.sparse_coo_tensor(torch.tensor([[0]]), torch.ones(1), (2**40,))})
    meta = _saved({"fc.weight": torch.empty(2**40, device="meta")})
    called = (
        "__builtin__ bytearray",
        "torch.storage UntypedStorage",
        "torch FloatTensor",
        "torch Tensor",
        "torch._utils _rebuild_qtensor",
    )
    return (
        partial(large_zeros, "fc.weight"), partial(old_form, "fc.weight"), expanded, sparse, meta, repacked(some),
        lying(repacked(_saved({"fc.weight": torch.zeros(2**20)})), 2000), *(calling(name, 2**31 - 1) for name in called),
    )  # fmt: skip


def _equal(known: dict[str, Tensor], found: Any) -> bool:
    return set(found) == set(known) and all(torch.equal(found[k], v) for k, v in known.items())


def _stored(found: dict[str, Tensor]) -> bool:
    return all(
        t.numel() * t.element_size() <= max(2**20, t.untyped_storage().nbytes()) for t in found.values()
    ) and bool(found)


def _weights(folder: Path, name: str, data: bytes, bombs: bool = False, safe: bool = False) -> Kind:
    crafted: tuple[bytes | Callable[[], bytes], ...] = _weight_bombs() if bombs else ()
    if safe:
        head = [
            json.dumps({"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}).encode(),
            json.dumps({"a": {"dtype": "F32", "shape": [2**40, 0], "data_offsets": [0, 0]}, "b": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}).encode(),
            b"{" + b'"a":{' * 50_000,
        ]  # fmt: skip
        crafted = (
            *(struct.pack("<Q", len(h)) + h for h in head),
            struct.pack("<Q", 2**62) + b"{}",
            struct.pack("<Q", 90_000_000) + b"{" + b" " * 100,
        )
    checksum = not safe and data[:2] == b"PK"
    return Kind(
        name, "weights.safetensors" if safe else "weights.pt", data, read_state, _stored, partial(_equal, STATE),
        checksum=checksum, repack=within_zip if checksum else None, crafted=crafted,
    )  # fmt: skip


def _checkpoint(folder: Path) -> Kind:
    net = nn.Linear(4, 2)
    optimiser = torch.optim.AdamW(net.parameters())
    net(torch.ones(3, 4)).sum().backward()
    optimiser.step()
    data = _saved({"config": {"seed": 1}, "step": 3, "model": net.state_dict(), "optimizer": optimiser.state_dict()})

    def equal(found: Any) -> bool:
        return found["step"] == 3 and _equal(dict(net.state_dict()), found["model"])

    crafted = (
        repacked(_saved({"model": torch.zeros(2**26)})),
        _saved({"model": torch.zeros(1).expand(100_000_000_000)}),
    )
    return Kind(
        "checkpoint",
        "last.pt",
        data,
        read_checkpoint,
        lambda c: isinstance(c, dict),
        equal,
        checksum=True,
        repack=within_zip,
        crafted=crafted,
    )


KINDS: dict[str, Callable[[Path], Kind]] = {
    "predictor ridge": partial(_predictor, name="predictor ridge", make=RidgePredictor, bombs=True),
    "predictor trees": partial(_predictor, name="predictor trees", make=partial(_trees, 3)),
    "predictor one forest": partial(_predictor, name="predictor one forest", make=partial(_trees, 2)),
    "predictor process": partial(_predictor, name="predictor process", make=GaussianProcessPredictor),
    "predictor chosen": partial(_predictor, name="predictor chosen", make=_chosen),
    "weights.pt": partial(_weights, name="weights.pt", data=_saved({"state_dict": STATE, "epoch": 3}), bombs=True),
    "weights.pt old": partial(_weights, name="weights.pt old", data=_saved(STATE, _use_new_zipfile_serialization=False)),
    "weights.safetensors": partial(_weights, name="weights.safetensors", data=save_safetensors(STATE), safe=True),
    "checkpoint": _checkpoint,
}  # fmt: skip
