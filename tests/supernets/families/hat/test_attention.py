"""Attention of HAT, worked by hand."""

from __future__ import annotations

import math

import torch

from hwsearch.supernets.families.hat.attention import CrossAttention, HatAttention, SelfAttention


def randomised(net: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    for p in net.parameters():
        p.data = torch.randn(p.shape, generator=generator)
    return net.eval()


def test_attention_of_two_tokens_by_hand() -> None:
    """Scores 1 · 1 / √1 and 0, so weights e / (e + 1) and 1 / (e + 1) on the values 10 and 20."""
    attention = HatAttention(1, 1)
    q, k, v = torch.ones(1, 1, 1, 1), torch.tensor([[[[1.0], [0.0]]]]), torch.tensor([[[[10.0], [20.0]]]])
    expected = (10 * math.e + 20) / (math.e + 1)
    torch.testing.assert_close(attention.attend(q, k, v, None), torch.tensor([[[expected]]]))
    masked = torch.tensor([False, True])[None, None, None]
    assert attention.attend(q, k, v, masked).item() == 10


def test_heads_lie_side_by_side() -> None:
    attention = HatAttention(4, 2)
    q, k = attention.split(torch.arange(8.0).reshape(1, 1, 8))
    assert q.flatten().tolist() == [0, 1, 2, 3] and k.flatten().tolist() == [4, 5, 6, 7]
    assert q.shape == (1, 2, 1, 2) and q[0, 1, 0].tolist() == [2, 3]


@torch.no_grad()
def test_tokens_one_by_one_give_what_all_at_once_give() -> None:
    net = randomised(SelfAttention(6, 4, 2))
    x = torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(1))
    whole, _, _ = net(x, torch.ones(3, 3, dtype=torch.bool).triu(1))
    past: list[torch.Tensor] = []
    for t in range(3):
        y, *past = net(x[:, t : t + 1], None, past)
        torch.testing.assert_close(y[:, 0], whole[:, t])
        assert past[0].shape == (2, 2, t + 1, 2)


@torch.no_grad()
def test_hypotheses_of_a_beam_attend_to_the_sentence_they_belong_to() -> None:
    net = randomised(CrossAttention(6, 5, 4, 2))
    generator = torch.Generator().manual_seed(1)
    x, outputs = torch.randn(4, 1, 6, generator=generator), torch.randn(2, 3, 5, generator=generator)
    k, v = net.memory(outputs)
    masked = torch.zeros(2, 1, 1, 3, dtype=torch.bool)
    found = net(x, k, v, masked, 2)
    expected = net(x, k.repeat_interleave(2, 0), v.repeat_interleave(2, 0), masked.repeat_interleave(2, 0))
    torch.testing.assert_close(found, expected)
