"""Sinusoidal positions that start behind the padding token, and masks of padding."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hwsearch.tasks.translation.vocabulary import PAD


def sinusoids(rows: int, width: int) -> Tensor:
    """Compute the position table of fairseq: sines in the first half, cosines in the second; the row of padding is 0.

    Parameters
    ----------
    rows : int
        Number of positions.
    width : int
        Width of a token, even.

    Returns
    -------
    Tensor
        Table of shape (rows, width).

    References
    ----------
    Vaswani et al., 2017, Attention Is All You Need, arXiv 1706.03762.
    """
    half = width // 2
    rates = torch.exp(torch.arange(half, dtype=torch.float32) * -(math.log(10000) / (half - 1)))
    angles = torch.arange(rows, dtype=torch.float32)[:, None] * rates
    table = torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)
    table[PAD] = 0
    return table


def position_rows(positions: int) -> int:
    """Count the rows of a position table; the first token has position `PAD` + 1.

    Parameters
    ----------
    positions : int
        Most tokens of a sentence.

    Returns
    -------
    int
        Rows.
    """
    return positions + PAD + 1


def position_indices(tokens_NT: Tensor) -> Tensor:
    """Compute the position of each token, counted from `PAD` + 1; padding is left out.

    Parameters
    ----------
    tokens_NT : Tensor
        Tokens of shape (N, T).

    Returns
    -------
    Tensor
        Rows of the position table, of shape (N, T).
    """
    real = (tokens_NT != PAD).long()
    return real.cumsum(1) * real + PAD


def padding_mask(source_NS: Tensor) -> Tensor:
    """Compute the attention mask of padded source tokens.

    Parameters
    ----------
    source_NS : Tensor
        Tokens of shape (N, S).

    Returns
    -------
    Tensor
        Of shape (N, 1, 1, S), True at padding.
    """
    return (source_NS == PAD)[:, None, None, :]
