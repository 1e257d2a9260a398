"""From an image to a network's input, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from hwsearch.tasks.images.preprocess import Preprocess, eight_bits
from tests.tasks.images.pictures import PLAIN, picture


@pytest.mark.parametrize(
    ("value", "scaled"), [(0, 0), (128, 0), (129, 1), (257, 1), (32896, 128), (65535, 255)]
)  # 257 times 255 is 65535; halves of 257 round
def test_sixteen_bits_are_divided_by_257(value: int, scaled: int) -> None:
    assert np.array(eight_bits(Image.fromarray(np.full((2, 2), value, np.uint16)))).tolist() == [[scaled] * 2] * 2
    assert np.array(eight_bits(Image.fromarray(np.full((2, 2), value, np.int32)))).tolist() == [[scaled] * 2] * 2


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_images_of_eight_bits_are_left_as_they_are(mode: str) -> None:
    image = Image.fromarray(picture(1)).convert(mode)
    assert eight_bits(image) is image


@pytest.mark.parametrize(
    "pixels", [np.full((2, 2), -1, np.int32), np.full((2, 2), 65536, np.int32), np.ones((2, 2), np.float32)]
)
def test_pixels_whose_white_is_unknown_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="white is not known"):
        eight_bits(Image.fromarray(pixels))


def test_the_middle_of_a_wide_image_is_taken() -> None:
    """Six columns of one colour each, four rows high: of a side of 4 the middle four columns."""
    columns = np.repeat(np.arange(6, dtype=np.uint8)[None, :, None] * 40, 4, axis=0).repeat(3, axis=2)
    found = Preprocess(crop=1.0).pixels(Image.fromarray(columns), 4)
    assert found.shape == (4, 4, 3) and found[0, :, 0].tolist() == [40, 80, 120, 160]


def test_pixels_are_normalised_by_channel() -> None:
    """(255 - 0.4 · 255) / (0.2 · 255) = 3 for a white pixel's red; green 2; blue 1.333; and black -2, -2, -2."""
    pixels = np.stack([np.full((1, 1, 3), 255, np.uint8), np.zeros((1, 1, 3), np.uint8)])
    found = PLAIN.normalise(pixels)
    assert found.shape == (2, 3, 1, 1)
    torch.testing.assert_close(found.flatten(1), torch.tensor([[3.0, 2.0, 4 / 3], [-2.0, -2.0, -2.0]]))


def test_a_base_side_is_resized_to_the_networks() -> None:
    small = PLAIN.tensor(picture(1, 8, 8)[None], 12)
    assert small.shape == (1, 3, 12, 12) and PLAIN.tensor(picture(1, 8, 8)[None], 8).shape == (1, 3, 8, 8)
