"""Post-norm encoder and decoder layers of HAT subnets."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.supernets.families.hat.attention import CrossAttention, SelfAttention
from hwsearch.supernets.families.hat.plan import HatLayerPlan


class HatEncoderLayer(nn.Module):
    """Self-attention and feed-forward network, each with its residual and then its norm.

    Parameters
    ----------
    plan : HatLayerPlan
        Sizes of the layer.
    width : int
        Channels of a token.
    qkv : int
        Width of queries, of keys and of values.
    """

    def __init__(self, plan: HatLayerPlan, width: int, qkv: int) -> None:
        super().__init__()
        self.attention = SelfAttention(width, qkv, plan.heads)
        self.attention_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, plan.ffn)
        self.fc2 = nn.Linear(plan.ffn, width)
        self.ffn_norm = nn.LayerNorm(width)

    def forward(self, x_NSC: Tensor, masked: Tensor) -> Tensor:
        """Run the layer.

        Parameters
        ----------
        x_NSC : Tensor
            Tokens of shape (N, S, C).
        masked : Tensor
            True at padding, of shape (N, 1, 1, S).

        Returns
        -------
        Tensor
            Tokens of the same shape.
        """
        x = self.attention_norm(x_NSC + self.attention(x_NSC, masked)[0])
        return self.feed(x)

    def feed(self, x_NTC: Tensor) -> Tensor:
        """Run the feed-forward network with its residual and norm.

        Parameters
        ----------
        x_NTC : Tensor
            Tokens of shape (N, T, C).

        Returns
        -------
        Tensor
            Tokens of the same shape.
        """
        return self.ffn_norm(x_NTC + self.fc2(F.relu(self.fc1(x_NTC))))  # type: ignore[no-any-return]


class HatDecoderLayer(HatEncoderLayer):
    """An encoder layer with attention to encoder outputs in between.

    Parameters
    ----------
    plan : HatLayerPlan
        Sizes of the layer.
    width : int
        Channels of a decoder token.
    memory_width : int
        Channels of an encoder token.
    qkv : int
        Width of queries, of keys and of values.
    """

    def __init__(self, plan: HatLayerPlan, width: int, memory_width: int, qkv: int) -> None:
        super().__init__(plan, width, qkv)
        self.outputs = plan.memory
        self.cross = CrossAttention(width, memory_width, qkv, plan.cross_heads)
        self.cross_norm = nn.LayerNorm(width)

    def decode(
        self,
        x_NTC: Tensor,
        future: Tensor | None,
        past: Sequence[Tensor],
        memory: Sequence[Tensor],
        padding_N11S: Tensor,
        beam: int = 1,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run the layer on new tokens.

        Parameters
        ----------
        x_NTC : Tensor
            Tokens of shape (N, T, C).
        future : Tensor or None
            True where a token may not look at a later one.
        past : sequence of Tensor
            Self-attention keys and values of the tokens before; empty at first.
        memory : sequence of Tensor
            Encoder-decoder keys and values.
        padding_N11S : Tensor
            True where the source is padding.
        beam : int, default 1
            As of `CrossAttention`.

        Returns
        -------
        output : Tensor
            Of shape (N, T, C).
        keys : Tensor
            All self-attention keys.
        values : Tensor
            All self-attention values.
        """
        y, k, v = self.attention(x_NTC, future, past)
        x = self.attention_norm(x_NTC + y)
        masked = padding_N11S.repeat(1, 1, 1, self.outputs)
        x = self.cross_norm(x + self.cross(x, memory[0], memory[1], masked, beam))
        return self.feed(x), k, v
