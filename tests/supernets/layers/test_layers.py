"""Elastic layers against the slicing rule written out by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from hwsearch.supernets.layers.conv import ElasticConv
from hwsearch.supernets.layers.depthwise import ElasticDepthwise
from hwsearch.supernets.layers.naming import make_divisible
from hwsearch.supernets.layers.norm import ElasticBatchNorm
from hwsearch.supernets.layers.squeeze_excite import ElasticSqueezeExcite

Randomise = Callable[..., None]


def test_make_divisible_gives_the_published_widths_of_width_multiplier_1_2() -> None:
    """16 → 24 and not 16, because 16 is less than 90 % of 19.2."""
    base, wide = (16, 24, 40, 80, 112, 160, 960, 1280), [24, 32, 48, 96, 136, 192, 1152, 1536]
    assert [make_divisible(1.2 * w) for w in base] == wide
    assert [make_divisible(v) for v in (1, 11, 12, 36, 144 // 4, 240 // 4)] == [8, 16, 16, 40, 40, 64]


def test_depthwise_kernels_come_from_the_larger_ones_through_the_whole_chain(randomise: Randomise) -> None:
    layer = ElasticDepthwise(4, (3, 5, 7), stride=1)
    randomise(layer)
    full = layer.conv.weight.detach()
    to5, to3 = layer.conv.get_parameter("7to5_matrix").detach(), layer.conv.get_parameter("5to3_matrix").detach()
    for channel in range(3):
        k5 = (to5 @ full[channel, 0, 1:6, 1:6].reshape(25)).reshape(5, 5)
        k3 = (to3 @ k5[1:4, 1:4].reshape(9)).reshape(3, 3)
        for kernel, expected in ((7, full[channel, 0]), (5, k5), (3, k3)):
            torch.testing.assert_close(layer.weight(3, kernel)[channel, 0], expected, rtol=1e-5, atol=1e-6)


def test_matrices_stand_beside_the_convolution_and_load_from_both_places(randomise: Randomise) -> None:
    layer, copy = ElasticDepthwise(4, (3, 5, 7), stride=1), ElasticDepthwise(4, (3, 5, 7), stride=1)
    randomise(layer)
    state = layer.state_dict()
    assert set(state) == {"conv.weight", "5to3_matrix", "7to5_matrix"}
    below = {k if k == "conv.weight" else f"conv.{k}": v for k, v in state.items()}
    for names in (state, below):
        randomise(copy, seed=1)
        copy.load_state_dict(names)
        assert torch.equal(copy.weight(4, 3), layer.weight(4, 3)) and torch.equal(copy.weight(4, 5), layer.weight(4, 5))
    assert set(state) == {"conv.weight", "5to3_matrix", "7to5_matrix"}
    with pytest.raises(RuntimeError, match="7to5_matrix"):
        copy.load_state_dict({k: v for k, v in state.items() if k != "7to5_matrix"})


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_depthwise_keeps_the_size_of_a_padded_convolution(randomise: Randomise, kernel: int, stride: int) -> None:
    layer = ElasticDepthwise(6, (3, 5, 7), stride)
    randomise(layer)
    x = torch.randn(2, 4, 11, 8, generator=torch.Generator().manual_seed(0))
    y = layer(x, kernel)
    assert y.shape == (2, 4, -(-11 // stride), -(-8 // stride))
    weight = layer.weight(4, kernel)
    for c in range(4):
        one = F.conv2d(x[:, c : c + 1], weight[c : c + 1], stride=stride, padding=kernel // 2)
        torch.testing.assert_close(y[:, c : c + 1], one, rtol=1e-4, atol=1e-5)


def test_pointwise_uses_the_first_rows_and_columns(randomise: Randomise) -> None:
    layer = ElasticConv(8, 12)
    randomise(layer)
    x = torch.randn(2, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    expected = torch.einsum("oi,nihw->nohw", layer.conv.weight[:7, :5, 0, 0], x)
    torch.testing.assert_close(layer(x, 7), expected, rtol=1e-5, atol=1e-6)


def test_batch_norm_uses_and_updates_the_first_channels_only(randomise: Randomise) -> None:
    layer = ElasticBatchNorm(6)
    randomise(layer)
    bn = layer.bn
    assert bn.running_mean is not None and bn.running_var is not None
    x = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    scale = (bn.weight[:3] / (bn.running_var[:3] + bn.eps).sqrt()).view(1, 3, 1, 1)
    expected = (x - bn.running_mean[:3].view(1, 3, 1, 1)) * scale + bn.bias[:3].view(1, 3, 1, 1)
    torch.testing.assert_close(layer.eval()(x), expected)
    mean, var = bn.running_mean.clone(), bn.running_var.clone()
    layer.train()(x)
    torch.testing.assert_close(bn.running_mean[:3], 0.9 * mean[:3] + 0.1 * x.mean((0, 2, 3)))
    torch.testing.assert_close(bn.running_var[:3], 0.9 * var[:3] + 0.1 * x.var((0, 2, 3), unbiased=True))
    assert torch.equal(bn.running_mean[3:], mean[3:]) and torch.equal(bn.running_var[3:], var[3:])


def test_squeeze_excite_follows_the_rule(randomise: Randomise) -> None:
    layer = ElasticSqueezeExcite(96)
    randomise(layer)
    channels, middle = 72, 24  # 72 // 4 = 18 → 16 is less than 90 %, hence 24
    assert make_divisible(channels // 4) == middle
    x = torch.randn(2, channels, 4, 4, generator=torch.Generator().manual_seed(0))
    reduce, expand = layer.fc["reduce"], layer.fc["expand"]
    s = x.mean((2, 3)) @ reduce.weight[:middle, :channels, 0, 0].T + reduce.bias[:middle]
    s = s.clamp(min=0) @ expand.weight[:channels, :middle, 0, 0].T + expand.bias[:channels]
    gate = ((s + 3).clamp(0, 6) / 6)[:, :, None, None]
    assert float(gate.detach().std()) > 0
    torch.testing.assert_close(layer(x), x * gate, rtol=1e-5, atol=1e-6)
