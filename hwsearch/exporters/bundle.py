"""Write deployable bundles: ONNX files and, beside them, a card that says all a user must know."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx

from hwsearch.errors import ExportError
from hwsearch.exporters.onnx.serialise import serialise
from hwsearch.supernets.base import Part


def write_bundle(
    path: Path, models: onnx.ModelProto | Sequence[tuple[Part, onnx.ModelProto]], card: dict[str, Any]
) -> dict[str, Any]:
    """Write a model (``NAME.onnx``) and its card (``NAME.json``), each whole or not at all.

    Parameters
    ----------
    path : Path
        File ``NAME.onnx``; missing folders are made.
    models : onnx.ModelProto, or sequence of (Part, onnx.ModelProto)
        One model, or the parts of a deployed subnet, whose files are ``NAME.PART.onnx``.
    card : dict
        JSON-able facts.

    Returns
    -------
    dict
        The card as written: with ``files``, ``file``, ``bytes`` (of all files) and ``sha256`` (of the first).

    Raises
    ------
    ExportError
        If the name does not end in .onnx, or a file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise ExportError(f"{str(path)!r} does not end in .onnx.", hint="Name it FILE.onnx.")
    data, files = {}, []
    for part, model in [(None, models)] if isinstance(models, onnx.ModelProto) else models:
        place = path.with_suffix(f".{part.name}.onnx") if part and part.name else path
        data[place] = serialise(model)
        facts = {"file": place.name, "bytes": len(data[place]), "sha256": hashlib.sha256(data[place]).hexdigest()}
        files.append(facts | _interface(part))
    full = {
        "file": files[0]["file"],
        "bytes": sum(map(len, data.values())),
        "sha256": files[0]["sha256"],
        **card,
        "files": files,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for place, content in data.items():
            write_atomic(place, content)
        write_atomic(path.with_suffix(".json"), (json.dumps(full, indent=1, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise ExportError(
            f"cannot write {str(path)!r}: {error.strerror}.", hint="Free space or choose another folder."
        ) from error
    return full


def _interface(part: Part | None) -> dict[str, Any]:
    """Describe what a part takes and gives, and how often it is run for one inference."""
    if part is None:
        return {}
    inputs = []
    for i in part.inputs:
        names = i.dynamic_axes()
        shape = [names.get(k, size) for k, size in enumerate(i.full_shape(1))]
        inputs.append({"name": i.name, "shape": shape, "dtype": "int64" if i.high else "float32"})
    return {"runs": part.runs, "inputs": inputs, "outputs": list(part.outputs)}


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file through a temporary one, so that a reader never sees half of it.

    Parameters
    ----------
    path : Path
        The file.
    data : bytes
        Its content.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
