"""What a measurement accepts, and that its key is its content."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsearch._json import to_json
from hwsearch.errors import StoreError
from hwsearch.store import Measurement, measurement_key, utc_now


def make(**changes: Any) -> Measurement:
    fields = {"arch_id": "a", "metric": "latency_ms", "subject": "dev", "protocol": "p", "purpose": "search"}
    return Measurement(**{**fields, "value": 1.5, "unit": "ms", **changes})


def test_the_key_is_the_same_in_every_version() -> None:
    # printf '["a","latency_ms","dev","p","search",""]' | sha256sum
    assert make().key == "4f7d04d8bf91ebeda1ac306a948a526f"


@pytest.mark.parametrize("name", ["arch_id", "metric", "subject", "protocol", "purpose", "supernet"])
def test_each_part_of_the_key_changes_it(name: str) -> None:
    assert make(**{name: "other"}).key != make().key


@pytest.mark.parametrize("changes", [{"value": 2.0}, {"unit": "s"}, {"repeats": 7}, {"run": 3}, {"details": {"x": 1}}])
def test_the_outcome_is_not_part_of_the_key(changes: dict[str, Any]) -> None:
    assert make(**changes).key == make().key


@given(st.lists(st.text(max_size=3), min_size=6, max_size=6), st.lists(st.text(max_size=3), min_size=6, max_size=6))
def test_keys_are_equal_only_for_equal_parts(a: list[str], b: list[str]) -> None:
    assert (measurement_key(*a) == measurement_key(*b)) == (a == b)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"value": float("nan")}, "value=nan"),
        ({"value": float("inf")}, "value=inf"),
        ({"value": None}, "value=None"),
        ({"failure": "crashed"}, "'crashed'"),
        ({"spread": -0.1}, "spread=-0.1"),
        ({"spread": float("nan")}, "spread=nan"),
        ({"low": 2.0, "high": 1.0}, "low=2"),
        ({"repeats": -1}, "repeats=-1"),
        ({"repeats": 2**31}, "repeats=2147483648"),
        ({"record": "bits"}, "record is a str"),
        ({"arch_id": ""}, "arch_id"),
        ({"subject": "a\0b"}, "subject"),
        ({"metric": "\ud800"}, "metric"),
        ({"started_at": "yesterday"}, "yesterday"),
        ({"ended_at": "2025-01-31T12:00:00"}, "time zone"),
        ({"details": {1: 2}}, "details has the key 1"),
        ({"details": {"a": [object()]}}, "details['a'][0]"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(StoreError) as caught:
        make(**changes)
    assert word in str(caught.value)


def test_a_failure_keeps_its_text_without_what_databases_refuse() -> None:
    failed = make(value=None, failure="worker \0died: \udcff")
    assert failed.failed and failed.failure == "worker died: ?"
    assert make(value=None, failure="").failure == "unknown failure"


def test_numpy_numbers_become_plain() -> None:
    m = make(
        value=np.float32(0.5),
        repeats=np.int64(3),
        details={"p": (np.float64(1), np.int32(2)), "a": np.arange(2), "nan": np.nan, "yes": np.bool_(True)},
    )
    assert type(m.value) is float and type(m.repeats) is int
    assert m.details == {"p": [1.0, 2], "a": [0, 1], "nan": None, "yes": True}
    assert isinstance(hash(m), int)


def test_times_are_kept_as_utc_text_that_sorts() -> None:
    m = make(started_at="2025-01-31T01:00:00+02:00", ended_at="2025-01-30T23:00:00.5Z")
    assert (m.started_at, m.ended_at) == ("2025-01-30T23:00:00.000000Z", "2025-01-30T23:00:00.500000Z")
    assert dataclasses.replace(m, started_at=utc_now()).started_at > m.started_at


def test_plain_keeps_what_is_not_finite_where_it_may() -> None:
    assert repr(to_json([float("nan"), float("inf")], "x")) == "[nan, inf]"
