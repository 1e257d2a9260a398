"""Sizes of blocks and grids of the Triton programs."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import triton
from torch import Tensor

#: pixels and channels that a program holds at once
BLOCK_P, BLOCK_C = 32, 32
#: parts that a sum over pixels is split into at most, and pixels that are worth a part
MOST_PARTS, LEAST_PIXELS = 256, 256
#: arguments that are no reason to compile again: subnets have many widths
SIZES = ["pixels", "C", "H", "W", "OH", "OW"]


def blocks(pixels: int, channels: int) -> tuple[int, int]:
    """Count the programs of a grid over pixels and channels.

    Parameters
    ----------
    pixels, channels : int
        How many there are.

    Returns
    -------
    tuple of int
        Blocks of pixels, and of channels.
    """
    return triton.cdiv(pixels, BLOCK_P), triton.cdiv(channels, BLOCK_C)


def parts(pixels: int) -> tuple[int, int]:
    """Split a sum over pixels; the split depends on their number alone, so that the order of the sum does.

    Parameters
    ----------
    pixels : int
        How many there are.

    Returns
    -------
    tuple of int
        Parts, and pixels in each; the last may have fewer.
    """
    count = max(1, min(MOST_PARTS, pixels // LEAST_PIXELS))
    each = triton.cdiv(pixels, count)
    return triton.cdiv(pixels, each), each


def on_device(x: Tensor) -> AbstractContextManager[object]:
    """Launch on the GPU of a tensor within a block, as Triton launches on the current one.

    Parameters
    ----------
    x : Tensor
        The tensor; on the processor, for the interpreter, nothing changes.

    Returns
    -------
    context manager
        The block.
    """
    return torch.cuda.device(x.device) if x.device.type == "cuda" else nullcontext()
