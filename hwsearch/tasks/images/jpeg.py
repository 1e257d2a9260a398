"""Decode JPEG by simplejpeg (libjpeg-turbo) where it is installed: the pixels are Pillow's, in less time."""

from __future__ import annotations

from functools import cache
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

#: first bytes of a JPEG file
_START = b"\xff\xd8\xff"


@cache
def decoder() -> ModuleType | None:
    """Find simplejpeg.

    Returns
    -------
    module or None
        None where it is not installed.
    """
    try:
        import simplejpeg
    except ImportError:
        return None
    return simplejpeg


def decode_jpeg(data: bytes, most_pixels: int) -> NDArray[np.uint8] | None:
    """Decode a colour JPEG.

    Parameters
    ----------
    data : bytes
        The encoded image.
    most_pixels : int
        An image of more pixels is left to the caller.

    Returns
    -------
    ndarray or None
        uint8 ``(h, w, 3)``; None for whatever Pillow should look at: other formats, grey or CMYK images, damaged ones, and where
        simplejpeg is not installed.
    """
    simplejpeg = decoder()
    if simplejpeg is None or not data.startswith(_START):
        return None
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours != "YCbCr" or height * width > most_pixels:
            return None
        found: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colorspace="RGB")
    except (ValueError, RuntimeError):
        return None
    return found
