"""Latencies by operator tables, against tables and whole networks whose latencies are known sums."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from hwsearch.campaigns import Campaign, operator_costs
from hwsearch.campaigns.operator_costs import operator_cost
from hwsearch.campaigns.purpose import PROFILE
from hwsearch.devices.timing.operator_profile import PROTOCOL
from hwsearch.errors import DeviceError
from hwsearch.store import Measurement


@pytest.fixture
def campaign(finished, tmp_path: Path) -> Campaign:
    """A copy of the small campaign."""
    shutil.copytree(finished[0], tmp_path / "campaign")
    return Campaign.open(tmp_path / "campaign")


def measured(campaign: Campaign, n: int) -> list:
    """Enter a table: an operator of 1 µs for each 1,000 MACs, and one of 0.1 ms that each network has twice."""
    target = campaign.target("one")
    common = {"subject": target.fingerprint, "protocol": PROTOCOL, "purpose": str(PROFILE)}
    archs = campaign.store.architectures(campaign.space)[:n]
    rows = [Measurement("fixed", "operator_ms", value=0.1, unit="ms", repeats=4, details={}, **common)]
    rows.append(Measurement("kilo", "operator_ms", value=0.001, unit="ms", repeats=4, details={}, **common))
    for a in archs:
        counts = {"fixed": 2, "kilo": round(campaign.loaded.net.macs(a) / 1000)}
        rows.append(
            Measurement(
                a.id,
                "kernels",
                value=2.0,
                unit="kernels",
                details={"signatures": counts},
                supernet=campaign.loaded.digest,
                **common,
            )
        )
    campaign.store.add(rows)
    return archs


def test_sums_are_learnt_and_brought_to_whole_networks(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    archs = measured(campaign, 60)
    net = campaign.loaded.net
    exact = np.array([0.2 + 1e-6 * net.macs(a) for a in archs])
    latency = {a.id: type("M", (), {"value": 0.5 + 3 * ms})() for a, ms in zip(archs, exact, strict=True)}
    monkeypatch.setattr(operator_costs, "find_latency", lambda *_: latency)
    cost = operator_cost(campaign, campaign.target("one"))
    assert cost.summed == cost.wholes == len(archs) >= 20 and cost.error_pct < 5
    assert cost.offset_ms == pytest.approx(0.5, rel=0.02) and cost.slope == pytest.approx(3, rel=0.02)
    others = campaign.space.sample_array(30, np.random.default_rng(9))
    expected = 0.5 + 3 * (0.2 + 1e-6 * net.macs_array(others))
    assert float(np.abs(cost(others) / expected - 1).mean()) < 0.05


def test_sums_alone_where_nothing_whole_was_measured(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    measured(campaign, 60)
    monkeypatch.setattr(operator_costs, "find_latency", lambda *_: {})
    cost = operator_cost(campaign, campaign.target("one"))
    assert (cost.offset_ms, cost.slope, cost.wholes) == (0.0, 1.0, 0)


def test_a_device_without_a_table_is_refused(campaign: Campaign) -> None:
    with pytest.raises(DeviceError, match=r"'one' has no operator table.*hwsearch operators"):
        operator_cost(campaign, campaign.target("one"))
    measured(campaign, 5)
    with pytest.raises(DeviceError, match="operators of 5 architectures only"):
        operator_cost(campaign, campaign.target("one"))
