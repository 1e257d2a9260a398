"""Latencies as they are estimated from all that a device's store holds."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from hwsearch.campaigns.estimates import host_visits, latency_estimates, measured_looks, other_work
from hwsearch.campaigns.purpose import SEARCH, VALIDATE
from hwsearch.devices import TimingProtocol
from hwsearch.devices.timing.level import host_level
from hwsearch.store import Measurement

SEARCHED, FINAL = TimingProtocol(), TimingProtocol(processes=(1, 1), half_width=0.0075)
PROTOCOLS = {SEARCH: SEARCHED, VALIDATE: FINAL}


def row(
    arch: str, purpose: str, looks: list[tuple[float, float, float]], protocol: TimingProtocol | None = None
) -> Measurement:
    """A latency from looks of (seconds, log ratio, the reference's ms)."""
    protocol = protocol or (FINAL if purpose.startswith("validate") else SEARCHED)
    details = {
        "looks": [[at, ratio, 1e-6, ms, 0.001, 0.0, 0.0, [ms]] for at, ratio, ms in looks],
        "processes": len(looks),
        "loads": 2 * len(looks),
        "throttled": 1,
    }
    return Measurement(arch, "latency_ms", "d", protocol.key, purpose, 1.0, "ms", repeats=5, details=details)


def test_a_value_is_the_ratio_times_the_typical_level_of_all_that_was_measured() -> None:
    rows = [
        row("a", "search", [(0.0, 0.5, 2.0), (5.0, 0.5, 2.0)]),
        row("b", "search", [(60.0, 0.7, 2.4)]),
        row("a", "validate", [(120.0, 0.6, 2.2)]),
        replace(row("a", "validate:2", [(180.0, 0.5, 2.6)]), run=7, ended_at="2099-01-02T00:00:00+00:00"),
        replace(row("a", "validate:3", [(180.0, 0.5, 2.6)]), run=9, ended_at="2099-01-01T00:00:00+00:00"),
    ]
    found = latency_estimates(rows, PROTOCOLS)
    level = host_level(host_visits(rows))
    assert level.periods == 4 and set(found[SEARCH]) == {"a", "b"} and set(found[VALIDATE]) == {"a"}
    assert found[SEARCH]["a"].value == pytest.approx(level.typical_ms * math.exp(0.5))
    assert found[SEARCH]["b"].value == pytest.approx(level.typical_ms * math.exp(0.7))
    final = found[VALIDATE]["a"]
    assert final.value == pytest.approx(
        level.typical_ms * math.exp((0.6 + 0.5) / 2)
    )  # of final looks alone, by periods
    assert (final.repeats, final.details["rounds"], final.details["processes"], final.details["throttled"]) == (
        15,
        3,
        3,
        3,
    )
    assert final.details["typical_ms"] == level.typical_ms and len(measured_looks(final)) == 3
    assert (
        final.low is not None and final.high is not None and final.spread == pytest.approx((final.high - final.low) / 2)
    )
    assert final.run == 9 and final.ended_at.startswith("2099-01-02")  # of the last


def test_the_interval_holds_the_hosts_level_and_that_of_the_ratio_does_not() -> None:
    rows = [
        row("a", "validate" if k == 0 else f"validate:{k + 1}", [(60.0 * k, 0.0, ms)])
        for k, ms in enumerate((1.0, 1.03, 1.01, 1.02))
    ]
    final = latency_estimates(rows, PROTOCOLS)[VALIDATE]["a"]
    level = host_level(host_visits(rows))
    assert final.value is not None and final.low is not None and final.high is not None
    ratio = math.log(final.details["ratio_high"] / final.value)
    assert math.log(final.value / final.details["ratio_low"]) == pytest.approx(ratio)
    assert ratio < 0.02 < math.log1p(level.half_width)
    both = math.hypot(ratio, math.log1p(level.half_width))  # a little less, for the sum has more degrees of freedom
    assert (
        math.log(final.high / final.value) == pytest.approx(both, rel=0.02)
        and math.log(final.high / final.value) < both
    )
    assert math.log(final.value / final.low) == pytest.approx(math.log(final.high / final.value))


def test_the_latency_on_the_undisturbed_host_stands_beside_where_it_can_be_told() -> None:
    """Four periods whose fastest moments took 0.9 ms: a model of ratio 2 takes 1.8 ms there; three periods do not tell."""
    rows = [row("a", "search", [(60.0 * k, math.log(2.0), 1.0) for k in range(n)]) for n in (4, 3)]
    for look in (look for r in rows for look in r.details["looks"]):
        look[7] = [0.9] * 2 + [1.0] * 18  # in a tenth of the time
    told, not_told = (latency_estimates([r], PROTOCOLS)[SEARCH]["a"].details["undisturbed_ms"] for r in rows)
    assert told == pytest.approx(1.8) and not_told is None


def test_looks_are_brought_to_the_typical_level_by_the_models_own_sensitivity() -> None:
    """A model of sensitivity 0.5 looks relatively slow while its host is: its ratio at the typical level is 1 all along."""
    moved = row("a", "search", [(60.0 * k, 0.5 * math.log(ms), ms) for k, ms in enumerate((1.0, 1.3, 1.1, 1.2))])
    for look in moved.details["looks"]:
        look[5] = 0.5
    level = host_level(host_visits([moved]))
    found = latency_estimates([moved], PROTOCOLS)[SEARCH]["a"]
    assert found.value == pytest.approx(level.typical_ms**1.5, rel=1e-6) and found.details["precision_pct"] < 0.01


def test_what_has_converged_is_told_by_the_protocol_of_its_purpose() -> None:
    spread = [0.0, 0.0045, -0.0045]
    looks = {"search": [(60.0 * k, x, 1.0) for k, x in enumerate(spread)]}
    (searched,) = latency_estimates([row("a", "search", looks["search"])], PROTOCOLS)[SEARCH].values()
    assert searched.details["precision_pct"] == pytest.approx(
        100 * math.expm1(4.30265 * 0.0045 / math.sqrt(3)), rel=1e-2
    )
    coarse = {SEARCH: SEARCHED.model_copy(update={"half_width": 0.02}), VALIDATE: FINAL}
    rows = [row("a", "search", looks["search"], coarse[SEARCH])]
    assert not searched.details["converged"] and latency_estimates(rows, coarse)[SEARCH]["a"].details["converged"]


def test_other_protocols_and_failures_are_left_out_and_rows_without_looks_stay_as_they_are() -> None:
    other, further = (row("a", "search", [(0.0, 0.5, 2.0)], TimingProtocol(visits=n)) for n in (3, 9))
    assert other.protocol < SEARCHED.key < further.protocol
    failed = Measurement("b", "latency_ms", "d", SEARCHED.key, "search", None, "ms", failure="it hung")
    older, plain = (Measurement("c", "latency_ms", "d", SEARCHED.key, "search", ms, "ms") for ms in (2.0, 3.0))
    found = latency_estimates([other, further, failed, older, plain], PROTOCOLS)
    assert found == {SEARCH: {"c": plain}, VALIDATE: {}}  # the newest
    assert latency_estimates([], PROTOCOLS) == {SEARCH: {}, VALIDATE: {}}


def test_an_unknown_variance_survives_the_store() -> None:
    m = row("a", "search", [(0.0, 0.5, 2.0)])
    m.details["looks"][0][2] = None
    (look,) = measured_looks(m)
    assert math.isnan(look.variance) and look.reference_ms == 2.0


def on_host(load: float | None, cores: int | None) -> list[Measurement]:
    """Four periods whose fastest moments took 0.8 of the usual 1 ms, on a host of some load."""
    rows = []
    for k in range(4):
        one = row("a", "search" if k == 0 else f"validate:{k}", [(60.0 * k, 0.0, 1.0)])
        one.details["looks"][0][7] = [0.8] * 2 + [1.0] * 18
        one.details.update(load_before=load, cores=cores)
        rows.append(replace(one, started_at=f"2026-01-01T00:0{k}:00+00:00", ended_at=f"2026-01-01T00:0{k}:05+00:00"))
    return rows


@pytest.mark.parametrize(
    ("load", "cores", "busy"),
    [(3.4, 2, 1.7), (2.4, 2, None), (3.4, 8, None), (None, 2, None), (3.4, None, None), (40.0, 16, 2.5)],
)
def test_a_host_is_busy_with_other_work_where_more_wants_to_run_than_a_campaign_starts(load, cores, busy) -> None:
    assert other_work(on_host(load, cores)) == (None if busy is None else pytest.approx(busy))
    assert other_work([]) is None


def test_the_interval_of_a_busy_host_reaches_to_the_undisturbed_one_since_the_work_may_be_gone() -> None:
    idle, busy = (latency_estimates(on_host(load, 2), PROTOCOLS)[SEARCH]["a"] for load in (1.4, 3.4))
    assert idle.value == busy.value and idle.high == pytest.approx(busy.high)
    assert idle.low is not None and busy.low is not None and busy.low < 0.8 < idle.low
    assert busy.details["undisturbed_ms"] == pytest.approx(0.8)
