"""Classify a photo with an exported subnet: needs onnxruntime, numpy and Pillow, nothing else.

    python classify.py MODEL.onnx PHOTO.jpg

The card beside the model (MODEL.json) says how its images are prepared and what its classes are called.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image


def prepared(image: Image.Image, how: dict[str, Any]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Resize, crop and normalise a photo as the model's card says.

    Parameters
    ----------
    image : PIL.Image.Image
        Any image of 8 or 16 bits a channel.
    how : dict
        ``input.preprocess`` of the card: ``side``, ``crop``, ``mean``, ``std``, and perhaps ``base``.

    Returns
    -------
    ndarray
        float32 ``(1, 3, side, side)``.
    """
    side = int(how.get("base") or how["side"])
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow's own conversion would clip
        image = Image.fromarray(np.round(np.array(image) / 257).astype(np.uint8))
    image = image.convert("RGB")
    short, shorter = math.ceil(side / how["crop"]), min(image.size)
    image = image.resize((short * image.width // shorter, short * image.height // shorter), Image.Resampling.BILINEAR)
    left, top = round((image.width - side) / 2), round((image.height - side) / 2)
    image = image.crop((left, top, left + side, top + side))
    x_HWC = (np.asarray(image, np.float32) / 255 - np.float32(how["mean"])) / np.float32(how["std"])
    x_CHW = x_HWC.transpose(2, 0, 1)
    if side != how["side"]:
        weights = bicubic(side, int(how["side"]))
        x_CHW = weights @ x_CHW @ weights.T
    return np.ascontiguousarray(x_CHW[None], np.float32)


def bicubic(before: int, after: int, a: float = -0.75) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Make the matrix that resizes one side as `torch.nn.functional.interpolate` does, ``(after, before)``.

    Parameters
    ----------
    before, after : int
        Pixels.
    a : float
        Slope of the cubic convolution kernel (Keys 1981).

    Returns
    -------
    ndarray
        float32 weights, rows of sum 1.
    """
    found = np.zeros((after, before), np.float64)
    for row in range(after):
        place = (row + 0.5) * before / after - 0.5
        for k in range(math.floor(place) - 1, math.floor(place) + 3):
            d = abs(place - k)
            weight = ((a + 2) * d - (a + 3)) * d * d + 1 if d <= 1 else a * (((d - 5) * d + 8) * d - 4)
            found[row, min(max(k, 0), before - 1)] += weight
    return found.astype(np.float32)


def main() -> int:
    """Read the command line, run the model once, and print the likeliest classes.

    Returns
    -------
    int
        The exit code.
    """
    parser = argparse.ArgumentParser(description="Classify a photo with an exported subnet.")
    parser.add_argument("model", type=Path, help="an exported .onnx file, its .json card beside it")
    parser.add_argument("photo", type=Path, help="an image file")
    parser.add_argument("--provider", default="CPUExecutionProvider", help="execution provider of ONNX Runtime")
    args = parser.parse_args()
    card = json.loads(args.model.with_suffix(".json").read_text(encoding="utf-8"))
    net = onnxruntime.InferenceSession(args.model, providers=[args.provider])
    (taken,) = net.get_inputs()
    with Image.open(args.photo) as image:
        x = prepared(image, card["input"]["preprocess"])
    batch = taken.shape[0] if isinstance(taken.shape[0], int) else 1
    logits = net.run(None, {taken.name: np.repeat(x, batch, axis=0)})[0][0]
    shares = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    names = card["output"]["classes"] or range(len(logits))
    for i in np.argsort(-logits, kind="stable")[:5]:
        sys.stdout.write(f"{100 * shares[i]:5.1f} %  {names[i]}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
