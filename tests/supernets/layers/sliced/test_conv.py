"""Which sliced convolutions of declared networks run on the kernels of training, and that results stay the same."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hwsearch.supernets.kernels import using
from hwsearch.supernets.layers.sliced.conv import SlicedConv2d
from tests.supernets.layers.watched import Watched


@pytest.mark.parametrize(
    ("conv", "crop", "asked"),
    [
        (nn.Conv2d(6, 9, 1, bias=False), 0, ["pointwise"]),
        (nn.Conv2d(6, 9, 1), 0, []),
        (nn.Conv2d(6, 9, 1, 2, bias=False), 0, []),
        (nn.Conv2d(6, 9, 3, padding=1, bias=False), 1, ["pointwise"]),
        (nn.Conv2d(6, 9, 3, padding=1, bias=False), 0, []),
        (nn.Conv2d(6, 6, 5, 2, 2, groups=6, bias=False), 0, ["depthwise"]),
        (nn.Conv2d(6, 6, 5, 1, 2, groups=6, bias=False), 1, ["depthwise"]),
        (nn.Conv2d(6, 6, 5, 1, 0, groups=6, bias=False), 0, []),
        (nn.Conv2d(6, 6, 3, 1, 2, 2, groups=6, bias=False), 0, []),
        (nn.Conv2d(6, 6, 3, 1, 1, groups=6, bias=False, padding_mode="circular"), 0, []),
        (nn.Conv2d(6, 6, 4, 1, 2, groups=6, bias=False), 0, []),
        (nn.Conv2d(6, 6, 3, 1, "same", groups=6, bias=False), 0, []),
    ],
)
def test_kernels_take_what_they_have(conv: nn.Conv2d, crop: int, asked: list[str]) -> None:
    layer, kernels, x = SlicedConv2d(conv), Watched(), torch.randn(2, 5, 7, 8)
    if not layer.depthwise:
        layer.outputs = 7
    layer.crop = crop
    expected = layer(x)
    with using(kernels):
        assert torch.equal(layer(x), expected) and kernels.asked == asked
        assert torch.equal(layer.eval()(x), expected) and kernels.asked == asked
