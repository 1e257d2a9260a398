"""Multi-head attention whose inner width does not follow that of its input.

Shapes: N sentences, S source and T target tokens, C channels, H heads of width D.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class HatAttention(nn.Module):
    """Scaled dot-product attention of several heads of a fixed total width.

    Parameters
    ----------
    qkv : int
        Width of queries, of keys and of values, over all heads.
    heads : int
        Number of heads.

    References
    ----------
    Vaswani et al., 2017, Attention Is All You Need, arXiv 1706.03762.
    """

    def __init__(self, qkv: int, heads: int) -> None:
        super().__init__()
        self.width = qkv
        self.heads = heads
        self.scale = (qkv // heads) ** -0.5

    def split(self, x_NTC: Tensor) -> list[Tensor]:
        """Split queries, keys and values, or some of them, that stand side by side.

        Parameters
        ----------
        x_NTC : Tensor
            Projections of shape (N, T, k * qkv).

        Returns
        -------
        list of Tensor
            k tensors of shape (N, H, T, D).
        """
        shape = (x_NTC.shape[0], -1, self.heads, self.width // self.heads)
        return [y.reshape(shape).transpose(1, 2) for y in x_NTC.split(self.width, dim=2)]

    def attend(self, q_NHTD: Tensor, k_NHSD: Tensor, v_NHSD: Tensor, masked: Tensor | None) -> Tensor:
        """Attend and join the heads.

        Parameters
        ----------
        q_NHTD : Tensor
            Queries.
        k_NHSD : Tensor
            Keys.
        v_NHSD : Tensor
            Values.
        masked : Tensor or None
            True where a query may not look, broadcast to (N, H, T, S).

        Returns
        -------
        Tensor
            Output of shape (N, T, H * D).
        """
        scores = torch.matmul(q_NHTD * self.scale, k_NHSD.transpose(2, 3))
        if masked is not None:
            scores = scores.masked_fill(masked, -math.inf)
        joined = torch.matmul(scores.softmax(3), v_NHSD).transpose(1, 2)
        return joined.reshape(q_NHTD.shape[0], -1, self.width)


class SelfAttention(HatAttention):
    """Attention of a sentence to itself.

    Parameters
    ----------
    width : int
        Channels of a token.
    qkv : int
        Width of queries, of keys and of values.
    heads : int
        Number of heads.
    """

    def __init__(self, width: int, qkv: int, heads: int) -> None:
        super().__init__(qkv, heads)
        self.qkv = nn.Linear(width, 3 * qkv)
        self.out = nn.Linear(qkv, width)

    def forward(
        self, x_NTC: Tensor, masked: Tensor | None, past: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Attend to this and earlier tokens.

        Parameters
        ----------
        x_NTC : Tensor
            Tokens of shape (N, T, C).
        masked : Tensor or None
            True where a query may not look.
        past : sequence of Tensor, optional
            Keys and values of the tokens before.

        Returns
        -------
        output : Tensor
            Of shape (N, T, C).
        keys : Tensor
            All keys, those of `past` first.
        values : Tensor
            All values, those of `past` first.
        """
        q, k, v = self.split(self.qkv(x_NTC))
        if past:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        return self.out(self.attend(q, k, v, masked)), k, v


class CrossAttention(HatAttention):
    """Attention of a decoder layer to encoder outputs.

    Parameters
    ----------
    width : int
        Channels of a decoder token.
    memory_width : int
        Channels of an encoder token.
    qkv : int
        Width of queries, of keys and of values.
    heads : int
        Number of heads.
    """

    def __init__(self, width: int, memory_width: int, qkv: int, heads: int) -> None:
        super().__init__(qkv, heads)
        self.query = nn.Linear(width, qkv)
        self.key_value = nn.Linear(memory_width, 2 * qkv)
        self.out = nn.Linear(qkv, width)

    def memory(self, outputs_NSC: Tensor) -> tuple[Tensor, Tensor]:
        """Project encoder outputs to keys and values.

        Parameters
        ----------
        outputs_NSC : Tensor
            Encoder outputs of shape (N, S, C).

        Returns
        -------
        keys : Tensor
            Of shape (N, H, S, D).
        values : Tensor
            Of shape (N, H, S, D).
        """
        k, v = self.split(self.key_value(outputs_NSC))
        return k, v

    def forward(self, x_NTC: Tensor, k_NHSD: Tensor, v_NHSD: Tensor, masked: Tensor, beam: int = 1) -> Tensor:
        """Attend to keys and values of the encoder.

        Parameters
        ----------
        x_NTC : Tensor
            Tokens of shape (N * beam, T, C).
        k_NHSD : Tensor
            Keys.
        v_NHSD : Tensor
            Values.
        masked : Tensor
            True where a query may not look.
        beam : int, default 1
            Neighbouring rows of x that attend to one row of keys and values.

        Returns
        -------
        Tensor
            Output of the shape of x.
        """
        if beam > 1:  # no query waits for another, so those of a sentence stand side by side
            x = x_NTC.reshape(x_NTC.shape[0] // beam, -1, x_NTC.shape[2])
            return self(x, k_NHSD, v_NHSD, masked).reshape_as(x_NTC)  # type: ignore[no-any-return]
        (q,) = self.split(self.query(x_NTC))
        return self.out(self.attend(q, k_NHSD, v_NHSD, masked))  # type: ignore[no-any-return]
