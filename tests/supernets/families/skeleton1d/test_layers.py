"""Layers over sequences with padding against loops over the real positions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwsearch.supernets.families.skeleton1d.layers import (
    ConvNorm,
    ElasticBaseNet,
    ElasticConvNorm,
    ElasticSqueezeExcite1d,
    copy_leading,
    masked_mean,
)
from hwsearch.testing.weights import seeded_weights


def seeded(module: nn.Module) -> nn.Module:
    module.load_state_dict(seeded_weights(module.state_dict()))
    return module.eval()


def given(channels: int = 16, length: int = 10) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(1)
    mask = torch.ones(3, 1, length)
    mask[0, 0, 7:], mask[1, 0, 4] = 0, 0
    return torch.from_numpy(rng.standard_normal((3, channels, length)).astype(np.float32)), mask


def test_the_masked_mean_is_the_mean_of_what_the_mask_leaves() -> None:
    x, mask = given()
    for row, there, found in zip(x, mask[:, 0], masked_mean(x, mask), strict=True):
        torch.testing.assert_close(found, row[:, there == 1].mean(1))
    assert not masked_mean(x, torch.zeros_like(mask)).any()
    weights = torch.rand(3, 1, 10) * mask
    expected = [np.average(r.numpy(), axis=1, weights=w[0].numpy()) for r, w in zip(x, weights, strict=True)]
    np.testing.assert_allclose(masked_mean(x, weights).numpy(), np.stack(expected), rtol=1e-4, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("kernel", [3, 7])
def test_an_elastic_convolution_is_torchs_of_the_slice(kernel: int) -> None:
    layer = seeded(ElasticConvNorm(16, 24, 7))
    layer.outputs, layer.kernel = 8, kernel
    x, _ = given(12)
    plain = nn.Sequential(nn.Conv1d(12, 8, kernel, padding="same", bias=False), nn.BatchNorm1d(8)).eval()
    crop = (7 - kernel) // 2
    plain[0].weight.copy_(layer.conv.weight[:8, :12, crop : 7 - crop])
    copy_leading(plain[1], layer.bn)
    torch.testing.assert_close(layer(x), plain(x))
    static = layer.static(12)
    assert type(static) is ConvNorm and static.conv.kernel_size == (kernel,)
    torch.testing.assert_close(static.eval()(x), plain(x))


def test_statistics_of_training_are_those_of_the_active_channels() -> None:
    layer = seeded(ElasticConvNorm(16, 24, 7)).train()
    before = layer.bn.running_mean.clone()
    layer.outputs = 8
    x, _ = given()
    y = nn.functional.conv1d(x, layer.conv.weight[:8], padding=3)
    layer(x)
    torch.testing.assert_close(layer.bn.running_mean[:8], 0.9 * before[:8] + 0.1 * y.mean((0, 2)).detach())
    assert torch.equal(layer.bn.running_mean[8:], before[8:])


@torch.no_grad()
def test_the_gate_of_channels_by_hand() -> None:
    gate = seeded(ElasticSqueezeExcite1d(32))
    x, mask = given(16)  # the first 16 of 32 channels: a bottleneck of 8
    for i in range(3):
        mean = x[i][:, mask[i, 0] == 1].mean(1)
        narrow = (gate.reduce.weight[:8, :16, 0] @ mean + gate.reduce.bias[:8]).clamp(min=0)
        open_ = torch.sigmoid(gate.expand.weight[:16, :8, 0] @ narrow + gate.expand.bias[:16])
        torch.testing.assert_close(gate(x, mask)[i], x[i] * open_[:, None])


@torch.no_grad()
def test_positions_are_weighed_by_their_features() -> None:
    net = seeded(ElasticBaseNet(16, 16, 1, 3, attention=True))
    x, mask = given()
    features = torch.relu(net.stem(x)) * mask
    features = net.blocks[0](features, mask)
    for i in range(3):
        there = mask[i, 0] == 1
        score = torch.sigmoid((net.weigh.weight[0, :, 0] @ features[i]) + net.weigh.bias)[there]
        torch.testing.assert_close(net(x, mask)[i], (features[i][:, there] * score).sum(1) / score.sum())
