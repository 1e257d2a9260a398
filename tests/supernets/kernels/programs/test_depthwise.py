"""Triton's depth-wise convolution by its interpreter, beside eager torch in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.supernets.kernels.cases import Case, check

if TYPE_CHECKING:
    from hwsearch.supernets.kernels.triton import TritonKernels


def case(seed: int, layout: str = "channels last") -> Case:
    return Case(2, 33, 7, 6, 8, 3, 1, "relu", layout, True, 1, seed)


@pytest.mark.parametrize(
    ("side", "stride", "channels", "height", "width", "layout"),
    [
        (3, 1, 33, 5, 7, "channels last"),
        (3, 2, 7, 8, 5, "every other channel"),
        (5, 1, 1, 4, 9, "channels first"),
        (5, 2, 40, 7, 6, "part of an image"),
        (7, 1, 9, 3, 3, "channels last"),
        (7, 2, 17, 6, 9, "channels first"),
    ],
)
def test_depth_wise_convolution(
    programs: TritonKernels, side: int, stride: int, channels: int, height: int, width: int, layout: str
) -> None:
    """Odd channels, both strides, all kernels, sides that no block divides."""
    made = case(side + stride, layout)
    inputs = [made.image(channels, height, width), made.draw(channels, 1, side, side)]
    check(programs, lambda k, t: k.depthwise(t[0], t[1], stride), inputs, 1)
