"""The static subnet of HAT: a plain encoder-decoder Transformer, and the two models that deploy it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class HatAttention(nn.Module):
    """Scaled dot-product attention of several heads, whose inner width does not follow that of its input."""

    def __init__(self, qkv: int, heads: int) -> None:
        super().__init__()
        self.width = qkv
        self.heads = heads
        self.scale = (qkv // heads) ** -0.5

    def split(self, x_NTC: Tensor) -> list[Tensor]:
        """Queries, keys, values, or some of them, that stand side by side: each (N, H, T, D)."""
        shape = (x_NTC.shape[0], -1, self.heads, self.width // self.heads)
        return [y.reshape(shape).transpose(1, 2) for y in x_NTC.split(self.width, dim=2)]

    def attend(self, q_NHTD: Tensor, k_NHSD: Tensor, v_NHSD: Tensor, masked: Tensor | None) -> Tensor:
        """Heads joined: (N, T, H·D). masked : True where a query may not look, broadcast to (N, H, T, S)"""
        scores = torch.matmul(q_NHTD * self.scale, k_NHSD.transpose(2, 3))
        if masked is not None:
            scores = scores.masked_fill(masked, -math.inf)
        joined = torch.matmul(scores.softmax(3), v_NHSD).transpose(1, 2)
        return joined.reshape(q_NHTD.shape[0], -1, self.width)


class SelfAttention(HatAttention):
    """HatAttention of a sentence to itself."""

    def __init__(self, width: int, qkv: int, heads: int) -> None:
        super().__init__(qkv, heads)
        self.qkv = nn.Linear(width, 3 * qkv)
        self.out = nn.Linear(qkv, width)

    def forward(
        self, x_NTC: Tensor, masked: Tensor | None, past: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The output (N, T, C), and all keys and values: those of `past`, then those of x."""
        q, k, v = self.split(self.qkv(x_NTC))
        if past:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        return self.out(self.attend(q, k, v, masked)), k, v


class CrossAttention(HatAttention):
    """HatAttention of a decoder layer to encoder outputs."""

    def __init__(self, width: int, memory_width: int, qkv: int, heads: int) -> None:
        super().__init__(qkv, heads)
        self.query = nn.Linear(width, qkv)
        self.key_value = nn.Linear(memory_width, 2 * qkv)
        self.out = nn.Linear(qkv, width)

    def memory(self, outputs_NSC: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (N, H, S, D)."""
        k, v = self.split(self.key_value(outputs_NSC))
        return k, v

    def forward(self, x_NTC: Tensor, k_NHSD: Tensor, v_NHSD: Tensor, masked: Tensor, beam: int = 1) -> Tensor:
        """The output (N, T, C). beam : neighbouring rows of x that attend to one row of keys and values"""
        if beam > 1:  # no query waits for another, so those of a sentence stand side by side
            x = x_NTC.reshape(x_NTC.shape[0] // beam, -1, x_NTC.shape[2])
            return self(x, k_NHSD, v_NHSD, masked).reshape_as(x_NTC)  # type: ignore[no-any-return]
        (q,) = self.split(self.query(x_NTC))
        return self.out(self.attend(q, k_NHSD, v_NHSD, masked))  # type: ignore[no-any-return]
