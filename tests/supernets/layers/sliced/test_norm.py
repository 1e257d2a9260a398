"""Normalisation of the first channels, against torch's own on the slice."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from hwsearch.supernets.layers.sliced.kinds import SLICED
from hwsearch.supernets.layers.sliced.norm import SlicedGroupNorm

CASES = [
    (nn.BatchNorm1d(8), (4, 8), (4, 5)),
    (nn.BatchNorm2d(8), (4, 8, 3, 3), (4, 5, 3, 3)),
    (nn.BatchNorm2d(8, affine=False), (4, 8, 3, 3), (4, 5, 3, 3)),
    (nn.BatchNorm2d(8, momentum=None), (4, 8, 3, 3), (4, 5, 3, 3)),
    (nn.LayerNorm(8), (4, 2, 8), (4, 2, 5)),
    (nn.GroupNorm(4, 8), (4, 8, 3), (4, 6, 3)),
]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("source", "whole", "part"), CASES)
def test_the_slice_is_normalised_as_a_plain_layer_of_that_size_does(
    source: nn.Module, whole: tuple[int, ...], part: tuple[int, ...], training: bool
) -> None:
    source = copy.deepcopy(source).train(training)
    generator = torch.Generator().manual_seed(0)
    for name, tensor in source.state_dict(keep_vars=True).items():
        if tensor.is_floating_point():
            tensor.data = torch.rand(tensor.shape, generator=generator) + 0.5
        assert name
    sliced = SLICED[type(source)](copy.deepcopy(source))
    channels = part[-1] if isinstance(source, nn.LayerNorm) else part[1]
    plain = sliced.static(channels)
    assert type(plain) is type(source) and plain.training == training
    x = torch.randn(part, generator=generator)
    torch.testing.assert_close(sliced(x), plain(x))
    y = torch.randn(whole, generator=generator)
    again = SLICED[type(source)](copy.deepcopy(source))
    torch.testing.assert_close(again(y), source(y))


def test_a_static_norm_has_tensors_of_its_own() -> None:
    sliced = SLICED[nn.BatchNorm2d](nn.BatchNorm2d(8).train())
    plain = sliced.static(4)
    plain(torch.randn(2, 4, 3, 3))
    assert sliced.running_mean.abs().sum() == 0 and plain.running_mean.abs().sum() > 0


def test_groups_keep_their_size() -> None:
    norm = SlicedGroupNorm(nn.GroupNorm(4, 8))
    assert norm.group_size == 2 and norm.static(6).num_groups == 3
