"""Order of channels in inverted residuals, worked by hand."""

from __future__ import annotations

import pytest
import torch

from hwsearch.supernets.families.mobilenetv3.config import MobileNetV3Config, Stage
from hwsearch.supernets.families.mobilenetv3.init import init_weights
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3


@pytest.fixture
def one_block() -> ElasticMobileNetV3:
    """One elastic block with squeeze-and-excitation on 8 channels, expanded to 8 or 16."""
    config = MobileNetV3Config(
        "one-block",
        (Stage(8, 1, "relu", True),),
        stem_width=8,
        final_width=8,
        mix_width=8,
        classes=3,
        kernels=(3,),
        expansions=(1, 2),
        depths=(1,),
        resolutions=(8,),
    )
    net = ElasticMobileNetV3(config).eval()
    init_weights(net, 0)
    return net


@torch.no_grad()
def test_a_sorted_subnet_keeps_the_channels_that_the_projection_reads_most(one_block: ElasticMobileNetV3) -> None:
    """Channel i is read with weight i + 1 by the projection, and made with weight 16 - i by the expansion.

    By the projection the narrow subnet keeps channels 15, 14, …, 8; by the expansion it would keep 0, 1, …, 7.
    """
    conv = one_block.blocks[1].conv
    expand, depth, project = conv.inverted_bottleneck, conv.depth_conv, conv.point_linear
    rising = torch.arange(1.0, 17.0)
    project.conv.conv.weight.copy_(rising.reshape(1, 16, 1, 1).expand(8, 16, 1, 1))
    expand.conv.conv.weight.copy_(rising.flip(0).reshape(16, 1, 1, 1).expand(16, 8, 1, 1))
    depth.conv.conv.weight.copy_(rising.flip(0).reshape(16, 1, 1, 1).expand(16, 1, 3, 3))
    expand.bn.bn.bias.copy_(rising)
    one_block.sort_channels()
    block = one_block.subnet(one_block.space.smallest()).blocks[0]
    assert block.project.weight[0, :, 0, 0].tolist() == [16, 15, 14, 13, 12, 11, 10, 9]
    assert block.expand.weight[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert block.depth.weight[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert block.expand_bn.bias.tolist() == [16, 15, 14, 13, 12, 11, 10, 9]


@torch.no_grad()
def test_channels_inside_the_squeeze_are_sorted_by_the_layer_that_reads_them(one_block: ElasticMobileNetV3) -> None:
    """Channel i inside is read with weight i + 1 by the gate, and made with weight 8 - i by the reduction."""
    fc = one_block.blocks[1].conv.depth_conv.se.fc
    rising = torch.arange(1.0, 9.0)
    fc["expand"].weight.copy_(rising.reshape(1, 8, 1, 1).expand(16, 8, 1, 1))
    fc["reduce"].weight.copy_(rising.flip(0).reshape(8, 1, 1, 1).expand(8, 16, 1, 1))
    fc["reduce"].bias.copy_(rising)
    one_block.sort_channels()
    assert fc["expand"].weight[0, :, 0, 0].tolist() == [8, 7, 6, 5, 4, 3, 2, 1]
    assert fc["reduce"].weight[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert fc["reduce"].bias.tolist() == [8, 7, 6, 5, 4, 3, 2, 1]


@torch.no_grad()
def test_sorting_does_not_change_the_largest_subnet(one_block: ElasticMobileNetV3) -> None:
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    before = one_block.subnet(one_block.space.largest())(x)
    one_block.sort_channels()
    torch.testing.assert_close(one_block.subnet(one_block.space.largest())(x), before, rtol=1e-4, atol=1e-5)
