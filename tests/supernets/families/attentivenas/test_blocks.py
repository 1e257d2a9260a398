"""Blocks with elastic widths: the shortcut by hand, and static blocks against elastic ones."""

from __future__ import annotations

import itertools

import pytest
import torch

from hwsearch.supernets.families.attentivenas.blocks import ElasticWideBlock, WideBlockPlan
from hwsearch.supernets.families.attentivenas.config import WideStage
from hwsearch.testing.weights import seeded_weights


def block(stride: int, se: bool, expansions: tuple[int, ...]) -> ElasticWideBlock:
    net = ElasticWideBlock(WideStage((8, 16), (1,), expansions, stride, se), 16, stride, 1e-5)
    net.load_state_dict(seeded_weights(net.state_dict()))
    return net.eval()


@torch.no_grad()
@pytest.mark.parametrize(
    ("stride", "se", "expansion", "side"), itertools.product((1, 2), (False, True), (1, 4), (7, 8))
)
def test_static_blocks_equal_elastic_ones(stride: int, se: bool, expansion: int, side: int) -> None:
    net = block(stride, se, (1,) if expansion == 1 else (2, 4))
    for inputs, outputs, kernel in itertools.product((8, 16), (8, 16), (3, 5)):
        plan = WideBlockPlan(0, inputs, inputs * expansion, outputs, kernel, stride, side)
        x = torch.randn(2, inputs, side, side, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(net.static(plan).eval()(x), net(x, plan), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_the_shortcut_is_the_input_where_the_shape_stays() -> None:
    """With a projection of zeros (norm included) only the shortcut is left."""
    net = block(1, False, (2, 4))
    project = net.mobile_inverted_conv.point_linear
    project.bn.bn.weight.zero_()
    project.bn.bn.bias.zero_()
    x = torch.randn(1, 8, 4, 4)
    same = WideBlockPlan(0, 8, 16, 8, 3, 1, 4)
    assert same.identity and torch.equal(net(x, same), x)
    wider = WideBlockPlan(0, 8, 16, 16, 3, 1, 4)
    assert not wider.identity
    torch.testing.assert_close(net(x, wider), torch.nn.functional.conv2d(x, net.shortcut.conv.conv.weight[:16, :8]))


@torch.no_grad()
def test_the_shortcut_of_a_strided_block_is_the_mean_of_four_pixels() -> None:
    net = block(2, False, (2, 4))
    project = net.mobile_inverted_conv.point_linear
    project.bn.bn.weight.zero_()
    project.bn.bn.bias.zero_()
    x = torch.arange(16.0).reshape(1, 1, 4, 4).expand(1, 8, 4, 4)
    found = net(x, WideBlockPlan(0, 8, 16, 8, 3, 2, 4))
    assert found[0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]
