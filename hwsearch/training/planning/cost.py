"""Cost of a training on a cluster: each collective and routing, per step and in all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwsearch.training.planning.cluster import Cluster, Network, Topology
from hwsearch.training.planning.collectives import COLLECTIVES, Round, gather_rounds, rounds_of
from hwsearch.training.planning.demand import Demand
from hwsearch.training.planning.routing import ROUTINGS, leaf_pairs, time_collective
from hwsearch.training.planning.split import split_flows

#: most rounds x leaves x spines x draws of one simulation; beyond it fewer hashes are drawn, at least `LEAST_DRAWS`
MOST_WORK, LEAST_DRAWS = 3 * 10**8, 20
#: purpose of the generator of hashes
HASH_RNG = 31


@dataclass(frozen=True)
class Cost:
    """Cost of one stage by one collective and routing.

    Attributes
    ----------
    stage : int
        Its number, from 1.
    collective, routing : str
        Of `COLLECTIVES` and `ROUTINGS`.
    exchange_ms : float
        Time of a step's exchange; the mean over drawn hashes for ``ecmp``.
    exchange_ms_low, exchange_ms_high : float
        The middle 90 % of hashes; both equal to it where nothing is random.
    over_spray : float
        `exchange_ms` over that of ideal spraying.
    busiest_over_spray : float
        Bytes on the busiest link between leaf and spine, over those of ideal spraying; 1 where nothing crosses a spine.
    flows, extra_flows : int
        Messages of a step that cross spines, and pieces beyond these that splitting makes.
    draws : int
        Hashes drawn; 1 where nothing is random.
    hours : float
        The stage: steps times passes and exchange, which do not overlap; NaN where the time of a pass is not known.
    exchange_share : float
        Share of the exchange in it; NaN likewise.
    """

    stage: int
    collective: str
    routing: str
    exchange_ms: float
    exchange_ms_low: float
    exchange_ms_high: float
    over_spray: float
    busiest_over_spray: float
    flows: int
    extra_flows: int
    draws: int
    hours: float
    exchange_share: float


def step_rounds(collective: str, world: int, demand: Demand) -> list[Round]:
    """List the rounds of a step's whole exchange: agreement, losses, and the sum.

    Parameters
    ----------
    collective : str
        Of `COLLECTIVES`.
    world : int
        Processes.
    demand : Demand
        What is exchanged.

    Returns
    -------
    list of Round
        Empty for one process, and where nothing is exchanged.
    """
    if not demand.sum_bytes:
        return []
    told = [one for _ in range(2) for one in gather_rounds(world, demand.told_bytes / 2)]
    return [*told, *rounds_of(collective, world, demand.sum_bytes, demand.rows)]


def stage_costs(
    number: int, demand: Demand, cluster: Cluster, network: Network, draws: int = 200, seed: int = 0
) -> list[Cost]:
    """Compute what one stage costs, by every collective and routing.

    Parameters
    ----------
    number : int
        Number of the stage, from 1.
    demand : Demand
        What it exchanges and computes.
    cluster : Cluster
        Where it runs.
    network : Network
        What messages cost there.
    draws : int
        Hashes that are drawn for ECMP.
    seed : int
        Seed of these.

    Returns
    -------
    list of Cost
        In the order of `COLLECTIVES`, then `ROUTINGS`.
    """
    topology = cluster.topology
    found = []
    for collective in COLLECTIVES:
        rounds = step_rounds(collective, topology.world, demand)
        work = len(rounds) * topology.leaves * topology.spines
        used = min(draws, max(LEAST_DRAWS, MOST_WORK // max(work, 1)))
        times = {
            routing: time_collective(
                rounds, topology, network, routing, draws=used, rng=np.random.default_rng([seed, HASH_RNG, number])
            )
            for routing in ROUTINGS
        }
        ideal = times["spray"]
        for routing, timing in times.items():
            mean = float(timing.seconds.mean())
            low, high = np.quantile(timing.seconds, [0.05, 0.95])
            compute_s = (
                demand.passes * demand.shares * cluster.compute.pass_ms / 1e3 if cluster.compute else float("nan")
            )
            step_s = compute_s + mean
            found.append(
                Cost(
                    stage=number,
                    collective=collective,
                    routing=routing,
                    exchange_ms=1e3 * mean,
                    exchange_ms_low=1e3 * float(low),
                    exchange_ms_high=1e3 * float(high),
                    over_spray=_ratio(mean, float(ideal.seconds[0])),
                    busiest_over_spray=_ratio(float(timing.fabric_bytes.mean()), float(ideal.fabric_bytes[0])),
                    flows=timing.flows,
                    extra_flows=timing.extra_flows,
                    draws=len(timing.seconds),
                    hours=demand.steps * step_s / 3600,
                    exchange_share=mean / step_s if step_s > 0 else 0.0,
                )
            )
    return found


def split_table(rounds: Sequence[Round], topology: Topology) -> list[dict[str, object]]:
    """Write down how the flows of the round with the most of them are split.

    Parameters
    ----------
    rounds : sequence of Round
        Of one collective.
    topology : Topology
        The network.

    Returns
    -------
    list of dict
        Rows ``flow`` (``source→target`` ranks), ``from_leaf``, ``to_leaf``, ``spine`` and ``share``, a fraction as text; of the pair
        of leaves with the most flows; empty where nothing crosses a spine.
    """
    leaves = np.array([topology.leaf_of(rank) for rank in range(topology.world)])
    best: tuple[int, Round | None, int, int] = (0, None, 0, 0)
    for one in rounds:
        pairs = leaf_pairs(one, leaves, topology.leaves)
        if pairs.max() > best[0]:
            row, column = divmod(int(pairs.argmax()), topology.leaves)
            best = (int(pairs.max()), one, row, column)
    count, chosen, source, target = best
    if chosen is None:
        return []
    own = (leaves[chosen.sources] == source) & (leaves[chosen.targets] == target)
    ends = list(zip(chosen.sources[own].tolist(), chosen.targets[own].tolist(), strict=True))
    return [
        {
            "flow": f"{ends[piece.flow][0]}→{ends[piece.flow][1]}",
            "from_leaf": source,
            "to_leaf": target,
            "spine": piece.spine,
            "share": str(piece.share),
        }
        for piece in split_flows(count, topology.spines)
    ]


def _ratio(value: float, ideal: float) -> float:
    return value / ideal if ideal > 0 else 1.0
