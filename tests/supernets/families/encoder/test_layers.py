"""Encoder layers: attention by hand, static layers against elastic ones, order of heads and units."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from hwsearch.supernets.families.encoder.config import EncoderConfig
from hwsearch.supernets.families.encoder.layers import (
    ElasticEncoderLayer,
    EncoderLayerPlan,
    LayerNames,
    attend,
    residual,
)
from hwsearch.testing.weights import seeded_weights

CONFIG = EncoderConfig(
    name="tiny", classes=2, norm_eps=1e-6, hidden=6, head_size=2, layers=(1,), heads=(1, 2, 3), ffn=(4, 8)
)
NAMES = LayerNames("attention.self", "norm_a", "norm_b")


def layer(pre_norm: bool) -> ElasticEncoderLayer:
    net = ElasticEncoderLayer(CONFIG, NAMES, pre_norm)
    net.load_state_dict(seeded_weights(net.state_dict()))
    return net.eval()


def test_attention_of_two_tokens_by_hand() -> None:
    """Scores 2 / √4 and 0, so weights e / (e + 1) and 1 / (e + 1); a bias of -∞ leaves the first value."""
    q = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]]).expand(1, 2, 4)
    k = torch.tensor([[[1.0, 1.0, 0.0, 0.0], [0.0] * 4]])
    v = torch.tensor([[[10.0] * 4, [20.0] * 4]])
    expected = (10 * math.e + 20) / (math.e + 1)
    torch.testing.assert_close(attend(q, k, v, 4, None), torch.full((1, 2, 4), expected))
    bias = torch.tensor([0.0, -torch.inf])[None, None, None]
    assert attend(q, k, v, 4, bias).tolist() == [[[10.0] * 4] * 2]


def test_the_norm_comes_before_the_body_or_behind_the_sum() -> None:
    double, body = torch.nn.Upsample(scale_factor=1), lambda x: x + 1
    double.forward = lambda x: 2 * x  # type: ignore[method-assign]
    x = torch.tensor(3.0)
    assert residual(x, double, body, True).item() == 3 + (2 * 3 + 1)
    assert residual(x, double, body, False).item() == 2 * (3 + (3 + 1))


@torch.no_grad()
@pytest.mark.parametrize("pre_norm", [False, True])
def test_static_layers_equal_elastic_ones(pre_norm: bool) -> None:
    net = layer(pre_norm)
    x = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
    for heads, ffn in itertools.product(CONFIG.heads, CONFIG.ffn):
        plan = EncoderLayerPlan(heads, ffn)
        torch.testing.assert_close(net.extract(plan)(x), net(x, plan), rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_heads_and_units_are_sorted_by_the_linear_that_reads_them() -> None:
    """Heads are read with weights 1, 3, 2; units with 1, …, 8. What makes them would say the opposite for units."""
    net = layer(False)
    project, contract = net.get_submodule("attention.output.dense"), net.get_submodule("output.dense")
    expand, query = net.get_submodule("intermediate.dense"), net.get_submodule("attention.self.query")
    project.weight.copy_(torch.tensor([1.0, 1, 3, 3, 2, 2]).expand(6, 6))
    query.bias.copy_(torch.arange(6.0))
    contract.weight.copy_(torch.arange(1.0, 9.0).expand(6, 8))
    expand.bias.copy_(torch.arange(8.0, 0.0, -1.0))
    net.sort_channels()
    assert project.weight[0].tolist() == [3, 3, 2, 2, 1, 1] and query.bias.tolist() == [2, 3, 4, 5, 0, 1]
    assert contract.weight[0].tolist() == [8, 7, 6, 5, 4, 3, 2, 1]
    assert expand.bias.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
