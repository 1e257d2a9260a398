"""simplejpeg gives Pillow's pixels, or leaves an image to Pillow."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image

from hwsearch.errors import DataError
from hwsearch.tasks.images import ImageData
from hwsearch.tasks.images.jpeg import decode_jpeg, decoder


def photo(mode: str = "RGB", size: tuple[int, int] = (61, 47)) -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)).resize(size).convert(mode)


def encoded(image: Image.Image, kind: str = "JPEG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.skipif(decoder() is None, reason="simplejpeg is not installed")
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("quality", [35, 90])
def test_pixels_are_pillows(subsampling: int, progressive: bool, quality: int) -> None:
    data = encoded(photo(), subsampling=subsampling, progressive=progressive, quality=quality)
    found = decode_jpeg(data, 10**6)
    assert found is not None
    with Image.open(io.BytesIO(data)) as image:
        assert np.array_equal(found, np.asarray(image.convert("RGB")))


@pytest.mark.skipif(decoder() is None, reason="simplejpeg is not installed")
@pytest.mark.parametrize(
    "data",
    [
        encoded(photo("L")),
        encoded(photo("CMYK")),
        encoded(photo(), "PNG"),
        encoded(photo())[:-200],
        b"\xff\xd8\xff",
        encoded(photo(size=(2000, 501))),
    ],
    ids=["grey", "cmyk", "png", "cut", "start", "large"],
)
def test_what_is_not_a_whole_colour_jpeg_is_pillows(data: bytes) -> None:
    assert decode_jpeg(data, 10**6) is None


def test_without_simplejpeg_all_is_pillows(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder.cache_clear()
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    try:
        assert decoder() is None and decode_jpeg(encoded(photo()), 10**6) is None
    finally:
        monkeypatch.undo()
        decoder.cache_clear()


def test_a_cut_jpeg_is_an_error_with_or_without_it() -> None:
    with pytest.raises(DataError, match="cannot be decoded"):
        ImageData([encoded(photo())[:-200]], np.array([0]), ("a",)).pixels(16)
