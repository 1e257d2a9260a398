"""Latencies by operator tables, against tables and whole networks whose latencies are known sums."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hwsearch.campaigns import operator_costs
from hwsearch.campaigns.operator_costs import fit_with_operators, operator_cost, operator_times
from hwsearch.campaigns.purpose import PROFILE
from hwsearch.devices.timing.operator_profile import PROTOCOL
from hwsearch.errors import DeviceError
from hwsearch.spaces import Architecture
from hwsearch.store import Measurement, Store
from predictors import CrossValidatedPredictor


@pytest.fixture
def campaign(small_supernet, tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A campaign as far as it is asked: a store with subnets, and a device."""
    target = SimpleNamespace(name="one", fingerprint="f1")
    with Store.open(tmp_path / "store.sqlite") as store:
        store.add_device("f1", "one", {})
        store.add_architectures(small_supernet.space.sample(40, np.random.default_rng(0)))
        yield SimpleNamespace(
            store=store,
            space=small_supernet.space,
            loaded=SimpleNamespace(net=small_supernet, digest="d1"),
            folder=tmp_path,
            config=SimpleNamespace(search=SimpleNamespace(seed=0)),
            rng=lambda purpose: np.random.default_rng(1),
            target=lambda name: target,
        )


def measured(campaign: SimpleNamespace, n: int, **details: object) -> list[Architecture]:
    """Enter a table: an operator of 1 µs for each 1,000 MACs, and one of 0.1 ms that each network has twice."""
    common = {"subject": "f1", "protocol": PROTOCOL, "purpose": str(PROFILE)}
    archs = list(campaign.store.architectures(campaign.space))[:n]
    rows = [Measurement("fixed", "operator_ms", value=0.1, unit="ms", repeats=4, details={}, **common)]
    rows.append(Measurement("kilo", "operator_ms", value=0.001, unit="ms", repeats=4, details=details, **common))
    for a in archs:
        counts = {"fixed": 2, "kilo": round(campaign.loaded.net.macs(a) / 1000)}
        rows.append(
            Measurement(
                a.id, "kernels", value=2.0, unit="kernels", details={"signatures": counts}, supernet="d1", **common
            )
        )
    campaign.store.add(rows)
    return archs


def test_sums_are_learnt_and_brought_to_whole_networks(
    campaign: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    archs = measured(campaign, 40)
    net = campaign.loaded.net
    exact = np.array([0.2 + 0.001 * round(net.macs(a) / 1000) for a in archs])
    latency = {a.id: type("M", (), {"value": 0.5 + 3 * ms})() for a, ms in zip(archs, exact, strict=True)}
    monkeypatch.setattr(operator_costs, "find_latency", lambda *_: latency)
    cost = operator_cost(campaign, campaign.target("one"))
    assert cost.summed == cost.wholes == len(archs) >= 20 and cost.error_pct < 5
    assert cost.offset_ms == pytest.approx(0.5, rel=0.02) and cost.slope == pytest.approx(3, rel=0.02)
    others = campaign.space.sample_array(30, np.random.default_rng(9))
    expected = 0.5 + 3 * (0.2 + 1e-6 * net.macs_array(others))
    assert float(np.abs(cost(others) / expected - 1).mean()) < 0.05


def test_sums_alone_where_nothing_whole_was_measured(
    campaign: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(campaign, 40)
    monkeypatch.setattr(operator_costs, "find_latency", lambda *_: {})
    cost = operator_cost(campaign, campaign.target("one"))
    assert (cost.offset_ms, cost.slope, cost.wholes) == (0.0, 1.0, 0)


def test_a_device_without_a_table_is_refused(campaign: SimpleNamespace) -> None:
    with pytest.raises(DeviceError, match=r"'one' has no operator table.*hwsearch operators"):
        operator_cost(campaign, campaign.target("one"))
    measured(campaign, 5)
    with pytest.raises(DeviceError, match="operators of 5 architectures only"):
        operator_cost(campaign, campaign.target("one"))


def test_times_are_added_up_by_kind_of_operator(campaign: SimpleNamespace) -> None:
    """What the table does not say the kind of is other; an architecture with an operator that is not in it is left out."""
    archs = measured(campaign, 25, signature={"kind": "conv"})
    last = list(campaign.store.architectures(campaign.space))[-1]
    common = {"subject": "f1", "protocol": PROTOCOL, "purpose": str(PROFILE), "supernet": "d1"}
    details = {"signatures": {"fixed": 2, "unknown": 1}}
    campaign.store.add([Measurement(last.id, "kernels", value=3.0, unit="kernels", details=details, **common)])
    found, times = operator_times(campaign, campaign.target("one"))
    assert {a.id for a in found} == {a.id for a in archs} and set(times) == {"conv", "other"}
    kilo = [round(campaign.loaded.net.macs(a) / 1000) for a in found]
    assert times["conv"] == pytest.approx(0.001 * np.array(kilo)) and times["other"] == pytest.approx(np.full(25, 0.2))


def test_predictors_take_operators_where_they_are_no_worse(campaign: SimpleNamespace) -> None:
    target, net = campaign.target("one"), campaign.loaded.net
    archs = list(campaign.store.architectures(campaign.space))[:16]
    X = net.features(archs)[0]
    rng = np.random.default_rng(0)
    y = np.array([0.2 + 1e-6 * net.macs(a) for a in archs]) * np.exp(0.001 * rng.standard_normal(16))
    without = CrossValidatedPredictor(schema=net.schema()).fit(X, y)
    assert fit_with_operators(campaign, target, (X, y, np.zeros(16)), without) == (None, "")
    measured(campaign, 40)
    without.oof_predictions_ = y * 1.1
    found, said = fit_with_operators(campaign, target, (X, y, np.zeros(16)), without)
    assert found is not None and "sums of the operators of 40 subnets explain" in said and "10.0 % without" in said
    assert np.abs(found.predict(X) / y - 1).mean() < 0.02
    without.oof_predictions_ = y.copy()
    found, said = fit_with_operators(campaign, target, (X, y, np.zeros(16)), without)
    assert found is None and "operators do not help and are not used" in said
