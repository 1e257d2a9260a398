"""A measuring process: ``python -m hwsearch.devices.fleet.worker`` does one job and ends.

What a model does to the process that runs it (a crash, a hang, memory that is never given back) ends
with that process. The job and its model files come through standard input: a line of JSON, then the
files' bytes. Lines ``tick SHARE`` on standard output tell how far it is, a line ``answer JSON`` is
the end. The process ends when its standard input is closed, so it does not outlive who started it.

`measure` is the work itself; `run_job` starts the process, waits no longer than a deadline, and
believes nothing it has not checked.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from typing import Any

import numpy as np

from hwsearch.devices.device import Device
from hwsearch.devices.host import load_average
from hwsearch.devices.runtimes.base import Model, Runtime, Workload
from hwsearch.devices.runtimes.catalogue import create_runtime
from hwsearch.devices.timing.protocol import Protocol
from hwsearch.devices.timing.sample import Sample
from hwsearch.devices.timing.schedule import measure_process
from hwsearch.errors import DeviceError, HwsearchError, MeasurementError, ProviderError
from hwsearch.tasks.inputs import Input

#: contents by name
Files = Mapping[str, bytes]
#: makes the torch form of a packed workload, which needs more than this package: (job, entry, files) → workload
Builder = Callable[[Mapping[str, Any], Mapping[str, Any], Files], Workload]
Tick = Callable[[float], None]

MODULE = "hwsearch.devices.fleet.worker"
_TAIL = 600


class WorkerError(MeasurementError):
    """The measuring process itself failed: it crashed, hung, or answered nonsense."""


_ERRORS = {e.__name__: e for e in (DeviceError, ProviderError, MeasurementError, WorkerError)}


# ---------------------------------------------------------------------- what a job is, in files
def pack(workload: Workload, number: int, files: dict[str, bytes]) -> dict[str, Any]:
    """A workload as JSON; its models become entries of `files`, {name: content}."""
    parts = []
    for i, part in enumerate(workload.parts):
        name = f"{number}-{i}.onnx"
        files[name] = part.onnx
        parts.append({"file": name, "runs": part.runs, "inputs": [asdict(x) for x in part.inputs]})
    return {"arch_id": workload.arch_id, "genes": dict(workload.genes), "parts": parts}


def unpack(entry: Mapping[str, Any], files: Files) -> Workload:
    """The workload that `pack` took apart."""
    parts = [
        Model(tuple(_input(x) for x in p["inputs"]), files[p["file"]], runs=int(p["runs"])) for p in entry["parts"]
    ]
    return Workload(tuple(parts), entry["arch_id"], entry["genes"])


def _input(fields: Mapping[str, Any]) -> Input:
    return Input(**{**fields, "shape": tuple(fields["shape"]), "axes": tuple(fields["axes"])})


def protocol_of(fields: Mapping[str, Any]) -> Protocol:
    """A protocol from its fields as JSON."""
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
    return Protocol(**values)


# ---------------------------------------------------------------------- the work
def measure(
    runtime: Runtime,
    workloads: Sequence[Callable[[], Workload]],
    ids: Sequence[str],
    reference: Callable[[], Workload],
    protocol: Protocol,
    *,
    seed: Sequence[int],
    metrics: Sequence[str] = (),
    tick: Tick | None = None,
) -> dict[str, Any]:
    """Time workloads together with the reference, then take the further `metrics` of each; the answer as JSON.

    workloads, reference : give the workload when called; ids : of the workloads, in order
    Keys: ``rows`` (one a workload: ``sample`` or ``failure``), ``load``, ``started_at``, ``ended_at``. Raises
    `DeviceError` or `MeasurementError` when the reference cannot run: then nothing can.
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
    rows: list[dict[str, Any]] = []
    for arch_id, make, sample in zip(ids, made, samples, strict=True):
        row: dict[str, Any] = {"arch_id": arch_id, "sample": sample.to_dict()}
        if footprint is not None and sample.failure is None:
            try:
                found = footprint(make())
                row["metrics"] = {k: float(found[k]) for k in metrics if k in found}
            except HwsearchError as error:
                row["metrics_failure"] = str(error)
        rows.append(row)
    return {"rows": rows, "load": [before, load_average()], "started_at": started, "ended_at": _now()}


def _now() -> str:
    return datetime.now(UTC).isoformat()


def do(job: Mapping[str, Any], files: Files, tick: Tick | None = None, build: Builder | None = None) -> dict[str, Any]:
    """The answer to a job: ``facts``, ``verify`` or ``measure``."""
    runtime = create_runtime(Device(**job["device"]))
    make: Builder = build or (lambda job, entry, files: unpack(entry, files))
    if job["do"] == "facts":
        return {"facts": runtime.facts()}
    if job["do"] == "verify":
        return {"counts": runtime.verify(make(job, job["reference"], files))}
    entries = job["workloads"]
    return measure(
        runtime,
        [lambda e=e: make(job, e, files) for e in entries],  # type: ignore[misc]
        [e["arch_id"] for e in entries],
        lambda: make(job, job["reference"], files),
        protocol_of(job["protocol"]),
        seed=job["seed"],
        metrics=job["metrics"],
        tick=tick,
    )


def main(build: Builder | None = None) -> int:
    """Do the job that comes through standard input; a typed error is an answer as well."""
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
            answer = do(head["job"], files, lambda share: say(f"tick {share:.4f}"), build)
        except HwsearchError as error:
            answer = error.to_dict()
        say(f"answer {json.dumps(answer)}")
    return 0


def _end_with_parent() -> None:
    """Standard input is a pipe that says nothing more: it ends when the other side does, however that happens."""
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 4096):
            continue
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


# ---------------------------------------------------------------------- the other side
def run_job(
    job: Mapping[str, Any], files: Files, deadline_s: float, *, module: str = MODULE, tick: Tick | None = None
) -> dict[str, Any]:
    """Do a job in a fresh process and return its checked answer.

    Raises the child's own typed error, or `WorkerError` when it crashed, took longer than `deadline_s` seconds (it is
    killed then, with all it started), or answered what cannot be true.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    shares: list[float] = []
    answers: list[bytes] = []
    last = bytearray()

    def feed() -> None:
        head = {"job": job, "files": {name: len(content) for name, content in files.items()}}
        with contextlib.suppress(OSError):  # it ended before it had read all
            for content in (json.dumps(head).encode() + b"\n", *files.values()):
                stdin.write(content)
            stdin.flush()

    def listen() -> None:
        for line in stdout:
            word, _, value = line.partition(b" ")
            if word == b"tick":
                with contextlib.suppress(ValueError):
                    shares.append(float(value))
            elif word == b"answer":
                answers.append(value)

    def note() -> None:
        while chunk := stderr.read1(4096):  # type: ignore[attr-defined]
            last.extend(chunk)
            del last[:-_TAIL]

    threads = [threading.Thread(target=part, daemon=True) for part in (feed, listen, note)]
    code: int | None = None
    try:
        for thread in threads:
            thread.start()
        until = time.monotonic() + deadline_s
        while (left := until - time.monotonic()) > 0:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(timeout=min(0.1, left))
                break
            if tick is not None and shares:
                tick(min(max(shares[-1], 0.0), 1.0))
    finally:
        _kill(process)
        for thread in threads:
            thread.join(timeout=2)
        for pipe, thread in zip((stdin, stdout, stderr), threads, strict=True):
            if not thread.is_alive():
                with contextlib.suppress(OSError):
                    pipe.close()
    said = last.decode("utf-8", "replace").strip()
    errors = f" It said: {said}" if said else ""
    if code is None:
        raise WorkerError(
            f"the measuring process did not end within {deadline_s:g} s and was killed.{errors}",
            hint="Look at the device, or allow more with [fleet] deadline_s.",
        )
    if code != 0 or not answers:
        raise WorkerError(f"the measuring process {_how(code)}.{errors}")
    try:
        answer = json.loads(answers[-1])
    except ValueError as error:
        raise WorkerError(f"the measuring process answered no JSON: {error}.") from error
    return check_answer(job, answer)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process and all it started."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
    process.wait()


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}" if code else "ended without an answer"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    why = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return f"was ended by {name}{why}"


def check_answer(job: Mapping[str, Any], answer: Any) -> dict[str, Any]:
    """An answer as it is, if it can be true; raises the typed error it holds, or `WorkerError`."""
    if not isinstance(answer, dict):
        raise WorkerError(f"the measuring process answered {str(answer)[:80]!r}, which is no object.")
    if "error" in answer:
        kind = _ERRORS.get(str(answer["error"]), DeviceError)
        raise kind(str(answer.get("message")), hint=answer.get("hint"))
    if job["do"] in ("facts", "verify"):
        if not isinstance(answer.get("facts" if job["do"] == "facts" else "counts"), dict):
            raise WorkerError(f"the answer to {job['do']!r} lacks it.")
        return answer
    rows, ids = answer.get("rows"), [e["arch_id"] for e in job["workloads"]]
    if not isinstance(rows, list) or [r.get("arch_id") if isinstance(r, dict) else None for r in rows] != ids:
        raise WorkerError("the answer is about other models than those asked for.")
    for row in rows:
        try:
            Sample.from_dict(row.get("sample") or {})
        except MeasurementError as error:
            raise WorkerError(f"the answer on {row['arch_id']}: {error}") from error
        for name, number in (row.get("metrics") or {}).items():
            good = isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number)
            if not good or number < 0:
                raise WorkerError(f"the answer on {row['arch_id']} says {name} = {number!r}.")
    return answer


if __name__ == "__main__":
    raise SystemExit(main())
