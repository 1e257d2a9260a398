"""The deployable bundle: an ONNX file and, beside it, a card that says all a user must know."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import onnx

from hwsearch.errors import ExportError


def write_bundle(path: Path, model: onnx.ModelProto, card: dict[str, Any]) -> dict[str, Any]:
    """Write ``path`` (.onnx) and its card (.json), each whole or not at all; returns the card with file facts.

    card : JSON-able facts; ``file``, ``bytes`` and ``sha256`` are added
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise ExportError(f"{str(path)!r} does not end in .onnx.")
    data = model.SerializeToString()
    full = {"file": path.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), **card}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
        write_atomic(path.with_suffix(".json"), (json.dumps(full, indent=1, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise ExportError(
            f"cannot write {str(path)!r}: {error.strerror}.", hint="Free space or choose another folder."
        ) from error
    return full


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file through a temporary one, so that a reader never sees half of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
