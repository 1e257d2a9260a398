"""Bottlenecks with pooled shortcuts: static against elastic, and the order of channels by hand."""

from __future__ import annotations

import itertools

import pytest
import torch

from hwsearch.supernets.families.resnet.blocks import BottleneckPlan, ElasticBottleneck, StemResidual
from hwsearch.testing.weights import seeded_weights


def block(stride: int, first: bool) -> ElasticBottleneck:
    net = ElasticBottleneck(16, 8, 16, stride, 1e-5, first=first)
    net.load_state_dict(seeded_weights(net.state_dict()))
    return net.eval()


@torch.no_grad()
@pytest.mark.parametrize(("stride", "first", "side"), [(1, False, 6), (1, True, 6), (2, True, 6), (2, True, 7)])
def test_static_blocks_equal_elastic_ones(stride: int, first: bool, side: int) -> None:
    net = block(stride, first)
    for inputs, middle, outputs in itertools.product((8, 16), (4, 8), (8, 16)):
        if not first and inputs != outputs:
            continue
        plan = BottleneckPlan(0, inputs, middle, outputs, stride, first)
        x = torch.randn(2, inputs, side, side, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(net.static(plan).eval()(x), net(x, plan), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_middle_channels_are_sorted_by_the_convolution_that_reads_them() -> None:
    """Channel i behind the second convolution is read with weight i + 1 and made with 8 - i."""
    net = block(1, False)
    rising = torch.arange(1.0, 9.0)
    net.conv3.conv.conv.weight.copy_(rising.reshape(1, 8, 1, 1).expand(16, 8, 1, 1))
    net.conv2.conv.conv.weight.copy_(rising.flip(0).reshape(8, 1, 1, 1).expand(8, 8, 3, 3))
    net.conv2.bn.bn.bias.copy_(rising)
    net.sort_channels()
    plan = BottleneckPlan(0, 16, 4, 16, 1, False)
    _, _, _, conv2, bn2, _, conv3, _ = net.static(plan).body
    assert conv3.weight[0, :, 0, 0].tolist() == [8, 7, 6, 5]
    assert conv2.weight[:, 0, 0, 0].tolist() == [1, 2, 3, 4]
    assert bn2.bias.tolist() == [8, 7, 6, 5]


@torch.no_grad()
def test_sorting_keeps_what_the_largest_block_computes() -> None:
    net = block(2, True)
    plan = BottleneckPlan(0, 16, 8, 16, 2, True)
    x = torch.randn(2, 16, 6, 6, generator=torch.Generator().manual_seed(0))
    before = net(x, plan)
    net.sort_channels()
    torch.testing.assert_close(net(x, plan), before, rtol=1e-4, atol=1e-5)


def test_the_stems_residual_adds_its_input() -> None:
    net = StemResidual(torch.nn.Conv2d(2, 2, 1), torch.nn.BatchNorm2d(2)).eval()
    torch.nn.init.constant_(net.body[0].weight, -1.0)
    torch.nn.init.zeros_(net.body[0].bias)
    x = torch.ones(1, 2, 3, 3)
    assert torch.equal(net(x), x)
