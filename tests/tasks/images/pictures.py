"""Made-up pictures, shared by the tests of image data."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from hwsearch.tasks.images import Preprocess

PLAIN = Preprocess(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))


def picture(seed: int, width: int = 12, height: int = 10) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size=(height, width, 3), dtype=np.uint8)


def png(pixels: np.ndarray, mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()
