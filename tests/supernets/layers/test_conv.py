"""Elastic convolution: which kernels it asks in which mode, with equal results."""

from __future__ import annotations

import torch

from hwsearch.supernets.kernels import using
from hwsearch.supernets.layers.conv import ElasticConv
from hwsearch.supernets.layers.norm import ElasticBatchNorm
from tests.supernets.layers.watched import Watched


def test_a_slice_equals_the_extracted_layer() -> None:
    for kernel, stride in ((1, 1), (3, 2)):
        conv, x = ElasticConv(8, 12, kernel, stride), torch.randn(2, 5, 6, 6)
        assert torch.allclose(conv(x, 7), conv.static(5, 7)(x), atol=1e-6)


def test_a_1x1_convolution_is_fused_with_its_norm_in_training_mode_only() -> None:
    conv, norm, x, kernels = ElasticConv(8, 12), ElasticBatchNorm(12), torch.randn(2, 5, 6, 6), Watched()
    residual = torch.randn(2, 7, 6, 6)
    expected = conv.normed(x, 7, norm, "hardswish", residual)
    with using(kernels):
        assert torch.equal(conv.normed(x, 7, norm, "hardswish", residual), expected)
        assert kernels.asked[0] == "pointwise_norm_act"
        kernels.asked.clear()
        conv.eval(), norm.eval()
        conv.normed(x, 7, norm, "relu")
        assert kernels.asked == []


def test_another_convolution_has_its_norm_from_the_kernels() -> None:
    conv, norm, x, kernels = ElasticConv(8, 12, 3, 2), ElasticBatchNorm(12), torch.randn(2, 5, 6, 6), Watched()
    expected = conv.normed(x, 7, norm, "silu")
    with using(kernels):
        assert torch.equal(conv.normed(x, 7, norm, "silu"), expected) and kernels.asked == ["norm_act"]
