"""The measuring process: ``python -m hwsearch.devices.fleet.worker`` does one job and ends.

What a model does to the process that runs it (a crash, a hang, memory that is never given back) ends with that process.
The job and its model files come through standard input: a line of JSON, then the files' bytes. Lines ``tick SHARE`` on
standard output tell how far it is, a line ``answer JSON`` is the end. The process ends when its standard input is closed,
so it does not outlive who started it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache

import numpy as np

from hwsearch.devices.device import Device
from hwsearch.devices.fleet.jobs import Files, MeasuredRow, PackedWorkload, Tick, WorkerJob, WorkerResponse
from hwsearch.devices.fleet.jobs import unpack_workload as unpack
from hwsearch.devices.host import cpu_model, load_average, usable_cores
from hwsearch.devices.processes import end_own_session
from hwsearch.devices.runtimes.base import Runtime, Workload
from hwsearch.devices.runtimes.catalogue import create_runtime
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.devices.timing.schedule import measure_process
from hwsearch.errors import HwsearchError

#: makes the torch form of a packed workload, which needs more than this package
Builder = Callable[[WorkerJob, PackedWorkload, Files], Workload]


def measure_workloads(
    runtime: Runtime,
    workloads: Sequence[Callable[[], Workload]],
    ids: Sequence[str],
    reference: Callable[[], Workload],
    protocol: TimingProtocol,
    *,
    seed: Sequence[int],
    metrics: Sequence[str] = (),
    tick: Tick | None = None,
) -> WorkerResponse:
    """Time workloads together with the reference, then take further metrics of each.

    Parameters
    ----------
    runtime : Runtime
        The device's runtime.
    workloads : sequence of callable
        Each gives a workload when called; it is called once.
    ids : sequence of str
        Of the workloads, in order.
    reference : callable
        Gives the reference workload.
    protocol : TimingProtocol
        How long and how exactly to time.
    seed : sequence of int
        Of the order of visits.
    metrics : sequence of str
        Names of further metrics, such as ``peak_memory_mib``.
    tick : callable, optional
        Told the share of the work that is done.

    Returns
    -------
    WorkerResponse
        With ``rows``, ``load``, ``started_at``, ``ended_at``. A workload that failed has its reason as its sample.

    Raises
    ------
    DeviceError, MeasurementError
        If the reference cannot run: then nothing can be compared.
    """
    started, before = _now(), load_average()
    made = [cache(make) for make in workloads]
    samples = measure_process(
        [lambda make=make: runtime.load(make()) for make in made],  # type: ignore[misc]
        lambda make=cache(reference): runtime.load(make()),  # type: ignore[misc]
        protocol,
        np.random.default_rng(list(seed)),
        tick=tick,
    )
    footprint = getattr(runtime, "footprint", None) if metrics else None
    rows: list[MeasuredRow] = []
    for arch_id, make, sample in zip(ids, made, samples, strict=True):
        row: MeasuredRow = {"arch_id": arch_id, "sample": sample.to_dict()}
        if footprint is not None and sample.failure is None:
            try:
                found = footprint(make())
                row["metrics"] = {k: float(found[k]) for k in metrics if k in found}
            except HwsearchError as error:
                row["metrics_failure"] = str(error)
        rows.append(row)
    return {"rows": rows, "load": [before, load_average()], "started_at": started, "ended_at": _now()}


def check_reference(runtime: Runtime, workload: Workload) -> WorkerResponse:
    """Count where a workload's nodes run, then load it once as it is loaded for measuring, and run it.

    Parameters
    ----------
    runtime : Runtime
        The device's runtime.
    workload : Workload
        The reference subnet.

    Returns
    -------
    WorkerResponse
        With ``counts`` and ``run_ms``.

    Raises
    ------
    DeviceError, MeasurementError
        If the device cannot load or run it as asked.
    """
    counts = runtime.verify(workload)
    session = runtime.load(workload)
    try:
        (run_ms,) = session.time(1)
    finally:
        session.close()
    return {"counts": counts, "run_ms": float(run_ms)}


def _now() -> str:
    return datetime.now(UTC).isoformat()


def perform_job(job: WorkerJob, files: Files, tick: Tick | None = None, build: Builder | None = None) -> WorkerResponse:
    """Do a job in this process.

    Parameters
    ----------
    job : WorkerJob
        What to do.
    files : mapping of str to bytes
        The files that its workloads name.
    tick : callable, optional
        Told the share of the work that is done.
    build : callable, optional
        Makes workloads of what was packed; `unpack_workload` by default.

    Returns
    -------
    WorkerResponse
        What the action gives; not checked yet.

    Raises
    ------
    HwsearchError
        A typed error, if the device or the reference fails.
    """
    runtime = create_runtime(Device(**job["device"]))
    make: Builder = build or (lambda job, packed, files: unpack(packed, files))
    if job["do"] == "facts":
        return {"facts": runtime.facts()}
    if job["do"] == "verify":
        return check_reference(runtime, make(job, job["reference"], files))
    entries = job["workloads"]
    found = measure_workloads(
        runtime,
        [lambda e=e: make(job, e, files) for e in entries],  # type: ignore[misc]
        [e["arch_id"] for e in entries],
        lambda: make(job, job["reference"], files),
        TimingProtocol(**job["protocol"]),
        seed=job["seed"],
        metrics=job["metrics"],
        tick=tick,
    )
    return {**found, "cpu": cpu_model(), "cores": usable_cores()}


def main(build: Builder | None = None) -> int:
    """Do the job that comes through standard input; a typed error is a response as well.

    Parameters
    ----------
    build : callable, optional
        Makes workloads of what was packed; see `perform_job`.

    Returns
    -------
    int
        Exit code 0. Anything else, a signal included, means that the process failed.
    """
    stdin = sys.stdin.buffer
    head = json.loads(stdin.readline())
    files = {name: stdin.read(size) for name, size in head["files"].items()}
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)  # what libraries print is not an answer

        def say(text: str) -> None:
            out.write(text + "\n")
            out.flush()

        try:
            answer: object = perform_job(head["job"], files, lambda share: say(f"tick {share:.4f}"), build)
        except HwsearchError as error:
            answer = error.to_dict()
        say(f"answer {json.dumps(answer)}")
    return 0


def _end_with_parent() -> None:
    """End when standard input does: it is a pipe that says nothing more, and ends with the other side however that happens."""
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 4096):
            continue
    with contextlib.suppress(Exception):  # whatever happens, this process ends
        end_own_session()
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    raise SystemExit(main())
