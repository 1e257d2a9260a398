"""Latencies taken row by row: of which protocol and purpose, the host behind them, and columns of estimates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from hwsearch.campaigns.latency_rows import BUSY, LatencyRows, busy_load, look_of
from hwsearch.campaigns.purpose import SEARCH, VALIDATE
from hwsearch.devices import TimingProtocol
from hwsearch.devices.timing.level import Visit, host_level

SEARCHED, FINAL = TimingProtocol(), TimingProtocol(processes=(1, 1), half_width=0.0075)
PROTOCOLS = {SEARCH: SEARCHED, VALIDATE: FINAL}


def add(rows: LatencyRows, arch: str, purpose: str, at: float, ratio: float, ms: float = 2.0, **more: Any) -> None:
    protocol = more.pop("protocol", FINAL if purpose.startswith("validate") else SEARCHED)
    looks = more.pop("looks", [[at, ratio, 1e-6, ms, 0.001, 0.0, 0.1, [ms]]])
    rows.add(arch, purpose, protocol.key, {"looks": looks, **more}, f"{at}", f"{at + 1}")


def test_rows_of_other_protocols_and_purposes_are_left_out() -> None:
    rows = LatencyRows(PROTOCOLS)
    add(rows, "a", "search", 0.0, 0.5)
    add(rows, "b", "search", 0.0, 0.5, protocol=FINAL)
    add(rows, "c", "finetuned", 0.0, 0.5)
    found = rows.estimates()
    assert found[SEARCH].ids == ["a"] and found[VALIDATE].ids == []


def test_rounds_of_one_subnet_are_one_estimate_in_the_order_of_first_appearance() -> None:
    rows = LatencyRows(PROTOCOLS)
    for at, arch, purpose, ratio in (
        (0, "b", "validate", 0.5),
        (60, "a", "validate", 0.3),
        (120, "b", "validate:2", 0.7),
    ):
        add(rows, arch, purpose, float(at), ratio)
    found = rows.estimates()[VALIDATE]
    level = host_level([Visit(float(at), 2.0, (2.0,)) for at in (0, 60, 120)])
    assert found.ids == ["b", "a"] and found.level == level
    assert found.column("value").tolist() == pytest.approx([2 * math.exp(0.6), 2 * math.exp(0.3)])
    assert (found.column("low") < found.column("value")).all() and len(found.precision) == 2


def test_what_rests_on_the_search_alone_does_not_see_final_looks() -> None:
    rows = LatencyRows(PROTOCOLS)
    add(rows, "a", "search", 0.0, 0.5, 2.0)
    add(rows, "a", "validate", 60.0, 0.5, 4.0)
    both, early = rows.estimates(), rows.estimates([SEARCH])
    assert early[SEARCH].level.periods == 1 and both[SEARCH].level.periods == 2
    assert early[VALIDATE].ids == [] and both[VALIDATE].ids == ["a"]
    assert rows.level(0.95, [SEARCH]).typical_ms == pytest.approx(2.0)


def test_rows_that_tell_nothing_of_the_host_have_no_interval() -> None:
    rows = LatencyRows(PROTOCOLS)
    add(rows, "a", "search", 0.0, 0.5, looks=[])
    alone = rows.estimates()[SEARCH]
    assert alone.ids == ["a"] and alone.level is None and np.isnan(alone.intervals).all() and rows.level(0.95) is None
    add(rows, "b", "search", 10.0, 0.5)
    found = rows.estimates()[SEARCH]
    assert np.isnan(found.column("value")).tolist() == [True, False]


def test_a_busy_host_is_told_by_the_median_of_its_groups() -> None:
    rows = LatencyRows(PROTOCOLS)
    for at, load in ((0.0, 2.0), (60.0, 5.0), (120.0, 8.0)):
        for arch in ("a", "b"):  # of one group: they share its times, and count once
            add(rows, arch + str(at), "search", at, 0.5, load_before=load, cores=2)
    assert rows.other_work() == 2.5 > BUSY and busy_load([1.0, 1.25, 9.0]) is None and busy_load([]) is None
    assert rows.other_work([VALIDATE]) is None


def test_numbers_that_a_look_does_not_know_are_nan() -> None:
    look = look_of([1.0, 0.5, None, 2.0, 0.1, 0.0, 10.0, [2, 3]])
    assert math.isnan(look.variance) and look.levels_ms == (2.0, 3.0) and look.at_s == 1.0
