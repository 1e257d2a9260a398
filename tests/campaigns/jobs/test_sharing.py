"""Work that processes of one campaign share: each job is done by one, waited for by the others, taken over from the dead."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from hwsearch.campaigns.jobs.sharing import share_jobs, shared_job
from hwsearch.store import Measurement, Queue, Store, worker_name

KEYS = [f"job {i}" for i in range(8)]


def campaign(place: Path, lease_s: float = 60.0) -> SimpleNamespace:
    warned: list[str] = []
    return SimpleNamespace(
        store=Store.open(place / "store.sqlite"),
        config=SimpleNamespace(fleet=SimpleNamespace(lease_s=lease_s)),
        loaded=SimpleNamespace(digest="weights"),
        progress=SimpleNamespace(warn=warned.append),
        warned=warned,
    )


def jobs(one, keys=KEYS):
    return [shared_job(one, key, "subject") for key in keys]


def row(key: str) -> Measurement:
    return Measurement(key, "accuracy", "subject", "p", "search", 50.0, "%")


def process(place: Path, body: str) -> subprocess.Popen:
    """Another process of the campaign; `log(word)` adds to the file that all write."""
    code = f"""
    import os, signal, time
    from pathlib import Path
    from tests.campaigns.jobs.test_sharing import campaign, jobs, row
    from hwsearch.campaigns.jobs.sharing import share_jobs

    def log(word):
        with open({str(place / "log")!r}, "a") as out:
            out.write(word + chr(10))

    mine = campaign(Path({str(place)!r}))
    """
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code) + textwrap.dedent(body)])


def words(place: Path) -> list[str]:
    path = place / "log"
    return path.read_text().splitlines() if path.exists() else []


def test_two_processes_do_each_job_once(tmp_path: Path) -> None:
    body = f"""
    def do(key):
        log(key)
        time.sleep(0.05)
        return [row(key)]

    log("ready")
    while Path({str(tmp_path)!r}, "log").read_text().count("ready") < 2:
        time.sleep(0.01)
    share_jobs(mine, jobs(mine), do)
    assert len(mine.store.find()) == 8, "a process is done when all jobs are"
    """
    both = [process(tmp_path, body) for _ in range(2)]
    assert [p.wait(timeout=300) for p in both] == [0, 0]
    assert Counter(words(tmp_path)) == Counter(["ready", "ready", *KEYS])


def test_what_a_process_was_killed_at_is_done_by_another(tmp_path: Path) -> None:
    """It is noticed at once on the same host, long before the lease of a minute ends."""
    other = process(tmp_path, "share_jobs(mine, jobs(mine), lambda key: log('began ' + key) or time.sleep(600))")
    mine = campaign(tmp_path)
    while not words(tmp_path):
        time.sleep(0.02)
        assert other.poll() is None
    other.kill()
    other.wait()
    done: list[str] = []
    share_jobs(mine, jobs(mine), lambda key: done.append(key) or [row(key)])
    assert words(tmp_path) == ["began job 0"] and sorted(done) == KEYS and len(mine.store.find()) == 8


def test_a_lease_that_ends_is_taken_over(tmp_path: Path) -> None:
    """A worker of another host, whose death nobody sees."""
    mine = campaign(tmp_path)
    queue = Queue(mine.store)
    queue.submit(jobs(mine, KEYS[:1]))
    queue.claim("elsewhere:1:1.00:abcd", ["subject"], lease_s=0.3)
    done: list[str] = []
    share_jobs(mine, jobs(mine, KEYS[:2]), lambda key: done.append(key) or [row(key)])
    assert done == ["job 1", "job 0"]


def test_what_another_does_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = campaign(tmp_path)
    queue = Queue(mine.store)
    queue.submit(jobs(mine, KEYS[:1]))
    other = queue.claim(worker_name(), ["subject"])
    told: list[int] = []
    monkeypatch.setattr(time, "sleep", lambda s: queue.complete(other, [row("job 0")]))
    share_jobs(mine, jobs(mine, KEYS[:1]), lambda key: pytest.fail("it was done twice"), told.append)
    assert told == [1] and [m.arch_id for m in mine.store.find()] == ["job 0"]


def test_an_interrupted_job_is_given_back(tmp_path: Path) -> None:
    mine = campaign(tmp_path)

    def stop(key: str) -> list[Measurement]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        share_jobs(mine, jobs(mine, KEYS[:1]), stop)
    (job,) = Queue(mine.store).find()
    assert (job.status, job.attempts) == ("queued", 0)


def test_a_job_that_every_process_dies_at_is_given_up_with_a_word(tmp_path: Path) -> None:
    mine = campaign(tmp_path)
    queue = Queue(mine.store)
    queue.submit(jobs(mine, KEYS[:1]))
    for _ in range(3):
        queue.claim("elsewhere:1:1.00:abcd", ["subject"], lease_s=-1.0)
    queue.expire()
    assert queue.find()[0].status == "failed"
    share_jobs(mine, jobs(mine, KEYS[:1]), lambda key: [row(key)])  # a new call tries afresh
    assert len(mine.store.find()) == 1 and not mine.warned


def test_nothing_to_do_is_done_at_once(tmp_path: Path) -> None:
    share_jobs(campaign(tmp_path), [], lambda key: pytest.fail("there is no job"))
