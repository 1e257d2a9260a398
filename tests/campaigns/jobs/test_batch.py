"""A batch of subnets on one device: how many are timed together, parts of split jobs, progress, the remark at the end."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from hwsearch.campaigns.jobs import batch
from hwsearch.campaigns.jobs.batch import LatencyBatch, group_size
from hwsearch.campaigns.jobs.job import halves
from hwsearch.campaigns.purpose import SEARCH, VALIDATE
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.store import Job


def job(ids, status="queued", key="whole") -> Job:
    protocol = TimingProtocol(processes=(1, 1)).model_dump(mode="json")
    payload = {"ids": ids, "archs": [{} for _ in ids], "deadline_s": None, "protocol": protocol, "part": False}
    return Job(1, key, "latency:w", "device", payload, 60.0, 3, status, 1, None, None)


@pytest.mark.parametrize(
    "free, wanted, timed_together",
    [
        (3 * 8 * 1000 * 5, 40, 5),  # a third of the memory holds five models of 8 bytes a parameter
        (3 * 8 * 1000 * 5 - 1, 40, 4),
        (3 * 8 * 1000 * 5, 4, 4),
        (0, 40, 1),
    ],
)
def test_sessions_of_a_group_fill_a_third_of_the_free_memory(monkeypatch, free, wanted, timed_together) -> None:
    monkeypatch.setattr(batch.psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    net = SimpleNamespace(params=lambda arch: {"largest": 1000}[arch])
    campaign = SimpleNamespace(loaded=SimpleNamespace(net=net), space=SimpleNamespace(largest=lambda: "largest"))
    assert group_size(campaign, TimingProtocol(group=wanted)) == timed_together


def bare(**attributes) -> LatencyBatch:
    """A batch whose parts are given, in place of those that it reads from a store."""
    found = object.__new__(LatencyBatch)
    vars(found).update(attributes)
    return found


def test_parts_of_parts_are_followed_until_nothing_is_split() -> None:
    whole = job(["a", "b", "c", "d"], "split")
    left, right = (replace(job([], key=p.key), payload=p.payload) for p in halves(whole))
    left = replace(left, status="split")
    rows = {j.key: j for j in (whole, left, right, *(replace(right, key=p.key) for p in halves(left)))}
    queue = SimpleNamespace(find=lambda keys: [rows[k] for k in sorted(keys)])
    keys = {"whole"}
    assert {j.key for j in bare(queue=queue).jobs_with_parts(keys)} == set(rows) == keys
    assert len(rows) == 5


class Line:
    """A queue that holds jobs in memory."""

    def __init__(self, jobs) -> None:
        self.jobs = {j.key: j for j in jobs}

    def submit(self, jobs) -> None:
        pass

    def find(self, keys):
        return [j for k, j in self.jobs.items() if k in keys]


def test_progress_counts_what_was_known_and_the_shares_of_the_job_under_way(monkeypatch) -> None:
    archs = [SimpleNamespace(id=i) for i in "abcd"]
    line, stored, told, warned = Line([job(["b", "c", "d"])]), {"a"}, [], []

    class Worker:
        def __init__(self, campaign, targets) -> None:
            pass

        def claim(self, keys):
            return next((j for j in line.jobs.values() if j.status == "queued"), None)

        def run(self, one, tick) -> None:
            tick(0.5)
            stored.update({"b", "c"})
            line.jobs[one.key] = replace(one, status="failed", failure="it smoked.")

    monkeypatch.setattr(batch, "LatencyWorker", Worker)
    monkeypatch.setattr(batch, "turn", lambda campaign, target: contextlib.nullcontext())
    one = bare(
        archs=archs,
        todo=archs[1:],
        queue=line,
        stop=threading.Event(),
        campaign=SimpleNamespace(progress=SimpleNamespace(warn=warned.append)),
        target=SimpleNamespace(name="board", exclusive=False),
        _jobs=lambda: [SimpleNamespace(key="whole")],
        _known=lambda: dict.fromkeys(stored),
    )
    one.fill(told.append)
    assert told == [1, 1 + 0.5 * 3, 3]
    assert warned == ["board: 3 subnets are not measured: it smoked."]


def test_a_batch_that_was_stopped_claims_nothing(monkeypatch) -> None:
    monkeypatch.setattr(batch, "LatencyWorker", lambda *_: SimpleNamespace(claim=lambda keys: pytest.fail("claimed")))
    stop = threading.Event()
    stop.set()
    one = bare(
        archs=[SimpleNamespace(id="a")],
        todo=[],
        queue=Line([job(["a"])]),
        stop=stop,
        campaign=None,
        target=None,
        _jobs=lambda: [SimpleNamespace(key="whole")],
        _known=dict,
    )
    told: list[float] = []
    one.fill(told.append)
    assert told == [1]


@pytest.mark.parametrize(
    "levels, words",
    [([2.0, 2.4], "2 measured · host's level ±9.1 %"), ([2.0], "2 measured")],  # 100 ln(1.2) / 2
)
def test_the_remark_counts_fresh_subnets_and_half_the_range_of_the_level(monkeypatch, levels, words) -> None:
    seen = []
    visits = [SimpleNamespace(reference_ms=ms) for ms in levels]
    monkeypatch.setattr(batch, "host_visits", lambda fresh: seen.extend(fresh) or visits)
    known = {"a": "old", "b": "new", "c": "newer"}
    assert bare(archs=["a"], todo=["b"], before={"a": "old"}, _known=lambda: known).note() == words
    assert seen == ["new", "newer"]


def test_nothing_to_do_is_said() -> None:
    assert bare(archs=["a"], todo=[]).note() == "already known"


def test_what_has_no_result_and_has_not_failed_too_often_is_to_be_done_once(monkeypatch) -> None:
    monkeypatch.setattr(batch, "Queue", lambda store: None)
    monkeypatch.setattr(batch, "find_failed_too_often", lambda *_: {"given up"})
    monkeypatch.setattr(batch, "find_settled", lambda *_: {"settled"})
    monkeypatch.setattr(batch, "enter_device", lambda *_: None)
    rows = [SimpleNamespace(arch_id="settled", value=2.0), SimpleNamespace(arch_id="failed", value=None)]
    campaign = SimpleNamespace(
        protocol=SimpleNamespace(key="p"),
        final_protocol=SimpleNamespace(key="final"),
        store=SimpleNamespace(find=lambda **what: rows),
        loaded=SimpleNamespace(digest="weights"),
        device_metrics=lambda name: ["latency_ms"],
    )
    ids = ("settled", "given up", "new", "failed")
    archs = [type("Arch", (), {"id": i})() for i in ids]  # hashable
    one = LatencyBatch(campaign, SimpleNamespace(name="d", fingerprint="f"), [*archs, archs[2]], SEARCH)
    assert [a.id for a in one.todo] == ["new", "failed"] and set(one.before) == {"settled"}
    assert one.protocol.key == "p"
    assert LatencyBatch(campaign, one.target, archs, VALIDATE).protocol.key == "final"
