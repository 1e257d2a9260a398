"""The plain kernels are the layers of torch that they are named after, and the fused ones are their parts."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hwsearch.supernets.kernels import ACTIVATIONS, EAGER, Norm


def norm(channels: int) -> Norm:
    one = torch.linspace(0.5, 1.5, channels)
    return Norm(one, one - 1, torch.zeros(channels), torch.ones(channels), 0.1, 1e-5)


def test_convolutions_are_torchs() -> None:
    x, w, deep = torch.randn(2, 6, 7, 5), torch.randn(4, 6, 1, 1), torch.randn(6, 1, 5, 5)
    assert torch.equal(EAGER.pointwise(x, w), F.conv2d(x, w))
    layer = nn.Conv2d(6, 6, 5, 2, 2, groups=6, bias=False)
    with torch.no_grad():
        layer.weight.copy_(deep)
        assert torch.equal(EAGER.depthwise(x, deep, 2), layer(x))


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("identity", nn.Identity()),
        ("relu", nn.ReLU()),
        ("relu6", nn.ReLU6()),
        ("hardswish", nn.Hardswish()),
        ("silu", nn.SiLU()),
    ],
)
def test_a_norm_keeps_statistics_and_adds_the_residual_last(name: str, layer: nn.Module) -> None:
    x, residual, own = torch.randn(3, 4, 5, 2), torch.randn(3, 4, 5, 2), norm(4)
    bn = nn.BatchNorm2d(4)
    with torch.no_grad():
        bn.weight.copy_(own.weight)
        bn.bias.copy_(own.bias)
        expected = layer(bn(x)) + residual
    assert torch.equal(EAGER.norm_act(x, own, name, residual), expected)  # type: ignore[arg-type]
    assert torch.equal(own.running_mean, bn.running_mean) and torch.equal(own.running_var, bn.running_var)
    assert set(ACTIVATIONS) == {"identity", "relu", "relu6", "hardswish", "silu"}


def test_squeeze_and_excitation_by_hand() -> None:
    """One channel of means 1 and 3: hidden 2 m, gate (4 m - 2) / 6 + 1/2, cut at 1."""
    x = torch.tensor([1.0, 3.0]).view(2, 1, 1, 1).expand(2, 1, 2, 2)
    two = torch.full((1, 1, 1, 1), 2.0)
    y = EAGER.squeeze_excite(x, two, torch.zeros(1), two, torch.tensor([-2.0]))
    assert torch.allclose(y[:, 0, 0, 0], torch.tensor([1 * (2 / 6 + 0.5), 3.0]))


def test_fused_ones_are_their_parts() -> None:
    x, w, deep = torch.randn(2, 3, 6, 6), torch.randn(5, 3, 1, 1), torch.randn(5, 1, 3, 3)
    y = EAGER.norm_act(EAGER.pointwise(x, w), norm(5), "relu")
    assert torch.equal(EAGER.pointwise_norm_act(x, w, norm(5), "relu"), y)
    z = EAGER.norm_act(EAGER.depthwise(y, deep, 2), norm(5), "relu")
    assert torch.equal(EAGER.depthwise_norm_act(y, deep, 2, norm(5), "relu"), z)
    assert torch.equal(EAGER.expand(x, w, norm(5), deep, 2, norm(5), "relu"), z)
    assert EAGER.identity == "eager" and not EAGER.fused
