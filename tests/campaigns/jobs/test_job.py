"""Latency jobs: their keys, their time, and their halves."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from hwsearch.campaigns.jobs.job import halves, latency_job, payload_of, process_seconds, share_of
from hwsearch.campaigns.lookup import MAX_FAILURES
from hwsearch.campaigns.purpose import SEARCH, VALIDATE
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.spaces import Choice, SearchSpace
from hwsearch.store import Job

SPACE = SearchSpace("tiny", [Choice("depth", (1, 2, 3)), Choice("width", (8, 16, 32))])
ARCHS = SPACE.sample(5, np.random.default_rng(0))
PROTOCOL = TimingProtocol(processes=(2, 3), budget_s=10)


def made(group=ARCHS, *, deadline_s=None, metrics=("latency_ms", "energy_mj"), purpose=SEARCH, device="d"):
    campaign = SimpleNamespace(
        device_metrics=lambda name: list(metrics),
        reference=ARCHS[0],
        loaded=SimpleNamespace(digest="weights"),
        config=SimpleNamespace(fleet=SimpleNamespace(deadline_s=deadline_s)),
    )
    return latency_job(campaign, SimpleNamespace(name="board", fingerprint=device), group, PROTOCOL, purpose)


def test_a_process_may_take_twice_its_budget_and_two_seconds_a_model_after_a_minute() -> None:
    assert process_seconds(PROTOCOL, 5) == 60 + 2 * 10 + 2 * 5


def test_a_job_may_take_what_its_most_processes_may_or_what_is_configured() -> None:
    assert made().deadline_s == 3 * 90
    assert made(deadline_s=12).deadline_s == 12.0


def test_a_key_names_what_a_result_depends_on_and_no_order() -> None:
    one = made()
    assert made(ARCHS[::-1]).key == one.key
    others = [made(ARCHS[:4]), made(metrics=["latency_ms"]), made(purpose=VALIDATE), made(device="e")]
    assert len({one.key, *(o.key for o in others)}) == 5
    assert one.kind == "latency:weights" and one.max_attempts == 3
    assert one.payload["metrics"] == ["energy_mj"] and one.payload["part"] is False


def leased(new) -> Job:
    return Job(1, new.key, new.kind, new.device, new.payload, new.deadline_s, new.max_attempts, "leased", 1, None, None)


def test_halves_hold_every_model_once_and_are_the_same_at_every_call() -> None:
    whole = leased(made())
    left, right = halves(whole)
    assert (left.payload["ids"], right.payload["ids"]) == ([a.id for a in ARCHS[:2]], [a.id for a in ARCHS[2:]])
    assert left.payload["archs"] == [a.to_dict() for a in ARCHS[:2]] and left.payload["part"]
    assert [p.key for p in halves(whole)] == [left.key, right.key] != [whole.key] * 2
    assert left.deadline_s == 3 * (60 + 20 + 2 * 2) and right.deadline_s == 3 * (60 + 20 + 2 * 3)


def test_a_single_model_is_tried_as_often_as_a_subnet_may_fail() -> None:
    left, right = halves(leased(made(ARCHS[:3])))
    assert (left.max_attempts, right.max_attempts) == (MAX_FAILURES, 3)
    assert payload_of(leased(left))["ids"] == [ARCHS[0].id]


@pytest.mark.parametrize("share, done", [(0.0, 5.0), (0.25, 7.0), (1.0, 13.0)])
def test_the_share_of_a_job_is_added_to_what_was_done_before(share, done) -> None:
    told: list[float] = []
    share_of(told.append, 5, 8)(share)
    assert told == [done]
