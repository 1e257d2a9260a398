"""RandAugment on whole batches of images, in torch: the operations compute what Pillow's do.

Cubuk et al., "RandAugment: practical automated data augmentation with a reduced search space", 2019, arXiv 1909.13719.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

#: applies an operation to uint8 images (b, 3, h, w) with a strength in [-1, 1] an image (b,)
Operation = Callable[[Tensor, Tensor], Tensor]


def rand_augment(pixels_NHWC: Tensor, operations: int, magnitude: float, rng: np.random.Generator) -> Tensor:
    """Apply random operations to every image, each image its own.

    Parameters
    ----------
    pixels_NHWC : Tensor
        uint8 ``(b, h, w, 3)``; not changed.
    operations : int
        Operations an image, one after the other, drawn with replacement.
    magnitude : float
        Strength, from 0 to 10; its sign is drawn an image.
    rng : numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    Tensor
        uint8, of the same shape.
    """
    images = pixels_NHWC.permute(0, 3, 1, 2).clone()
    for _ in range(operations):
        chosen = rng.integers(len(OPERATIONS), size=len(images))
        signs = torch.from_numpy(np.where(rng.random(len(images)) < 0.5, -1.0, 1.0))
        for number, operation in enumerate(OPERATIONS.values()):
            members = torch.from_numpy(np.flatnonzero(chosen == number))
            if len(members):
                images[members] = operation(images[members], signs[members] * (magnitude / 10))
    return images.permute(0, 2, 3, 1).contiguous()


# ---------------------------------------------------------------------- colours
def blend(first: Tensor, second: Tensor, factor: Tensor) -> Tensor:
    """Go from one image to the other and beyond, as Pillow's `Image.blend` rounds.

    Parameters
    ----------
    first, second : Tensor
        uint8 ``(b, 3, h, w)``.
    factor : Tensor
        0 for `first`, 1 for `second`, shape ``(b,)``.

    Returns
    -------
    Tensor
        uint8 ``(b, 3, h, w)``.
    """
    start = first.float()
    mixed = start + factor.float().view(-1, 1, 1, 1) * (second.float() - start)
    return mixed.clamp(0, 255).trunc().to(torch.uint8)


def grey(images: Tensor) -> Tensor:
    """Convert to luminance (ITU-R 601-2), with Pillow's integers.

    Parameters
    ----------
    images : Tensor
        uint8 ``(b, 3, h, w)``.

    Returns
    -------
    Tensor
        uint8 ``(b, 1, h, w)``.
    """
    red, green, blue = images.to(torch.int64).unbind(1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16).to(torch.uint8)[:, None]


def brightness(images: Tensor, strength: Tensor) -> Tensor:
    """Blend with black; -1 is nearly black, 1 nearly doubles.

    Parameters
    ----------
    images, strength : Tensor
        As `Operation` takes them.

    Returns
    -------
    Tensor
        uint8 ``(b, 3, h, w)``.
    """
    return blend(torch.zeros_like(images), images, 1 + 0.9 * strength)


def contrast(images: Tensor, strength: Tensor) -> Tensor:
    """Blend with the mean luminance.

    Parameters
    ----------
    images, strength : Tensor
        As `Operation` takes them.

    Returns
    -------
    Tensor
        uint8 ``(b, 3, h, w)``.
    """
    mean = (grey(images).double().mean((1, 2, 3), keepdim=True) + 0.5).to(torch.uint8)
    return blend(mean.expand_as(images), images, 1 + 0.9 * strength)


def colour(images: Tensor, strength: Tensor) -> Tensor:
    """Blend with the luminance of each pixel.

    Parameters
    ----------
    images, strength : Tensor
        As `Operation` takes them.

    Returns
    -------
    Tensor
        uint8 ``(b, 3, h, w)``.
    """
    return blend(grey(images).expand_as(images), images, 1 + 0.9 * strength)


def sharpness(images: Tensor, strength: Tensor) -> Tensor:
    """Blend with a smoothed image; border pixels are not smoothed.

    Parameters
    ----------
    images, strength : Tensor
        As `Operation` takes them.

    Returns
    -------
    Tensor
        uint8 ``(b, 3, h, w)``; within 1 of Pillow's.
    """
    if min(images.shape[2:]) < 3:
        return images
    kernel = torch.ones(3, 1, 3, 3)
    kernel[:, :, 1, 1] = 5
    smooth = images.clone()
    inner = F.conv2d(images.float(), kernel / 13, groups=3)
    smooth[:, :, 1:-1, 1:-1] = (inner + 0.5).clamp(0, 255).to(torch.uint8)
    return blend(smooth, images, 1 + 0.9 * strength)


def posterise(images: Tensor, strength: Tensor) -> Tensor:
    """Keep the first 4 to 8 bits of every channel.

    Parameters
    ----------
    images, strength : Tensor
        As `Operation` takes them.

    Returns
    -------
    Tensor
        uint8 ``(b, 3, h, w)``.
    """
    cut = (4 * strength.abs()).round().to(torch.int64).view(-1, 1, 1, 1)
    return ((images.to(torch.int64) >> cut) << cut).to(torch.uint8)


def solarise(images: Tensor, strength: Tensor) -> Tensor:
    """Invert what is at least as bright as a threshold.

    Parameters
    ----------
    images, strength : Tensor
        As `Operation` takes them.

    Returns
    -------
    Tensor
        uint8 ``(b, 3, h, w)``.
    """
    threshold = (256 * (1 - strength.abs())).view(-1, 1, 1, 1)
    return torch.where(images.double() < threshold, images, 255 - images)


def autocontrast(images: Tensor, strength: Tensor) -> Tensor:
    """Stretch every channel from its darkest to its brightest value over the whole range.

    Parameters
    ----------
    images, strength : Tensor
        As `Operation` takes them; the strength does not matter.

    Returns
    -------
    Tensor
        uint8 ``(b, 3, h, w)``.
    """
    low, high = images.amin((2, 3), keepdim=True).double(), images.amax((2, 3), keepdim=True).double()
    spread = (high - low).clamp(min=1)
    scale = torch.full_like(spread, 255) / spread  # `255 / spread` would multiply by the rounded reciprocal
    stretched = (images.double() * scale - low * scale).clamp(0, 255).trunc().to(torch.uint8)
    return torch.where(high > low, stretched, images)


def equalise(images: Tensor, strength: Tensor) -> Tensor:
    """Even out the histogram of every channel.

    Parameters
    ----------
    images, strength : Tensor
        As `Operation` takes them; the strength does not matter.

    Returns
    -------
    Tensor
        uint8 ``(b, 3, h, w)``.
    """
    flat = images.flatten(0, 1).flatten(1).to(torch.int64)
    counts = torch.zeros(len(flat), 256, dtype=torch.int64).scatter_add_(1, flat, torch.ones_like(flat))
    last = counts.gather(1, flat.amax(1, keepdim=True))
    step = (flat.shape[1] - last) // 255
    before = counts.cumsum(1) - counts
    table = ((step // 2 + before) // step.clamp(min=1)).clamp(max=255)
    evened = table.gather(1, flat)
    return torch.where(step > 0, evened, flat).view(images.shape).to(torch.uint8)


def identity(images: Tensor, strength: Tensor) -> Tensor:
    """Leave images as they are.

    Parameters
    ----------
    images, strength : Tensor
        As `Operation` takes them.

    Returns
    -------
    Tensor
        The images.
    """
    return images


# ---------------------------------------------------------------------- geometry
def affine(images: Tensor, matrices: Tensor) -> Tensor:
    """Move pixels; each takes the value of the nearest one at its place in the source, black outside.

    Parameters
    ----------
    images : Tensor
        uint8 ``(b, 3, h, w)``.
    matrices : Tensor
        Rows (a, b, c, d, e, f) of shape ``(b, 6)``: the source of the pixel (x, y) is (ax + by + c, dx + ey + f), as
        Pillow's `Image.transform` has it, at the centres of pixels.

    Returns
    -------
    Tensor
        uint8 ``(b, 3, h, w)``.
    """
    count, channels, height, width = images.shape
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    a, b, c, d, e, f = (m.view(-1, 1, 1) for m in matrices.double().unbind(1))

    def place_of(along_x: Tensor, along_y: Tensor, start: Tensor) -> Tensor:
        """Compute places as Pillow does: with 16 fractional bits, from the centre of the first pixel."""
        first = start + along_x / 2 + along_y / 2
        fixed = [(v * 65536 + 0.5).floor().long() for v in (along_x, along_y, first)]
        return (fixed[0] * x + fixed[1] * y + fixed[2]) >> 16

    column, row = place_of(a, b, c), place_of(d, e, f)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    place = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).flatten(1)
    moved = images.flatten(2).gather(2, place[:, None].expand(-1, channels, -1)).view(images.shape)
    return torch.where(inside[:, None], moved, torch.zeros_like(moved))


def _matrices(strength: Tensor, **changed: Tensor) -> Tensor:
    columns = {name: torch.full_like(strength, float(name in "ae")) for name in "abcdef"} | changed
    return torch.stack(list(columns.values()), dim=1)


def shear_x(images: Tensor, strength: Tensor) -> Tensor:
    """Shear rows, by at most 0.3 pixels a row.

    Parameters
    ----------
    images, strength : Tensor
        As `Operation` takes them.

    Returns
    -------
    Tensor
        uint8 ``(b, 3, h, w)``.
    """
    return affine(images, _matrices(strength, b=0.3 * strength))


def shear_y(images: Tensor, strength: Tensor) -> Tensor:
    """Shear columns, by at most 0.3 pixels a column.

    Parameters
    ----------
    images, strength : Tensor
        As `Operation` takes them.

    Returns
    -------
    Tensor
        uint8 ``(b, 3, h, w)``.
    """
    return affine(images, _matrices(strength, d=0.3 * strength))


def translate_x(images: Tensor, strength: Tensor) -> Tensor:
    """Shift sideways, by whole pixels, at most 0.45 of the width.

    Parameters
    ----------
    images, strength : Tensor
        As `Operation` takes them.

    Returns
    -------
    Tensor
        uint8 ``(b, 3, h, w)``.
    """
    return affine(images, _matrices(strength, c=(0.45 * images.shape[3] * strength).trunc()))


def translate_y(images: Tensor, strength: Tensor) -> Tensor:
    """Shift up or down, by whole pixels, at most 0.45 of the height.

    Parameters
    ----------
    images, strength : Tensor
        As `Operation` takes them.

    Returns
    -------
    Tensor
        uint8 ``(b, 3, h, w)``.
    """
    return affine(images, _matrices(strength, f=(0.45 * images.shape[2] * strength).trunc()))


def rotate(images: Tensor, strength: Tensor) -> Tensor:
    """Rotate about the centre, counter-clockwise by at most 30 degrees.

    Parameters
    ----------
    images, strength : Tensor
        As `Operation` takes them.

    Returns
    -------
    Tensor
        uint8 ``(b, 3, h, w)``.
    """
    angle = -strength * math.radians(30)
    cos, sin = angle.cos(), angle.sin()
    x, y = images.shape[3] / 2, images.shape[2] / 2
    turned = {"a": cos, "b": sin, "c": x - cos * x - sin * y, "d": -sin, "e": cos, "f": y + sin * x - cos * y}
    return affine(images, _matrices(strength, **turned))


OPERATIONS: dict[str, Operation] = {
    "identity": identity,
    "autocontrast": autocontrast,
    "equalise": equalise,
    "rotate": rotate,
    "posterise": posterise,
    "solarise": solarise,
    "colour": colour,
    "contrast": contrast,
    "brightness": brightness,
    "sharpness": sharpness,
    "shear-x": shear_x,
    "shear-y": shear_y,
    "translate-x": translate_x,
    "translate-y": translate_y,
}
