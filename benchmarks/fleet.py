"""The queue under fire: simulated measurements over worker processes, some of which are killed.

    python -m benchmarks.fleet [--quick] [--json] [--folder DIR]

1,000 jobs lie in one SQLite store. Eight worker processes claim, wait (the simulated measurement: 0.4 to 1.2 s)
and store. In one of ten attempts the worker that holds the job is killed with SIGKILL at a random moment of it
and a new worker takes its place. Then the store is compared with what was asked for:

duplicates  values beyond one a job (rows of the store, and jobs that were acknowledged as new more than once)
lost        jobs without a value
efficiency  (sum of the waiting of all jobs, each once) / (workers x wall time): 1 is linear. What is lost with a
            killed worker, its replacement, the queue's own transactions and the idle end all count against it.
with_lost_work  the same, where the waiting that was lost in killed workers counts as work
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.frame import Benchmark, Result, Run
from hwsearch.campaigns.jobs.lease import lease_heartbeat
from hwsearch.store import Measurement, NewJob, Queue, Store, worker_name

LEASE_S = 3.0


def serve(path: str, pipe: Connection) -> None:
    """Work: claim, wait, store, until no job is left; tell what is done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    queue, name = Queue(Store.open(path)), worker_name()
    while True:
        job = queue.claim(name, ["simulated"], lease_s=LEASE_S)
        if job is None:
            counts = queue.counts()
            if not counts["queued"] and not counts["leased"]:
                return
            time.sleep(0.05)
            continue
        pipe.send(("begun", job.key, job.attempts))
        with lease_heartbeat(queue, job, LEASE_S):
            time.sleep(job.payload["seconds"])
        pipe.send(("done", job.key, queue.complete(job, [row(job.key, job.payload["seconds"])])))


def row(key: str, seconds: float) -> Measurement:
    return Measurement(key, "latency_ms", "simulated", "wait", "search", 1e3 * seconds, "ms")


def measure(jobs: int, workers: int, kill_share: float, folder: Path, *, seed: int = 0) -> dict[str, Any]:
    """Return the figures of one run."""
    rng = np.random.default_rng(seed)
    seconds = {f"job{i:05d}": float(s) for i, s in enumerate(rng.uniform(0.4, 1.2, jobs))}
    path = folder / "fleet.sqlite"
    store = Store.open(path)
    queue = Queue(store)
    queue.submit(NewJob(k, "wait", "simulated", {"seconds": s}, 30.0, max_attempts=50) for k, s in seconds.items())
    start = multiprocessing.get_context("fork")  # a fresh worker costs no import; the store stands a fork
    alive: dict[Connection, Any] = {}

    def hire() -> None:
        ours, theirs = start.Pipe(duplex=False)
        process = start.Process(target=serve, args=(str(path), theirs))
        process.start()
        theirs.close()
        alive[ours] = process

    acknowledged: Counter[str] = Counter()
    begun = kills = 0
    lost_s = 0.0
    doomed: dict[Connection, tuple[float, float]] = {}  # when it dies, when its job began
    started = time.monotonic()
    for _ in range(workers):
        hire()
    while alive:
        now = time.monotonic()
        for pipe in [p for p, (when, _) in doomed.items() if when <= now]:
            process = alive[pipe]
            if process.is_alive():
                os.kill(process.pid, signal.SIGKILL)
                process.join()
                kills += 1
                lost_s += time.monotonic() - doomed[pipe][1]
                hire()
            del doomed[pipe]
        due = min((when for when, _ in doomed.values()), default=now + 1.0)
        for ready in wait(list(alive), timeout=max(0.0, due - time.monotonic())):
            assert isinstance(ready, Connection)
            try:
                what, key, value = ready.recv()
            except EOFError:
                alive.pop(ready).join()
                doomed.pop(ready, None)
                continue
            if what == "begun":
                begun += 1
                if rng.random() < kill_share:
                    at = time.monotonic()
                    doomed[ready] = (at + float(rng.uniform(0, seconds[key])), at)
            else:
                acknowledged[key] += value
                doomed.pop(ready, None)
    wall = time.monotonic() - started
    found = Counter(store.frame()["arch_id"])
    ideal = sum(seconds.values())
    return {
        "jobs": jobs,
        "workers": workers,
        "attempts": begun,
        "kills": kills,
        "duplicates": sum(max(n - 1, 0) for n in found.values()) + sum(max(n - 1, 0) for n in acknowledged.values()),
        "lost": len(seconds.keys() - found.keys()),
        "wrong": sum(abs(m.value - 1e3 * seconds[m.arch_id]) > 1e-6 for m in store.find() if m.value is not None),
        "unfinished": jobs - queue.counts()["done"],
        "wall_s": round(wall, 2),
        "linear_s": round(ideal / workers, 2),
        "efficiency": round(ideal / (workers * wall), 4),
        "with_lost_work": round((ideal + lost_s) / (workers * wall), 4),
    }


def plot(runs: list[dict[str, Any]], folder: Path) -> list[Path]:
    """Draw the speed-up against linear, by number of workers."""
    from hwsearch.reporting.style import new_figure, save, style  # late: workers are forked before, without matplotlib

    with style():
        figure = new_figure(5.0, 3.2)
        axes = figure.subplots()
        n = [r["workers"] for r in runs]
        axes.plot(n, [r["workers"] * r["efficiency"] for r in runs], "o-", label="measured")
        axes.plot(n, n, "--", color="0.5", label="linear")
        axes.set(xlabel="worker processes", ylabel="speed-up", title="10 % of attempts end in a killed worker")
        axes.legend(frameon=False)
        return save(figure, folder, "fleet")


def run(given: Run) -> Result:
    """Run the queue with several numbers of workers; the summary is that of eight."""
    sizes = {8: 80 if given.quick else 1000} | ({} if given.quick else {1: 10, 2: 30, 4: 80})
    runs = {}
    for workers, jobs in sorted(sizes.items()):
        with tempfile.TemporaryDirectory() as folder:
            runs[workers] = measure(jobs, workers, 0.10, Path(folder))
        given.say(f"{workers} workers: {runs[workers]['wall_s']} s, {runs[workers]['kills']} killed")
    table = pd.DataFrame([*runs.values()])
    return Result(runs[8], table, {"runs": [*runs.values()]}, lambda folder: plot([*runs.values()], folder))


BENCHMARK = Benchmark("fleet", "The queue while workers are killed", "80 jobs, eight workers only", run)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
