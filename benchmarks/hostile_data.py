"""Kinds of data: stores, latency tables, images, model cards."""

from __future__ import annotations

import io
import json
import sqlite3
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.hostile_kinds import Kind
from hwsearch.exporters.card import read_card
from hwsearch.store import Measurement, Store
from hwsearch.store.job import NewJob
from hwsearch.store.queue import Queue
from hwsearch.tasks.images.preprocess import Preprocess
from hwsearch.tasks.images.readers import from_folder, from_parquet
from hwsearch.testing.toy_spaces import small_space
from latency_tables import tables
from latency_tables.spaces import Gene, TableSpace

PREPROCESS = Preprocess(base=None)


# ---------------------------------------------------------------------- stores
def read_store(path: Path) -> dict[str, Any]:
    """Read all of a store."""
    with Store.open(path, create=False) as store:
        frame = store.frame(failed=True)
        rows = [*store.find(), *store.failures()]
        return {
            "rows": [(m.key, m.value, m.failure, m.record, dict(m.details), m.low, m.high) for m in rows],
            "keys": frame["key"].tolist(),
            "values": [None if v != v else v for v in frame["value"]],
            "devices": store.devices(),
            "state": store.get_state("fit"),
            "runs": [(r.command, r.status) for r in store.runs()],
            "archs": [a.id for a in store.architectures(small_space())],
            "jobs": [(j.key, j.status, j.attempts) for j in Queue(store).find()],
        }


def _store(folder: Path) -> Kind:
    path = folder / "store.sqlite"
    path.unlink(missing_ok=True)
    space = small_space()
    archs = space.sample(12, np.random.default_rng(0))
    rows = []
    for k, a in enumerate(archs):
        rows.append(
            Measurement(a.id, "accuracy", "data", "n100", "search", 70.0 + k, "%", 0.5, record=bytes(40), repeats=100)
        )
        rows.append(
            Measurement(a.id, "latency_ms", "device", "p", "search", 1.5 + k, "ms", 0.1, 1.4 + k, 1.6 + k, details={"p90": 2.0 + k})
        )  # fmt: skip
    rows.append(Measurement(archs[0].id, "energy_mj", "device", "p", "search", None, "mJ", failure="no meter"))
    with Store.open(path) as store:
        run = store.begin_run("hwsearch run", {"host": "x"})
        store.add_architectures(archs)
        store.add_device("device", "cpu", {"runtime": "onnxruntime"})
        store.add(rows, run=run)
        store.put_state("fit", {"accuracy": {"mae": 0.5}})
        Queue(store).submit([NewJob(f"job-{k}", "latency", "device", {"archs": [k]}, 60.0) for k in range(4)])
        store.end_run(run, "done")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.execute("VACUUM")
    connection.close()
    data = path.read_bytes()
    known = read_store(path)

    def fits(found: dict[str, Any]) -> bool:
        return all(v is None or np.isfinite(v) for _, v, *_ in found["rows"]) and all(
            k in known["keys"] for k in found["keys"]
        )

    bad = []
    for statement in (
        "UPDATE measurements SET value = 'text' WHERE id = 3",
        "UPDATE measurements SET value = x'00' WHERE id = 3",
        "UPDATE measurements SET repeats = 'many' WHERE id = 3",
        "UPDATE measurements SET arch_id = 'another' WHERE id = 3",
        "UPDATE measurements SET details = '[1]' WHERE id = 3",
        "UPDATE measurements SET details = replace(hex(zeroblob(60000)), '0', '[') WHERE id = 3",
        "UPDATE measurements SET value = 9e999 WHERE id = 3",
        "UPDATE measurements SET details = '{\"a\": ' || replace(hex(zeroblob(4000)), '0', '9') || '}' WHERE id = 3",
        "UPDATE measurements SET started_at = 'yesterday' WHERE id = 3",
        "UPDATE measurements SET record = 'text' WHERE id = 3",
        "UPDATE measurements SET metric = x'ff' WHERE id = 3",
        "UPDATE architectures SET genes = '[]'",
        "UPDATE architectures SET genes = '7'",
        "UPDATE state SET document = '[]'",
        "UPDATE devices SET description = '3'",
        "UPDATE runs SET host = '[[['",
        "UPDATE jobs SET payload = 'x'",
        "UPDATE jobs SET attempts = 'x'",
        "UPDATE meta SET value = 'x'",
        "DROP TABLE runs",
    ):
        copy = folder / "bad.sqlite"
        copy.write_bytes(data)
        connection = sqlite3.connect(copy)
        connection.execute(statement)
        connection.commit()
        connection.close()
        bad.append(copy.read_bytes())
    return Kind("store.sqlite", "store.sqlite", data, read_store, fits, lambda f: bool(f == known), crafted=tuple(bad))


# ---------------------------------------------------------------------- latency tables
def _tables(folder: Path, name: str) -> Kind:
    """Make a folder of one device with one table, of which the description, the space or the rows are damaged."""
    home = folder / "tables"
    frame = pd.DataFrame(
        [{"kernel": 3 + 2 * (k % 3), "depth": k // 3, "latency_ms": 1.5 + 0.25 * k} for k in range(24)]
    )
    space = TableSpace("toy", (Gene("kernel", (3, 5, 7)), Gene("depth", tuple(range(8)))))
    frame = tables.checked(frame, space, "toy")
    facts = {
        "statistic": "median",
        "protocol": "10 runs",
        "measured": "whole network",
        "source": "made up",
        "licence": "CC0-1.0",
    }
    if not (home / "board" / "device.toml").is_file():
        tables.write(
            home, {"name": "board", "hardware": "a board", "runtime": "x", "batch": 1}, "toy", frame, space, facts
        )
    content = {str(p.relative_to(home)): p.read_bytes() for p in sorted(home.rglob("*")) if p.is_file()}
    known = tables.load("board", "toy", home)

    def beside(place: Path) -> None:
        for file, data in content.items():
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            (place / file).write_bytes(data)

    def read(path: Path) -> pd.DataFrame:
        return tables.load("board", "toy", path.parent.parent)

    def fits(found: pd.DataFrame) -> bool:
        values = found["latency_ms"].to_numpy()
        return bool((values > 0).all() and np.isfinite(values).all())

    file = {"toml": "board/device.toml", "parquet": "board/toy.parquet", "space": "spaces/toy.toml"}[name]
    return Kind(
        f"latency table {name}", file, content[file], read, fits, lambda f: bool(f.equals(known)), text=name != "parquet", checksum=name != "space", beside=beside
    )  # fmt: skip


# ---------------------------------------------------------------------- images
def _encoded(form: str, side: int = 24, seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def _png_bomb(width: int, height: int, data: bytes = b"") -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    if not data:  # black
        packer = zlib.compressobj(1)
        row = bytes(width * 3 + 1)
        data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _image(folder: Path, form: str) -> Kind:
    data = _encoded(form)

    def beside(place: Path) -> None:
        for label in ("cat", "dog"):
            (place / label).mkdir(exist_ok=True)
            (place / label / "whole.png").write_bytes(_encoded("PNG", seed=3))

    def read(path: Path) -> Any:
        found = from_folder(path.parent.parent, PREPROCESS)
        return found.digest and found.pixels(16)[np.argsort(found.names)]

    place = folder / f"images {form}"
    beside_made = Kind("x", f"cat/picture.{form.lower()}", data, read, bool, bool, beside=beside)
    known = read(beside_made.placed(place, data))
    bombs: tuple[bytes | Callable[[], bytes], ...] = ()
    if form == "PNG":
        bombs = (
            _png_bomb(60_000, 60_000, b"x"),
            _png_bomb(2**31 - 1, 2**31 - 1, b"x"),
            partial(_png_bomb, 13_000, 13_000),
        )
    return Kind(
        f"image {form}", f"cat/picture.{form.lower()}", data, read, lambda p: p.shape == known.shape, lambda p: bool(np.array_equal(p, known)),
        checksum=form == "PNG", beside=beside, crafted=bombs,
    )  # fmt: skip


def _parquet(folder: Path) -> Kind:
    frame = pd.DataFrame(
        {"image": [_encoded("PNG", 16, k) for k in range(6)], "label": [0, 1, 2, 0, 1, 2], "split": ["test"] * 6}
    )
    path = folder / "images.parquet"
    frame.to_parquet(path, index=False)

    def read(path: Path) -> Any:
        found = from_parquet(path, PREPROCESS, split="test")
        return found.labels.tolist(), found.digest, found.pixels(16)

    labels, digest, pixels = read(path)

    def fits(found: Any) -> bool:
        return all(v >= 0 for v in found[0]) and found[2].shape[1:] == (16, 16, 3) and len(found[2]) == len(found[0])

    def equal(found: Any) -> bool:
        return found[0] == labels and found[1] == digest and bool(np.array_equal(found[2], pixels))

    bombs = (partial(_many_rows, folder, 300, 1_000_000, 1), partial(_many_rows, folder, 2, 20_000, 200_000))
    return Kind("images.parquet", path.name, path.read_bytes(), read, fits, equal, crafted=bombs)


def _many_rows(folder: Path, groups: int, rows: int, length: int) -> bytes:
    """Make a small parquet file of many rows with one text of some length."""
    path = folder / "bomb.parquet"
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), pa.array([bytes(length)]))
    table = pa.table({"image": text, "label": pa.array(np.zeros(rows, dtype=np.int64))})
    with pq.ParquetWriter(path, table.schema, compression="zstd", store_schema=False) as writer:
        for _ in range(groups):
            writer.write_table(table)
    return path.read_bytes()


# ---------------------------------------------------------------------- cards
def _card(folder: Path) -> Kind:
    card = {
        "architecture": {"id": "abc", "space": "toy", "genes": {"depth": 3}},
        "supernet": {"name": "cifar10-mbv3", "weights": "0123"},
        "accuracy": {"top1_percent": 80.25, "standard_error": 0.5, "images": 3000, "data": "test", "subject": "x"},
        "latency": {"cpu": {"latency_ms_p50": 1.5, "low": 1.4, "high": 1.6, "confidence": 0.95}},
        "macs": 1_000_000, "params": 2_000_000, "input": {"name": "input", "shape": ["batch", 3, 32, 32], "dtype": "float32"},
        "output": {"name": "logits", "classes": ["a", "b"]}, "opset": 17, "difference_from_torch": 1e-6,
        "files": [{"file": "abc.onnx", "bytes": 1234, "sha256": "0" * 64}], "written_at": "2026-01-31T12:00:00.000000Z",
    }  # fmt: skip

    def fits(found: dict[str, Any]) -> bool:
        return 0 <= found["difference_from_torch"] < float("inf") and all(f["bytes"] >= 0 for f in found["files"])

    crafted = (b"[" * 100_000, b'{"files": ' + b"9" * 100_000 + b"}")
    return Kind(
        "card",
        "abc.json",
        json.dumps(card).encode(),
        read_card,
        fits,
        lambda c: bool(c == card),
        text=True,
        crafted=crafted,
    )


KINDS: dict[str, Callable[[Path], Kind]] = {
    "store.sqlite": _store,
    "latency table toml": partial(_tables, name="toml"),
    "latency table space": partial(_tables, name="space"),
    "latency table parquet": partial(_tables, name="parquet"),
    **{f"image {form}": partial(_image, form=form) for form in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")},
    "images.parquet": _parquet,
    "card": _card,
}
