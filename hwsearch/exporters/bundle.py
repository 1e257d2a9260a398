"""Write deployable bundles: ONNX files and, beside them, a card that says all a user must know."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx

from hwsearch._files import check_place, containing, json_with, write_file
from hwsearch.errors import ExportError
from hwsearch.exporters.onnx.serialise import serialise
from hwsearch.supernets.base import Part

#: recognise the models and cards that were written here
IS_MODEL, IS_CARD = containing(b"hwsearch"), json_with("file", "bytes", "sha256")


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
    OutputError
        If there is a link, or a file that is no model or card of this tool.
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise ExportError(f"{str(path)!r} does not end in .onnx.", hint="Name it FILE.onnx.")
    data, files = {}, []
    for part, model in [(None, models)] if isinstance(models, onnx.ModelProto) else models:
        place = path.with_suffix(f".{part.name}.onnx") if part and part.name else path
        model.producer_name = model.producer_name if "hwsearch" in model.producer_name else "hwsearch"
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
        for place in data:
            check_place(place, IS_MODEL)
        check_place(path.with_suffix(".json"), IS_CARD)
        for place, content in data.items():
            write_file(place, content, IS_MODEL)
        write_file(path.with_suffix(".json"), (json.dumps(full, indent=1, ensure_ascii=False) + "\n").encode(), IS_CARD)
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
