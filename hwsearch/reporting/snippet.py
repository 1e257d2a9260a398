"""Five lines of Python that run a picked model: onnxruntime, numpy and Pillow, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from hwsearch._json import JsonObject
from hwsearch.reporting.words import finite


def side_of(pick: JsonObject, card: JsonObject) -> int | None:
    """Find the input side of a pick.

    Parameters
    ----------
    pick : mapping
        A pick of `DeviceReport.picks`.
    card : mapping
        The supernet's card.

    Returns
    -------
    int or None
        Pixels: the pick's resolution gene, or the supernet's fixed side.
    """
    for value in (pick.get("side"), (pick.get("genes") or {}).get("r"), card.get("side")):
        if finite(value):
            return int(value)
    return None


def run_lines(pick: JsonObject, card: JsonObject, provider: str) -> str:
    """Write five lines of Python that run a picked model.

    `PIL.ImageOps.fit` crops to the centre square and resizes in one step; its ``bleed`` is the share that the centre crop
    drops on each side.

    Parameters
    ----------
    pick : mapping
        A pick of `DeviceReport.picks`.
    card : mapping
        The supernet's card, with ``preprocess`` {mean, std, crop}.
    provider : str
        Execution provider of ONNX Runtime.

    Returns
    -------
    str
        The program; empty when file, side, mean or std are unknown, or it takes more than these.
    """
    prepare = card.get("preprocess") or {}
    side, file = side_of(pick, card), pick.get("file")
    mean, std = prepare.get("mean"), prepare.get("std")
    if not file or side is None or not mean or not std or prepare.get("base"):
        return ""
    crop = float(prepare.get("crop") or 1.0)
    bleed = f", bleed={(1 - crop) / 2:.4g}" if crop < 1 else ""
    name = PurePosixPath(str(file).replace("\\", "/")).name
    return "\n".join(
        [
            "import numpy as np, onnxruntime as ort; from PIL import Image, ImageOps",
            f"net = ort.InferenceSession({name!r}, providers=[{provider!r}])",
            f'image = ImageOps.fit(Image.open("photo.jpg").convert("RGB"), ({side}, {side}), Image.Resampling.BILINEAR{bleed})',
            f"x = (np.asarray(image, np.float32) / 255 - {_numbers(mean)}) / {_numbers(std)}",
            "print(net.run(None, {net.get_inputs()[0].name: x.transpose(2, 0, 1)[None].astype(np.float32)})[0].argmax())",
        ]
    )


def _numbers(values: Sequence[float]) -> str:
    return "[" + ", ".join(f"{float(v):.6g}" for v in values) + "]"
