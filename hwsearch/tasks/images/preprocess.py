"""Preprocessing of images: resizing, crop and normalisation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hwsearch.errors import DataError


def eight_bits(image: Image.Image) -> Image.Image:
    """Scale an image of 16 bits a pixel to 8; others are left as they are.

    Parameters
    ----------
    image : PIL.Image.Image
        Any image. Pillow's own conversion would clip what is brighter than 255.

    Returns
    -------
    PIL.Image.Image
        Of 8 bits a channel.

    Raises
    ------
    ValueError
        For pixels of 32 bits or floating point, whose white is not known.

    Examples
    --------
    >>> deep = Image.fromarray(np.array([[0, 257, 65535]], np.uint16))
    >>> np.array(eight_bits(deep)).tolist()
    [[0, 1, 255]]
    """
    if image.mode == "F":
        raise ValueError(
            "its pixels are floating-point numbers, whose white is not known; save it with 8 bits a channel"
        )
    if not image.mode.startswith("I"):
        return image
    pixels = np.array(image)
    if image.mode == "I" and (pixels.min() < 0 or pixels.max() > 65535):
        raise ValueError("its pixels have 32 bits, whose white is not known; save it with 8 bits a channel")
    return Image.fromarray(np.round(pixels.astype(np.float64) / 257).astype(np.uint8))


@dataclass(frozen=True)
class Preprocess:
    """Preprocessing of an image to a network's input.

    Parameters
    ----------
    mean, std : tuple of float
        Per channel (RGB), in units of 1 (pixel / 255); ImageNet's by default.
    crop : float
        Share of the shorter side that the centre crop keeps (1.0: no crop; ImageNet's habit: 0.875).
    base : int, optional
        The centre crop has this side in pixels; a network of another side gets it resized, bicubic, after normalisation
        (BigNAS, AttentiveNAS). None: the crop has the network's side.

    Raises
    ------
    DataError
        If a value is out of range.

    Examples
    --------
    >>> Preprocess(crop=0.875).to_dict()["crop"]
    0.875
    """

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    crop: float = 1.0
    base: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.crop <= 1:
            raise DataError(f"crop {self.crop} is not a share of the image, above 0 and at most 1.")
        if self.base is not None and self.base < 1:
            raise DataError(f"base {self.base} is not a side in pixels.")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise DataError(f"mean {self.mean} and std {self.std} must be three numbers each, std above 0.")

    def pixels(self, image: Image.Image, side: int) -> NDArray[np.uint8]:
        """Resize and crop one image.

        Parameters
        ----------
        image : PIL.Image.Image
            Any image; it is converted to RGB.
        side : int
            Side of the result in pixels.

        Returns
        -------
        ndarray
            uint8 ``(side, side, 3)``.
        """
        image = image.convert("RGB")
        short, shorter = math.ceil(side / self.crop), min(image.size)
        size = (short * image.width // shorter, short * image.height // shorter)  # as torchvision rounds
        if image.size != size:
            image = image.resize(size, Image.Resampling.BILINEAR)
        left, top = round((image.width - side) / 2), round((image.height - side) / 2)
        if image.size != (side, side):
            image = image.crop((left, top, left + side, top + side))
        return np.array(image)

    def normalise(self, pixels_NHWC: NDArray[np.uint8] | Tensor) -> Tensor:
        """Normalise pixels channel by channel.

        Parameters
        ----------
        pixels_NHWC : ndarray or Tensor
            uint8 ``(N, H, W, 3)``.

        Returns
        -------
        Tensor
            float32 ``(N, 3, H, W)``, channels last in memory.
        """
        x = torch.as_tensor(np.ascontiguousarray(pixels_NHWC) if isinstance(pixels_NHWC, np.ndarray) else pixels_NHWC)
        mean, std = torch.tensor(self.mean) * 255, torch.tensor(self.std) * 255
        return x.to(torch.float32, copy=True).sub_(mean).div_(std).permute(0, 3, 1, 2)

    def tensor(self, pixels_NHWC: NDArray[np.uint8] | Tensor, side: int) -> Tensor:
        """Normalise pixels, and resize them where they have the side `base` and the network another.

        Parameters
        ----------
        pixels_NHWC : ndarray or Tensor
            uint8 ``(N, H, W, 3)``.
        side : int
            The network's side in pixels.

        Returns
        -------
        Tensor
            float32 ``(N, 3, side, side)``.
        """
        x = self.normalise(pixels_NHWC)
        return x if x.shape[-1] == side else F.interpolate(x, (side, side), mode="bicubic", align_corners=False)

    def to_dict(self) -> dict[str, Any]:
        """Describe the preprocessing for the card of a model.

        Returns
        -------
        dict of str to object
            Resizing, crop, scale, mean, std and layout.
        """
        return {
            "resize": "Pillow bilinear",
            "crop": self.crop,
            **({"base": self.base, "then": "bicubic to the side"} if self.base else {}),
            "scale": "pixel / 255",
            "mean": list(self.mean),
            "std": list(self.std),
            "layout": "NCHW, RGB",
        }
