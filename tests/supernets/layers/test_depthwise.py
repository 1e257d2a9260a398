"""Elastic depth-wise convolution: transformed kernels, and which kernels of training it asks in which mode."""

from __future__ import annotations

import pytest
import torch

from hwsearch.supernets.kernels import using
from hwsearch.supernets.layers.containers import Named
from hwsearch.supernets.layers.conv import ElasticConv
from hwsearch.supernets.layers.depthwise import ElasticDepthwise, expanded
from hwsearch.supernets.layers.norm import ElasticBatchNorm
from tests.supernets.layers.watched import Watched


@pytest.mark.parametrize("transform", [True, False])
def test_a_slice_equals_the_extracted_layer(transform: bool) -> None:
    conv, x = ElasticDepthwise(9, (3, 5, 7), 2, transform=transform), torch.randn(2, 6, 8, 8)
    for p in conv.conv.parameters():
        torch.nn.init.normal_(p)
    for kernel in (3, 5, 7):
        assert torch.allclose(conv(x, kernel), conv.static(6, kernel)(x), atol=1e-5)


def test_it_is_fused_with_its_norm_in_training_mode_only() -> None:
    conv, norm, x, kernels = ElasticDepthwise(9, (3, 5), 1), ElasticBatchNorm(9), torch.randn(2, 6, 8, 8), Watched()
    expected = conv.normed(x, 3, norm, "relu")
    with using(kernels):
        assert torch.equal(conv.normed(x, 3, norm, "relu"), expected) and kernels.asked[0] == "depthwise_norm_act"
        conv(x, 5)
        assert kernels.asked[-1] == "depthwise"
        kernels.asked.clear()
        conv.eval(), norm.eval()
        conv.normed(x, 3, norm, "relu")
        assert kernels.asked == []


def test_half_a_block_in_one_equals_its_layers() -> None:
    expand = Named(conv=ElasticConv(6, 12), bn=ElasticBatchNorm(12))
    depth = Named(conv=ElasticDepthwise(12, (3, 5), 2), bn=ElasticBatchNorm(12))
    x, kernels = torch.randn(2, 4, 7, 7), Watched()
    expected = expanded(expand, depth, x, 9, 5, "hardswish")
    y = expand.conv.normed(x, 9, expand.bn, "hardswish")
    assert torch.equal(expected, depth.conv.normed(y, 5, depth.bn, "hardswish"))
    with using(kernels):
        assert torch.equal(expanded(expand, depth, x, 9, 5, "hardswish"), expected) and kernels.asked[0] == "expand"
        kernels.asked.clear()
        expand.eval(), depth.eval()
        expanded(expand, depth, x, 9, 5, "hardswish")
        assert kernels.asked == []
