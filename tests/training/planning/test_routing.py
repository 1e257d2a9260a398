"""Times of collectives by hand, and routing against enumeration of all hashes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from hwsearch.training.planning import Network, Topology, rounds_of, time_collective

#: a message costs 1 ms and a byte 1 us
NETWORK = Network(alpha_us=1000, link_gbps=0.008)


def seconds(collective: str, world: int, size: float, rows: int = 1) -> float:
    one_leaf = Topology(leaves=1, ranks_per_leaf=world, spines=1)
    return float(time_collective(rounds_of(collective, world, size, rows), one_leaf, NETWORK, "split").seconds[0])


def test_times_by_hand() -> None:
    assert seconds("ring", 4, 8000) == pytest.approx(6 * (0.001 + 0.002))
    assert seconds("tree", 4, 8000) == pytest.approx(4 * (0.001 + 0.008))
    assert seconds("tree", 5, 8000) == pytest.approx(6 * (0.001 + 0.008))
    assert seconds("exchange", 4, 8000) == pytest.approx(6 * (0.001 + 0.002))
    assert seconds("exchange", 4, 8000, rows=3) == pytest.approx(3 * (0.001 + 0.006) + 3 * (0.001 + 0.002))
    assert seconds("ring", 1, 8000) == seconds("tree", 1, 8000) == 0.0
    with pytest.raises(ValueError, match="star"):
        rounds_of("star", 4, 1.0)


@pytest.mark.parametrize("world", [2, 3, 4, 5, 8, 13])
def test_a_tree_sums_and_spreads(world: int) -> None:
    sums, rounds = np.eye(world), rounds_of("tree", world, 1.0)
    for number, one in enumerate(rounds):
        sent = sums[one.sources].copy()
        if number < len(rounds) // 2:
            np.add.at(sums, one.targets, sent)
        else:
            sums[one.targets] = sent
    assert len(rounds) == 2 * math.ceil(math.log2(world)) and (sums == 1).all()


def test_a_shared_uplink_is_the_busiest() -> None:
    """Striped over two leaves, each rank's neighbour is on the other leaf: two flows leave each leaf."""
    rounds = rounds_of("ring", 4, 8000)
    one, two = (Topology(leaves=2, ranks_per_leaf=2, spines=s, placement="striped") for s in (1, 2))
    for routing in ("spray", "split", "ecmp"):
        assert time_collective(rounds, one, NETWORK, routing).seconds.mean() == pytest.approx(6 * (0.001 + 0.004))
    for routing in ("spray", "split"):
        found = time_collective(rounds, two, NETWORK, routing)
        assert found.seconds[0] == pytest.approx(6 * (0.001 + 0.002)) and found.fabric_bytes[0] == 6 * 2000
    packed = time_collective(rounds, two.model_copy(update={"placement": "packed"}), NETWORK, "spray")
    assert packed.seconds[0] == pytest.approx(6 * 0.003) and packed.fabric_bytes[0] == 6 * 1000 and packed.flows == 2
    slow = Network(alpha_us=1000, link_gbps=0.008, uplink_gbps=0.004)
    assert time_collective(rounds, two, slow, "spray").seconds[0] == pytest.approx(6 * (0.001 + 0.004))


def test_ecmp_against_every_hash() -> None:
    """Three leaves of two ranks, striped, two spines: flows of the ring, links up and down."""
    topology = Topology(leaves=3, ranks_per_leaf=2, spines=2, placement="striped")
    ends = [(k % 3, (k + 1) % 3) for k in range(6)]
    every = []
    for hashes in itertools.product(range(2), repeat=6):
        up, down = np.zeros((3, 2)), np.zeros((3, 2))
        for (source, target), spine in zip(ends, hashes, strict=True):
            up[source, spine] += 1
            down[target, spine] += 1
        every.append(max(up.max(), down.max()))
    rounds = rounds_of("ring", 6, 6.0)
    found = time_collective(rounds, topology, NETWORK, "ecmp", draws=4000, rng=np.random.default_rng(0))
    busiest = found.fabric_bytes / 10
    assert abs(busiest.mean() - np.mean(every)) < 4.5 * np.std(every) / math.sqrt(4000)
    assert set(busiest) == {1.0, 2.0}


@pytest.mark.parametrize("collective", ["ring", "tree", "exchange"])
@pytest.mark.parametrize(("leaves", "per_leaf", "spines"), [(2, 3, 2), (3, 4, 5), (4, 3, 7), (5, 2, 3)])
@pytest.mark.parametrize("placement", ["packed", "striped"])
def test_splitting_equals_spraying(collective: str, leaves: int, per_leaf: int, spines: int, placement: str) -> None:
    topology = Topology(leaves=leaves, ranks_per_leaf=per_leaf, spines=spines, placement=placement)  # type: ignore[arg-type]
    rounds = rounds_of(collective, topology.world, 1e6)
    spray, split = (time_collective(rounds, topology, NETWORK, r) for r in ("spray", "split"))
    assert split.seconds[0] == pytest.approx(spray.seconds[0], rel=1e-12)
    assert split.fabric_bytes[0] == pytest.approx(spray.fabric_bytes[0], rel=1e-12)
    ecmp = time_collective(rounds, topology, NETWORK, "ecmp", draws=50, rng=np.random.default_rng(0))
    assert (ecmp.seconds >= spray.seconds[0] - 1e-12).all()
    again = time_collective(rounds, topology, NETWORK, "ecmp", draws=50, rng=np.random.default_rng(0))
    assert np.array_equal(ecmp.seconds, again.seconds)
