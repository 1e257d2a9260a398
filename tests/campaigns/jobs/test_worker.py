"""A worker of latency jobs: what becomes of a job that fails, and when a device counts as lost. No device is run."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import pytest

from hwsearch.campaigns.jobs import worker
from hwsearch.campaigns.jobs.worker import LatencyWorker
from hwsearch.devices import Timing
from hwsearch.devices.fleet.responses import WorkerError
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.errors import DeviceError
from hwsearch.store import Job


def job(ids="abcd", *, attempts=1, part=False) -> Job:
    payload = {
        "ids": list(ids),
        "archs": [{"gene": i} for i in ids],
        "metrics": [],
        "protocol": TimingProtocol().model_dump(mode="json"),
        "protocol_key": "p",
        "purpose": "search",
        "deadline_s": None,
        "part": part,
    }
    return Job(1, "key", "latency:weights", "device", payload, 60.0, 3, "leased", attempts, None, None)


class Line:
    """Stands in for the queue, and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple] = []
        self.becomes = "queued"

    def split(self, one, parts, text) -> bool:
        self.told.append(("split", [p.payload["ids"] for p in parts]))
        return True

    def fail(self, one, text, rows=()) -> str:
        self.told.append(("fail", [m.arch_id for m in rows]))
        return self.becomes

    def complete(self, one, rows=()) -> None:
        self.told.append(("complete", [m.arch_id for m in rows]))

    def release(self, one) -> None:
        self.told.append(("release",))

    def claim(self, name, devices, **how):
        return devices, how


@pytest.fixture
def crew(monkeypatch):
    """A worker of one device; `crew.raises` is what its next measurements end with."""
    line, warned, timed = Line(), [], []
    found = SimpleNamespace(raises=None, line=line, warned=warned, timed=timed, settled=set())

    def time_group(campaign, target, one, ids, genes, tick):
        timed.append((ids, genes))
        if found.raises is not None:
            raise found.raises
        timings = {i: Timing(failure="crooked") for i in ids}
        day = "2025-01-01T00:00:00+00:00"
        return SimpleNamespace(timings=timings, answers={}, started_at=day, ended_at=day, details={})

    monkeypatch.setattr(worker, "Queue", lambda store: line)
    monkeypatch.setattr(worker, "time_group", time_group)
    monkeypatch.setattr(worker, "find_settled", lambda *_: found.settled)
    monkeypatch.setattr(worker, "lease_heartbeat", lambda *_: contextlib.nullcontext())
    campaign = SimpleNamespace(
        store=None,
        config=SimpleNamespace(fleet=SimpleNamespace(lease_s=30.0)),
        loaded=SimpleNamespace(digest="weights"),
        progress=SimpleNamespace(warn=warned.append),
    )
    found.worker = LatencyWorker(campaign, [SimpleNamespace(name="board", fingerprint="device")])
    return found


def test_jobs_of_the_own_weights_and_devices_are_claimed(crew) -> None:
    devices, how = crew.worker.claim({"k"})
    assert devices == ["device"]
    assert how == {"lease_s": 30.0, "kinds": ["latency:weights"], "keys": {"k"}}


@pytest.mark.parametrize(
    "one, told",
    [
        (job(attempts=1), ("fail", [])),  # tried again as it is
        (job(attempts=2), ("split", [["a", "b"], ["c", "d"]])),
        (job(attempts=1, part=True), ("split", [["a", "b"], ["c", "d"]])),
        (job("ab", attempts=2), ("split", [["a"], ["b"]])),
        (job("a", attempts=2, part=True), ("fail", ["a"])),  # the model is found: its failure is stored
        (job("a", attempts=1), ("fail", ["a"])),
    ],
)
def test_a_crash_is_tried_again_once_and_then_halved_down_to_one_model(crew, one, told) -> None:
    crew.raises = WorkerError("SIGSEGV.")
    crew.worker.run(one)
    assert crew.line.told == [told]


def test_what_became_of_a_job_is_said(crew) -> None:
    crew.raises = WorkerError("SIGSEGV.")
    crew.worker.run(job())
    crew.worker.run(job(attempts=2))
    crew.line.becomes = "failed"
    crew.worker.run(job("a"))
    ends = ["These 4 subnets are tried again.", "These 4 subnets are measured in two halves."]
    assert crew.warned == [f"board: SIGSEGV. {end}" for end in [*ends, "These 1 subnets are given up."]]


def test_a_device_is_lost_at_the_sixth_failure_in_a_row(crew) -> None:
    crew.raises = WorkerError("SIGSEGV.")
    for _ in range(LatencyWorker.PATIENCE - 1):
        crew.worker.run(job())
    with pytest.raises(DeviceError, match="'board' is lost: 6 attempts in a row failed, the last with: SIGSEGV"):
        crew.worker.run(job())


def test_a_success_ends_the_row_of_failures(crew) -> None:
    crew.raises = WorkerError("SIGSEGV.")
    for _ in range(LatencyWorker.PATIENCE - 1):
        crew.worker.run(job())
    crew.raises = None
    crew.worker.run(job())
    assert crew.worker.failed == {"device": 0}
    crew.raises = WorkerError("SIGSEGV.")
    crew.worker.run(job())
    assert crew.worker.failed == {"device": 1}


def test_an_error_of_the_device_itself_ends_it_when_its_job_is_given_up(crew) -> None:
    crew.raises = DeviceError("no route.")
    crew.worker.run(job())  # tried again first
    crew.line.becomes = "failed"
    with pytest.raises(DeviceError, match="2 attempts in a row failed"):
        crew.worker.run(job())


def test_whoever_stops_a_worker_gets_the_job_back_to_the_queue(crew) -> None:
    crew.raises = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        crew.worker.run(job())
    assert crew.line.told == [("release",)] and crew.worker.failed == {"device": 0}


def test_what_others_have_measured_meanwhile_is_not_measured_again(crew) -> None:
    crew.settled = {"b", "d"}
    crew.worker.run(job())
    assert crew.timed == [(["a", "c"], [{"gene": "a"}, {"gene": "c"}])]
    assert crew.line.told == [("complete", ["a", "c"])]
    crew.settled = set("abcd")
    crew.worker.run(job())
    assert len(crew.timed) == 1 and crew.line.told[-1] == ("complete", [])
