"""The static subnet of HAT: a plain encoder-decoder Transformer, and the two models that deploy it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hwsearch.tasks.translation.vocabulary import PAD


def sinusoids(rows: int, width: int) -> Tensor:
    """The table (rows, width) of positions: sines in the first half, cosines in the second; the row of padding is 0."""
    half = width // 2
    rates = torch.exp(torch.arange(half, dtype=torch.float32) * -(math.log(10000) / (half - 1)))
    angles = torch.arange(rows, dtype=torch.float32)[:, None] * rates
    table = torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)
    table[PAD] = 0
    return table


def position_rows(positions: int) -> int:
    """Rows of a table for sentences of that many tokens: the first token has position `PAD` + 1."""
    return positions + PAD + 1


def position_indices(tokens_NT: Tensor) -> Tensor:
    """Rows (N, T) of the table of positions: tokens are counted from `PAD` + 1, padding is left out."""
    real = (tokens_NT != PAD).long()
    return real.cumsum(1) * real + PAD


def padding_mask(source_NS: Tensor) -> Tensor:
    """(N, 1, 1, S), True where the source is padding."""
    return (source_NS == PAD)[:, None, None, :]
