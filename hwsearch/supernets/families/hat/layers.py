"""The static subnet of HAT: a plain encoder-decoder Transformer, and the two models that deploy it."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.supernets.families.hat.attention import CrossAttention, SelfAttention
from hwsearch.supernets.families.hat.plan import HatLayerPlan


class HatEncoderLayer(nn.Module):
    """Self-attention and feed-forward network, each with its residual and then its norm."""

    def __init__(self, plan: HatLayerPlan, width: int, qkv: int) -> None:
        super().__init__()
        self.attention = SelfAttention(width, qkv, plan.heads)
        self.attention_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, plan.ffn)
        self.fc2 = nn.Linear(plan.ffn, width)
        self.ffn_norm = nn.LayerNorm(width)

    def forward(self, x_NSC: Tensor, masked: Tensor) -> Tensor:
        x = self.attention_norm(x_NSC + self.attention(x_NSC, masked)[0])
        return self.feed(x)

    def feed(self, x_NTC: Tensor) -> Tensor:
        return self.ffn_norm(x_NTC + self.fc2(F.relu(self.fc1(x_NTC))))  # type: ignore[no-any-return]


class HatDecoderLayer(HatEncoderLayer):
    """As an encoder layer, with attention to encoder outputs in between."""

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
        """The output (N, T, C), and all self-attention keys and values; beam : as in `CrossAttention`."""
        y, k, v = self.attention(x_NTC, future, past)
        x = self.attention_norm(x_NTC + y)
        masked = padding_N11S.repeat(1, 1, 1, self.outputs)
        x = self.cross_norm(x + self.cross(x, memory[0], memory[1], masked, beam))
        return self.feed(x), k, v
