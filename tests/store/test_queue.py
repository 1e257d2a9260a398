"""The queue: each job is done, none twice at once, and nothing is lost whatever happens to workers and clocks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from hwsearch.errors import StoreError
from hwsearch.store import Measurement, NewJob, Queue, Store, worker_name
from hwsearch.store import queue as module


def new(key: str, device: str = "d", kind: str = "k", attempts: int = 2) -> NewJob:
    return NewJob(key, kind, device, {"x": key}, 10.0, attempts)


def row(key: str, value: float | None = 1.0) -> Measurement:
    failure = None if value is not None else "no"
    return Measurement(f"arch-{key}", "latency_ms", "d", "p", "search", value, "ms", failure=failure)


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(Store.open(tmp_path / "s.sqlite"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(module.time, "time", lambda: now[0])
    return now


def status(queue: Queue, key: str) -> tuple[str, int]:
    (job,) = queue.find([key])
    return job.status, job.attempts


def test_jobs_are_claimed_in_order_by_device_kind_and_key(queue: Queue) -> None:
    assert queue.submit([new("a"), new("b", "e"), new("c", kind="l"), new("d"), new("a")]) == 4
    first = queue.claim("w", ["d"])
    assert first is not None and (first.key, first.payload, first.status) == ("a", {"x": "a"}, "leased")
    assert queue.claim("w", ["d"], kinds=["l"]).key == "c"
    assert queue.claim("w", ["d", "e"], keys=["d", "zzz"]).key == "d"
    assert queue.claim("w", ["d"]) is None and queue.claim("w", ["d", "e"], keys=[]) is None
    assert queue.claim("w", ["e"]).key == "b"


def test_an_open_job_is_not_queued_again_and_one_that_ended_is(queue: Queue) -> None:
    queue.submit([new("a")])
    assert queue.submit([new("a")]) == 0
    job = queue.claim("w", ["d"])
    assert queue.submit([new("a")]) == 0 and status(queue, "a") == ("leased", 1)
    queue.complete(job)
    assert queue.submit([new("a")]) == 1 and status(queue, "a") == ("queued", 0)


def test_result_and_end_are_one_transaction(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.submit([new("a")])
    job = queue.claim("w", ["d"])
    with monkeypatch.context() as patch:
        patch.setattr(queue, "_end", lambda *_: (_ for _ in ()).throw(RuntimeError("killed")))
        with pytest.raises(RuntimeError):
            queue.complete(job, [row("a")])
    assert queue.store.find() == [] and status(queue, "a") == ("leased", 1)
    assert queue.complete(job, [row("a")]) == 1 and status(queue, "a") == ("done", 1)


def test_a_late_result_is_kept_once(queue: Queue, clock: list[float]) -> None:
    queue.submit([new("a")])
    slow = queue.claim("elsewhere:1:1:a", ["d"], lease_s=10)
    clock[0] += 11
    other = queue.claim("elsewhere:2:1:b", ["d"], lease_s=10)
    assert other.key == "a" and other.attempts == 2
    assert not queue.extend(slow) and queue.fail(slow, "x") is None and not queue.release(slow)
    assert queue.complete(slow, [row("a", 3.0)]) == 1
    assert queue.complete(other, [row("a", 4.0)]) == 0
    assert [m.value for m in queue.store.find()] == [3.0] and status(queue, "a")[0] == "done"


def test_a_late_worker_does_not_own_the_newer_lease_of_its_own_name(queue: Queue, clock: list[float]) -> None:
    """One worker lost its lease while it hung, and claims the same job again in another thread: the old lease is over."""
    name = "elsewhere:1:1:a"
    queue.submit([new("a", attempts=5)])
    old = queue.claim(name, ["d"], lease_s=10)
    clock[0] += 11
    newer = queue.claim(name, ["d"], lease_s=10)
    assert (old.id, old.worker) == (newer.id, newer.worker) and (old.attempts, newer.attempts) == (1, 2)
    assert not queue.extend(old, lease_s=1000) and not queue.release(old)
    assert queue.fail(old, "late") is None and not queue.split(old, [new("a1")], "late")
    assert status(queue, "a") == ("leased", 2) and queue.counts() == {"leased": 1}
    clock[0] += 11  # and the late worker has not prolonged it
    assert queue.expire() == 1
    again = queue.claim(name, ["d"], lease_s=10)
    assert again.attempts == 3 and queue.extend(again) and queue.release(again)


def test_failures_are_tried_again_up_to_the_limit(queue: Queue) -> None:
    queue.submit([new("a", attempts=3)])
    assert [queue.fail(queue.claim("w", ["d"]), f"no {i}") for i in range(3)] == ["queued", "queued", "failed"]
    assert queue.claim("w", ["d"]) is None
    assert queue.find(["a"])[0].failure == "no 2" and queue.counts() == {"failed": 1}


def test_a_lost_worker_costs_an_attempt_and_a_released_job_none(queue: Queue, clock: list[float]) -> None:
    queue.submit([new("a")])
    assert queue.release(queue.claim("w", ["d"])) and status(queue, "a") == ("queued", 0)
    for _ in range(2):
        assert queue.claim("elsewhere:1:1:a", ["d"], lease_s=5) is not None
        clock[0] += 4
        assert queue.expire() == 0
        clock[0] += 2
        assert queue.expire() == 1
    assert status(queue, "a") == ("failed", 2) and "was lost" in queue.find()[0].failure


def test_asking_again_renews_a_job_whose_last_worker_was_lost(queue: Queue, clock: list[float]) -> None:
    for _ in range(3):  # an asker that is killed each time, more often than a job has attempts
        queue.submit([new("a", attempts=2)])
        assert queue.claim("w", ["d"], lease_s=10) is not None
        clock[0] += 11
    queue.submit([new("a", attempts=2)])
    assert status(queue, "a")[0] == "queued"


def test_a_lease_that_is_extended_does_not_end(queue: Queue, clock: list[float]) -> None:
    queue.submit([new("a")])
    job = queue.claim("elsewhere:1:1:a", ["d"], lease_s=5)
    for _ in range(5):
        clock[0] += 4
        assert queue.extend(job, lease_s=5) and queue.expire() == 0


@pytest.mark.parametrize("step", [-86400.0, 86400.0])
def test_a_clock_that_steps_loses_no_job(queue: Queue, clock: list[float], step: float) -> None:
    """Back: the lease would last a day more than it can. Forth: it ends early. Both: the job can be claimed again."""
    queue.submit([new("a", attempts=5)])
    first = queue.claim("elsewhere:1:1:a", ["d"], lease_s=60)
    clock[0] += step
    again = queue.claim("elsewhere:2:1:b", ["d"], lease_s=60)
    assert again is not None and again.attempts == 2
    assert queue.complete(first, [row("a")]) + queue.complete(again, [row("a")]) == 1


@pytest.mark.parametrize(("ahead", "ended"), [(0.0, 0), (1.0, 0), (1.5, 1)])
def test_a_lease_may_end_a_second_later_than_its_length(
    queue: Queue, clock: list[float], ahead: float, ended: int
) -> None:
    """Clocks of two reads may differ by that much; one that was set back by more ends the lease."""
    queue.submit([new("a")])
    assert queue.claim("elsewhere:1:1:a", ["d"], lease_s=60) is not None
    clock[0] -= ahead
    assert queue.expire() == ended
    clock[0] += 60.0 + ahead  # and until its very end it holds
    assert queue.expire() == 0


def test_the_time_is_that_of_a_server_where_there_is_one(queue: Queue, clock: list[float]) -> None:
    answer = SimpleNamespace(exec_driver_sql=lambda query: SimpleNamespace(scalar=lambda: 123.5))
    assert queue._now(answer) == 1000.0  # type: ignore[arg-type]
    queue.database = SimpleNamespace(dialect="".join(["postgre", "sql"]))  # type: ignore[assignment]
    assert queue._now(answer) == 123.5  # type: ignore[arg-type]


def test_hundreds_of_jobs_are_found_and_claimed_by_key(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """More keys than one statement takes: each job once, oldest first, whatever the order of the keys."""
    monkeypatch.setattr(module, "_CHUNK", 3)
    names = [f"k{i:02}" for i in reversed(range(10))]
    queue.submit([new(name) for name in names])
    assert [job.key for job in queue.find(sorted(names))] == names
    assert [job.key for job in queue.find(names[2:6])] == names[2:6] and queue.find([]) == []
    assert [queue.claim("w", ["d"], keys=names[1:]).key for _ in range(9)] == names[1:]
    assert queue.claim("w", ["d"], keys=names[1:]) is None and queue.claim("w", ["d"]).key == names[0]


def test_a_queued_job_takes_a_new_deadline_and_keeps_its_attempts(queue: Queue) -> None:
    queue.submit([new("a"), new("b")])
    queue.fail(queue.claim("w", ["d"]), "hung")
    assert queue.submit([NewJob("a", "k", "d", {"x": "longer"}, 99.0, 3)]) == 0
    job = queue.claim("w", ["d"])
    assert (job.deadline_s, job.payload, job.attempts, job.max_attempts) == (99.0, {"x": "longer"}, 2, 3)
    queue.submit([new("a")])
    assert queue.find(["a"])[0].deadline_s == 99.0  # it is being done
    assert queue.find(["b"])[0].deadline_s == 10.0  # another job stays as it is


def test_a_late_result_of_a_split_job_is_kept_and_its_parts_stay_known(queue: Queue, clock: list[float]) -> None:
    queue.submit([new("a")])
    slow = queue.claim("w", ["d"], lease_s=10)
    clock[0] += 11
    assert queue.split(queue.claim("x", ["d"]), [new("a1"), new("a2")], "crash")
    assert queue.complete(slow, [row("a")]) == 1
    assert status(queue, "a")[0] == "split"


def test_a_split_job_gives_way_to_its_parts(queue: Queue) -> None:
    queue.submit([new("a")])
    job = queue.claim("w", ["d"])
    assert queue.split(job, [new("a1"), new("a2")], "crash")
    assert not queue.split(job, [new("a3")], "crash")
    assert queue.counts() == {"split": 1, "queued": 2}
    assert queue.claim("w", ["d"], keys=["a"]) is None  # only its parts are to be done
    assert [queue.claim("w", ["d"]).key for _ in range(2)] == ["a1", "a2"] and queue.claim("w", ["d"]) is None


def test_a_split_job_that_is_asked_for_again_starts_afresh(queue: Queue) -> None:
    queue.submit([new("a")])
    queue.split(queue.claim("w", ["d"]), [new("a1")], "crash")
    assert queue.submit([new("a")]) == 1 and status(queue, "a") == ("queued", 0)


def test_a_lease_is_of_a_minute_unless_another_length_is_said(queue: Queue, clock: list[float]) -> None:
    queue.submit([new("a")])
    job = queue.claim("elsewhere:1:1:a", ["d"])
    for _ in range(2):
        clock[0] += 60.0
        assert queue.expire() == 0
        assert queue.extend(job)
    clock[0] += 60.001
    assert queue.expire() == 1


def test_results_that_are_wrong_keep_the_job_open(queue: Queue) -> None:
    queue.submit([new("a")])
    job = queue.claim("w", ["d"])
    with pytest.raises(StoreError, match="not a finite"):
        queue.complete(job, [row("a", float("nan"))])
    assert status(queue, "a") == ("leased", 1)


KILLED = """
import sys, time
from hwsearch.store import Queue, Store, worker_name
print(Queue(Store.open(sys.argv[1])).claim(worker_name(), ["d"], lease_s=3600).key, flush=True)
time.sleep(600)
"""


def test_a_killed_worker_of_this_host_gives_its_job_back_at_once(queue: Queue, tmp_path: Path) -> None:
    queue.submit([new("a")])
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "s.sqlite")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline().strip() == "a"
    assert queue.claim(worker_name(), ["d"]) is None  # it lives: its lease holds
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    again = queue.claim(worker_name(), ["d"])
    assert again is not None and again.attempts == 2


def test_many_threads_do_each_job_once(queue: Queue) -> None:
    queue.submit([new(str(i)) for i in range(40)])
    done: list[str] = []

    def serve(n: int) -> None:
        while (job := queue.claim(f"elsewhere:{n}:1:a", ["d"])) is not None:
            time.sleep(0.001)
            assert queue.complete(job, [row(job.key)]) == 1
            done.append(job.key)

    threads = [threading.Thread(target=serve, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(done) == sorted(str(i) for i in range(40)) and queue.counts() == {"done": 40}
