"""Single paths with minimal splitting: equal flows laid on spines so that every spine carries the same."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from hwsearch._typing import IntArray
from hwsearch.errors import ConfigError


@dataclass(frozen=True)
class Piece:
    """Share of one flow that is sent by one spine.

    Attributes
    ----------
    flow, spine : int
        Their numbers, from 0.
    share : Fraction
        Share of the flow, in (0, 1].
    """

    flow: int
    spine: int
    share: Fraction


def split_flows(flows: int, spines: int) -> list[Piece]:
    """Place equal flows on spines with the fewest pieces that load all spines alike.

    Whole flows are dealt out while a full round of them is left. The remaining r are laid end to end and cut where a spine is
    full: r + s - gcd(r, s) pieces. There is no way with fewer: each set of flows and spines that pieces join is balanced in
    itself, which at most gcd(r, s) sets can be, and a set of k members has at least k - 1 pieces.

    Parameters
    ----------
    flows : int
        Flows that leave one leaf, of equal size.
    spines : int
        Spines that share them.

    Returns
    -------
    list of Piece
        By flow, then spine; each spine carries ``flows / spines`` of a flow exactly.

    Raises
    ------
    ConfigError
        If there is no spine, or less than no flow.

    References
    ----------
    Addanki, Goyal and Marinos, "Challenging the need for packet spraying in large-scale distributed training", 2024,
    arXiv 2407.00550: that flows which start together and are split on arrival need no spraying.

    Examples
    --------
    >>> [(p.flow, p.spine, str(p.share)) for p in split_flows(3, 2)]
    [(0, 0, '1'), (1, 1, '1'), (2, 0, '1/2'), (2, 1, '1/2')]
    """
    if spines < 1 or flows < 0:
        raise ConfigError(f"{flows} flows over {spines} spines: give at least 0 flows and 1 spine.")
    whole = flows - flows % spines
    rest = flows - whole
    pieces = [Piece(flow, flow % spines, Fraction(1)) for flow in range(whole)]
    # a flow is s units long and a spine takes r of them: whole numbers, so that nothing is rounded
    place = 0
    while place < rest * spines:
        flow, spine = place // spines, place // rest
        end = min((flow + 1) * spines, (spine + 1) * rest)
        pieces.append(Piece(whole + flow, spine, Fraction(end - place, spines)))
        place = end
    return pieces


def split_load(flows: int, spines: int) -> list[Fraction]:
    """Add up what each spine carries of split flows.

    Parameters
    ----------
    flows, spines : int
        As of `split_flows`.

    Returns
    -------
    list of Fraction
        Flows a spine; one number a spine.

    Examples
    --------
    >>> [str(load) for load in split_load(3, 2)]
    ['3/2', '3/2']
    """
    found = [Fraction(0)] * spines
    for piece in split_flows(flows, spines):
        found[piece.spine] += piece.share
    return found


def ecmp_busiest(flows: int, spines: int, draws: int, rng: np.random.Generator) -> IntArray:
    """Simulate equal-cost multi-path routing of one leaf: each flow takes one spine at random.

    Parameters
    ----------
    flows, spines : int
        As of `split_flows`.
    draws : int
        How often the hash of all flows is drawn.
    rng : numpy.random.Generator
        Source of all randomness.

    Returns
    -------
    ndarray of int
        Flows on the busiest spine, shape ``(draws,)``; divided by ``flows / spines`` the ratio to ideal spraying.
    """
    return rng.multinomial(flows, np.full(spines, 1 / spines), size=draws).max(axis=1).astype(np.int64)
