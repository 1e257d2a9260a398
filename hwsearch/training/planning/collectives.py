"""Collectives as rounds of messages between ranks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hwsearch._typing import IntArray

#: what can carry an all-reduce, by name
COLLECTIVES = ("exchange", "ring", "tree")


@dataclass(frozen=True)
class Round:
    """Messages that are sent at once; the next round begins when the last of them has arrived.

    Attributes
    ----------
    sources, targets : ndarray of int
        Ranks, shape ``(messages,)``.
    size : float
        Bytes of each message.
    times : int
        How often the round is repeated, between the same ranks.
    """

    sources: IntArray
    targets: IntArray
    size: float
    times: int = 1


def rounds_of(collective: str, world: int, size: float, rows: int = 1) -> list[Round]:
    """List the rounds of one all-reduce.

    Parameters
    ----------
    collective : {"exchange", "ring", "tree"}
        ``exchange`` is what a training of this package does (`hwsearch.training.ranks.Ranks.sum_in_order`): shares of all
        rows go to the rank that adds them up, which takes ``world - 1`` shifts, and the sums round a ring. ``ring`` is a
        reduce-scatter and an all-gather round a ring, 2 (world - 1) rounds of 1/world of the bytes. ``tree`` is a binomial
        tree to rank 0 and back, 2 ceil(log2(world)) rounds of all bytes.
    world : int
        Ranks.
    size : float
        Bytes of the sum.
    rows : int
        Rows that each rank holds of it; only ``exchange`` sends more for more of them.

    Returns
    -------
    list of Round
        Empty for one rank.

    Raises
    ------
    ValueError
        If there is no such collective.

    Examples
    --------
    >>> [(r.times, r.size) for r in rounds_of("ring", 4, 100.0)]
    [(6, 25.0)]
    """
    if world == 1:
        return []
    ranks = np.arange(world)
    if collective == "ring":
        return [Round(ranks, (ranks + 1) % world, size / world, 2 * (world - 1))]
    if collective == "exchange":
        shifts = [Round(ranks, (ranks + k) % world, rows * size / world) for k in range(1, world)]
        return [*shifts, Round(ranks, (ranks + 1) % world, size / world, world - 1)]
    if collective == "tree":
        return list(_tree(world, size))
    raise ValueError(f"unknown collective {collective!r}; known: {', '.join(COLLECTIVES)}.")


def gather_rounds(world: int, size: float) -> list[Round]:
    """List the rounds of an all-gather round a ring.

    Parameters
    ----------
    world : int
        Ranks.
    size : float
        Bytes that each rank brings.

    Returns
    -------
    list of Round
        Empty for one rank.
    """
    ranks = np.arange(world)
    return [Round(ranks, (ranks + 1) % world, size, world - 1)] if world > 1 else []


def _tree(world: int, size: float) -> Iterator[Round]:
    distances = [1 << k for k in range((world - 1).bit_length())]
    up = []
    for distance in distances:
        senders = np.arange(distance, world, 2 * distance)
        up.append(Round(senders, senders - distance, size))
    yield from up
    for found in reversed(up):
        yield Round(found.targets, found.sources, size)
