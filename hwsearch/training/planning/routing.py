"""Time of a collective on a leaf-spine network, by how flows are routed over the spines.

A static model: the time of a round is that of its busiest link. There are no queues, losses, retransmissions or failures in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwsearch._typing import FloatArray, IntArray
from hwsearch.training.planning.cluster import Network, Topology
from hwsearch.training.planning.collectives import Round
from hwsearch.training.planning.split import split_flows, split_load

#: how flows find a spine, by name
ROUTINGS = ("ecmp", "spray", "split")


@dataclass(frozen=True)
class Timing:
    """Time of a collective.

    Attributes
    ----------
    seconds : ndarray
        One value a drawn hash, shape ``(draws,)``; one value where nothing is random.
    fabric_bytes : ndarray
        Bytes on the busiest link between a leaf and a spine, added up over rounds, of the same shape.
    flows : int
        Messages that cross the spines.
    extra_flows : int
        Pieces beyond these that splitting makes.
    """

    seconds: FloatArray
    fabric_bytes: FloatArray
    flows: int
    extra_flows: int


def time_collective(
    rounds: Sequence[Round],
    topology: Topology,
    network: Network,
    routing: str,
    *,
    draws: int = 1000,
    rng: np.random.Generator | None = None,
) -> Timing:
    """Compute how long a collective takes.

    Parameters
    ----------
    rounds : sequence of Round
        Of `hwsearch.training.planning.collectives.rounds_of`.
    topology : Topology
        The network's shape.
    network : Network
        What its links cost.
    routing : {"ecmp", "spray", "split"}
        ``ecmp``: each flow takes one spine at random, and keeps it while its round is repeated. ``spray``: the packets of each
        flow go over all spines alike. ``split``: `split_flows` of the flows of each pair of leaves, which loads the links
        down to the target leaf alike, too.
    draws : int
        Hashes that are drawn for ``ecmp``.
    rng : numpy.random.Generator, optional
        For ``ecmp``.

    Returns
    -------
    Timing
        Times, and what was on the busiest link.

    Raises
    ------
    ValueError
        If there is no such routing.
    """
    if routing not in ROUTINGS:
        raise ValueError(f"unknown routing {routing!r}; known: {', '.join(ROUTINGS)}.")
    count = draws if routing == "ecmp" else 1
    seconds, fabric = np.zeros(count), np.zeros(count)
    flows = extra = 0
    leaves = np.array([topology.leaf_of(rank) for rank in range(topology.world)])
    for one in rounds:
        pairs = leaf_pairs(one, leaves, topology.leaves)
        busiest = _busiest(pairs, topology.spines, routing, count, rng)
        # a rank may send, or receive, several messages of a round
        ends = max(np.bincount(one.sources).max(), np.bincount(one.targets).max())
        slowest = np.maximum(ends * network.beta_s, busiest * network.uplink_beta_s) * one.size
        seconds += one.times * (network.alpha_s + slowest)
        fabric += one.times * busiest * one.size
        flows += int(pairs.sum())
        extra += sum(len(split_flows(int(n), topology.spines)) - int(n) for n in pairs[pairs > 0])
    return Timing(seconds, fabric, flows, extra if routing == "split" else 0)


def leaf_pairs(one: Round, leaves: IntArray, count: int) -> IntArray:
    """Count the messages of a round from each leaf to each other.

    Parameters
    ----------
    one : Round
        The round.
    leaves : ndarray of int
        Leaf of each rank.
    count : int
        Leaves.

    Returns
    -------
    ndarray of int
        Shape ``(leaves, leaves)``; the diagonal is 0, for what stays below a leaf crosses no spine.
    """
    found = np.zeros((count, count), dtype=np.int64)
    np.add.at(found, (leaves[one.sources], leaves[one.targets]), 1)
    np.fill_diagonal(found, 0)
    return found


def _busiest(pairs: IntArray, spines: int, routing: str, draws: int, rng: np.random.Generator | None) -> FloatArray:
    """Messages on the busiest link between a leaf and a spine, up or down, shape ``(draws,)``."""
    if not pairs.any():
        return np.zeros(draws)
    if routing == "spray":
        return np.array([max(pairs.sum(axis=0).max(), pairs.sum(axis=1).max()) / spines])
    sources, targets = np.nonzero(pairs)
    counts = pairs[sources, targets]
    if routing == "split":
        loads = np.array([[float(load) for load in split_load(int(n), spines)] for n in counts])[None]
    else:
        generator = rng or np.random.default_rng(0)
        loads = generator.multinomial(counts, np.full(spines, 1 / spines), size=(draws, len(counts))).astype(np.float64)
    up, down = np.zeros((len(pairs), len(loads), spines)), np.zeros((len(pairs), len(loads), spines))
    np.add.at(up, sources, loads.transpose(1, 0, 2))
    np.add.at(down, targets, loads.transpose(1, 0, 2))
    found: FloatArray = np.maximum(up.max(axis=(0, 2)), down.max(axis=(0, 2)))
    return found
