"""Costs of stages, and the table of a split, by hand."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest

from hwsearch.training.planning import (
    Cluster,
    Demand,
    Network,
    Topology,
    parse_cluster,
    rounds_of,
    split_table,
    stage_costs,
)

DEMAND = Demand("x", steps=100, passes=2.0, parameter_bytes=6000, buffer_bytes=2000, rows=1, told_bytes=0.0)


def cluster(**more: Any) -> Cluster:
    found = parse_cluster(
        {"topology": {"leaves": 2, "ranks_per_leaf": 2, "spines": 2, "placement": "striped"}} | more, "c"
    )
    assert isinstance(found, Cluster)
    return found


def test_a_stage_by_hand() -> None:
    network = Network(alpha_us=1000, link_gbps=0.008)  # 1 ms a message, 1 us a byte
    rows = stage_costs(1, DEMAND, cluster(compute={"pass_ms": 7.0}), network, draws=50)
    by = {(r.collective, r.routing): r for r in rows}
    assert len(by) == 9
    ring = by["ring", "split"]
    told = 2 * 3 * 1.0  # two all-gathers of three rounds without bytes
    assert ring.exchange_ms == pytest.approx(told + 6 * (1 + 2)) == ring.exchange_ms_low
    assert ring.hours == pytest.approx(100 * (2 * 7 + ring.exchange_ms) / 3.6e6)
    assert ring.exchange_share == pytest.approx(ring.exchange_ms / (14 + ring.exchange_ms))
    assert ring.over_spray == pytest.approx(1) and ring.draws == 1
    ecmp = by["ring", "ecmp"]
    assert ecmp.over_spray > 1.05 and ecmp.busiest_over_spray > ecmp.over_spray and ecmp.draws == 50
    assert ecmp.exchange_ms_low <= ecmp.exchange_ms <= ecmp.exchange_ms_high
    assert math.isnan(stage_costs(1, DEMAND, cluster(), network, draws=5)[0].hours)


def test_modules_that_are_trained_apart_cost_their_passes_of_whole_batches() -> None:
    alone = Demand("x", steps=100, passes=2.0, parameter_bytes=0, buffer_bytes=0, rows=0, told_bytes=0.0, shares=4)
    network = Network(alpha_us=1000, link_gbps=0.008)
    rows = stage_costs(1, alone, cluster(compute={"pass_ms": 7.0}), network, draws=50)
    assert len(rows) == 9 and {(r.exchange_ms, r.exchange_share, r.flows) for r in rows} == {(0.0, 0.0, 0)}
    assert rows[0].hours == pytest.approx(100 * 2 * 4 * 7 / 3.6e6)


def test_the_split_is_that_of_the_busiest_pair_of_leaves() -> None:
    topology = Topology(leaves=2, ranks_per_leaf=3, spines=2, placement="striped")
    rows = split_table(rounds_of("ring", 6, 6.0), topology)
    assert [(r["flow"], r["spine"], r["share"]) for r in rows] == [
        ("0→1", 0, "1"),
        ("2→3", 1, "1"),
        ("4→5", 0, "1/2"),
        ("4→5", 1, "1/2"),
    ]
    assert sum(Fraction(str(r["share"])) for r in rows) == 3
    assert split_table(rounds_of("ring", 3, 6.0), Topology(leaves=1, ranks_per_leaf=3, spines=2)) == []
