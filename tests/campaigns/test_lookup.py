"""Questions to the store: which rows count for which purpose, and what is settled. A stand-in store answers."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd
import pytest

from hwsearch.campaigns.lookup import (
    MAX_FAILURES,
    accuracy_protocol,
    find_accuracy,
    find_failed_too_often,
    find_metric,
    find_settled,
    latency_rows,
)
from hwsearch.campaigns.purpose import SEARCH, VALIDATE, Purpose
from hwsearch.campaigns.split import Split
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.store import Measurement

TARGET = SimpleNamespace(name="board", fingerprint="print")


def row(arch_id, value, purpose="search", metric="energy_mj") -> Measurement:
    failure = "no" if value is None else None
    return Measurement(arch_id, metric, "print", "p", purpose, value, "mJ", failure=failure)


class Store:
    """Answers every question with the same rows, and remembers the questions."""

    def __init__(self, rows=(), settled=None) -> None:
        self.rows, self.settled, self.asked = list(rows), settled or {}, []

    def find(self, **what):
        self.asked.append(what)
        return self.rows

    def failures(self, **what):
        self.asked.append(what)
        return [m for m in self.rows if m.value is None]

    def frame(self, **what):
        self.asked.append(what)
        return pd.DataFrame({"arch_id": self.settled[what["metric"]]})


def campaign(store, data=()):
    return SimpleNamespace(
        store=store,
        data=dict.fromkeys(data),
        config=SimpleNamespace(data=SimpleNamespace(batch=50)),
        loaded=SimpleNamespace(digest="weights"),
        example_subject=lambda split: f"examples of {split}",
        protocol=TimingProtocol(),
        final_protocol=TimingProtocol(processes=(4, 8)),
    )


@pytest.mark.parametrize(
    "data, key", [(["calibration"], "bn-recalibration batch 50"), ([], "inherited weights batch 50")]
)
def test_scores_of_recalibrated_and_of_inherited_statistics_are_kept_apart(data, key) -> None:
    assert accuracy_protocol(campaign(Store(), data)) == key


def test_scores_are_asked_for_by_data_protocol_purpose_and_weights() -> None:
    store = Store([row("a", 90.0), row("b", None), row("a", 91.0)])
    found = find_accuracy(campaign(store), Split.TEST, VALIDATE)
    assert {k: m.value for k, m in found.items()} == {"a": 91.0}
    assert store.asked == [
        {
            "metric": "accuracy",
            "subject": "examples of test",
            "protocol": "inherited weights batch 50",
            "purpose": "validate",
            "supernet": "weights",
        }
    ]


def test_final_values_of_all_rounds_are_asked_for_at_once_and_pooled() -> None:
    store = Store([row("a", 1.0, "validate"), row("a", 3.0, "validate:2"), row("a", 9.0, "search")])
    one = campaign(store)
    assert find_metric(one, TARGET, "energy_mj", VALIDATE)["a"].value == 2.0
    assert find_metric(one, TARGET, "energy_mj", SEARCH)["a"].value == 9.0
    assert [a["purpose"] for a in store.asked] == [None, "search"]
    assert [a["protocol"] for a in store.asked] == [one.final_protocol.key, one.protocol.key]


def test_a_subnet_is_given_up_at_its_last_allowed_failure() -> None:
    store = Store([row("a", None)] * MAX_FAILURES + [row("b", None)] * (MAX_FAILURES - 1))
    assert find_failed_too_often(campaign(store), "energy_mj", "print") == {"a"}
    assert store.asked == [{"metric": "energy_mj", "subject": "print", "supernet": "weights"}]


def test_settled_is_what_has_a_latency_and_an_answer_to_every_further_metric() -> None:
    store = Store(settled={"latency_ms": ["a", "b", "c"], "energy_mj": ["b", "c", "d"], "power": ["c", "a"]})
    one = campaign(store)
    assert find_settled(one, TARGET, "p", SEARCH, ["latency_ms"]) == {"a", "b", "c"}
    assert find_settled(one, TARGET, "p", SEARCH, ["latency_ms", "energy_mj"]) == {"b", "c"}
    assert find_settled(one, TARGET, "p", SEARCH, ["latency_ms", "energy_mj", "power"]) == {"c"}
    assert find_settled(one, TARGET, "p", SEARCH, []) == set()
    # a failed latency is measured again; that a device cannot tell another metric is an answer
    assert [a["failed"] for a in store.asked[-3:]] == [False, True, True]


def test_latencies_are_asked_for_by_device_and_weights_and_where_said_by_protocol_and_round() -> None:
    store = Store([row("a", 1.0, metric="latency_ms")])
    assert [m.value for m in latency_rows(store, "print", "weights")] == [1.0]
    latency_rows(store, "print", "weights", protocol="p", purpose=Purpose.final(2))
    common = {"metric": "latency_ms", "subject": "print", "supernet": "weights"}
    assert store.asked == [
        {**common, "protocol": None, "purpose": None},
        {**common, "protocol": "p", "purpose": "validate:2"},
    ]
