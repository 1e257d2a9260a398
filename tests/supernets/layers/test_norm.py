"""Elastic batch norm: its slices, and that activation and residual follow it in that order."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from hwsearch.supernets.kernels import using
from hwsearch.supernets.layers.norm import ElasticBatchNorm, norm_act
from tests.supernets.layers.watched import Watched


def test_only_the_channels_in_use_are_normalised_and_counted() -> None:
    norm, x = ElasticBatchNorm(8), torch.randn(4, 5, 3, 3) + 2
    y = norm(x)
    assert torch.allclose(y.mean((0, 2, 3)), torch.zeros(5), atol=1e-5)
    mean = norm.bn.running_mean
    assert mean is not None and torch.allclose(mean[:5], 0.1 * x.mean((0, 2, 3)), atol=1e-6) and not mean[5:].any()


def test_tensors_are_views() -> None:
    norm = ElasticBatchNorm(8, eps=1e-3, momentum=0.2)
    tensors = norm.tensors(5)
    assert (tensors.momentum, tensors.eps) == (0.2, 1e-3)
    tensors.running_mean.fill_(7.0)
    assert norm.bn.running_mean is not None and norm.bn.running_mean.tolist() == [7.0] * 5 + [0.0] * 3
    assert tensors.weight.data_ptr() == norm.bn.weight.data_ptr() and tensors.weight.requires_grad


def test_the_kernels_are_asked_in_training_mode_only() -> None:
    norm, x, residual, kernels = ElasticBatchNorm(8), torch.randn(4, 5, 3, 3), torch.randn(4, 5, 3, 3), Watched()
    expected = F.relu(norm(x)) + residual
    with using(kernels):
        assert torch.equal(norm_act(x, norm, "relu", residual), expected) and kernels.asked == ["norm_act"]
        norm.eval()
        assert torch.equal(norm_act(x, norm, "relu", residual), F.relu(norm(x)) + residual)
        assert kernels.asked == ["norm_act"]
