"""A measuring process: ``python -m hwsearch.devices.worker SPOOL`` does one job and ends.

What a model does to the process that runs it (a crash, a hang, memory that is never given back) ends
with that process. The folder SPOOL holds ``job.json`` and the model files; the answer is written
there as ``result.json``, whole or not at all. Lines ``tick SHARE`` on standard output tell how far
it is. The process ends when its standard input is closed, so it does not outlive who started it.

`measure`, `facts` and `verify` are the jobs themselves; `run_spool` starts the process, waits no
longer than a deadline, and believes nothing it has not checked.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hwsearch.devices.device import Device, Model, Runtime, Workload, create_runtime
from hwsearch.devices.host import load_average
from hwsearch.devices.protocol import Calibration, Protocol, measure_group
from hwsearch.errors import CampaignError, DeviceError, HwsearchError, MeasurementError, ProviderError
from hwsearch.inputs import Input

#: makes the torch form of a spooled workload, which needs more than this package: (job, entry, folder) → workload
Builder = Callable[[Mapping[str, Any], Mapping[str, Any], Path], Workload]
Tick = Callable[[float], None]

MODULE = "hwsearch.devices.worker"
JOB, RESULT = "job.json", "result.json"
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


def unpack(entry: Mapping[str, Any], folder: Path) -> Workload:
    """The workload that `pack` wrote into a folder."""
    parts = [
        Model(tuple(_input(x) for x in p["inputs"]), (folder / p["file"]).read_bytes(), runs=int(p["runs"]))
        for p in entry["parts"]
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
    calibration: Calibration | None = None,
    metrics: Sequence[str] = (),
    tick: Tick | None = None,
) -> dict[str, Any]:
    """Time workloads together with the reference, then take the further `metrics` of each; the answer as JSON.

    workloads, reference : give the workload when called; ids : of the workloads, in order
    Keys: ``rows`` (one a workload, with ``failure`` where it could not be measured), ``quiet_ms``, ``load``,
    ``started_at``, ``ended_at``. Raises `MeasurementError` when the reference cannot run: then nothing can.
    """
    started, before = _now(), load_average()
    made = [cache(make) for make in workloads]
    timings = measure_group(
        [lambda make=make: runtime.load(make()) for make in made],  # type: ignore[misc]
        lambda make=cache(reference): runtime.load(make()),  # type: ignore[misc]
        protocol,
        np.random.default_rng(list(seed)),
        calibration=calibration,
        tick=tick,
    )
    rows: dict[str, dict[str, Any]] = {}
    quiet = None
    footprint = getattr(runtime, "footprint", None) if metrics else None
    for arch_id, make, timing in zip(ids, made, timings, strict=True):
        if timing.failure is not None:
            rows[arch_id] = {"arch_id": arch_id, "failure": timing.failure}
            continue
        quiet = timing.quiet
        row = {
            "arch_id": arch_id,
            "value": timing.value,
            "low": timing.low,
            "high": timing.high,
            "repeats": len(timing.runs),
            "details": {
                **timing.summary(protocol.half_width),
                "load_ms": [round(float(v), 6) for v in timing.loads],
                "block_ms": [round(float(v), 5) for v in timing.raw],
            },
            "moved": timing.moved,
        }
        if footprint is not None:
            try:
                found = footprint(make())
                row["metrics"] = {k: float(found[k]) for k in metrics if k in found}
            except HwsearchError as error:
                row["metrics_failure"] = str(error)
        rows[arch_id] = row
    return {
        "rows": [rows[i] for i in ids],
        "quiet_ms": quiet,
        "load": [before, load_average()],
        "started_at": started,
        "ended_at": _now(),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat()


def do(job: Mapping[str, Any], folder: Path, tick: Tick | None = None, build: Builder | None = None) -> dict[str, Any]:
    """The answer to a spooled job: ``facts``, ``verify`` or ``measure``."""
    runtime = create_runtime(Device(**job["device"]))
    make: Builder = build or (lambda job, entry, folder: unpack(entry, folder))
    if job["do"] == "facts":
        return {"facts": runtime.facts()}
    if job["do"] == "verify":
        return {"counts": runtime.verify(make(job, job["reference"], folder))}
    entries = job["workloads"]
    return measure(
        runtime,
        [lambda e=e: make(job, e, folder) for e in entries],  # type: ignore[misc]
        [e["arch_id"] for e in entries],
        lambda: make(job, job["reference"], folder),
        protocol_of(job["protocol"]),
        seed=job["seed"],
        calibration=Calibration.from_dict(job["calibration"]) if job["calibration"] else None,
        metrics=job["metrics"],
        tick=tick,
    )


def main(arguments: Sequence[str], build: Builder | None = None) -> int:
    """Do the job of a spool folder; a typed error is an answer as well."""
    folder = Path(arguments[0])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    try:
        answer = do(job, folder, lambda share: _say(f"tick {share:.4f}"), build)
    except HwsearchError as error:
        answer = error.to_dict()
    part = folder / f"{RESULT}.part"
    part.write_text(json.dumps(answer), encoding="utf-8")
    part.replace(folder / RESULT)
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    """Standard input is a pipe nobody writes to: it ends when the other side does, however that happens."""
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 4096):
            continue
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


# ---------------------------------------------------------------------- the other side
def run_spool(
    job: Mapping[str, Any],
    files: Mapping[str, bytes],
    deadline_s: float,
    *,
    module: str = MODULE,
    tick: Tick | None = None,
) -> dict[str, Any]:
    """Do a job in a fresh process and return its checked answer.

    Raises the child's own typed error, or `WorkerError` when it crashed, took longer than `deadline_s` seconds (it is
    killed then, with all it started), or answered what cannot be true.
    """
    with tempfile.TemporaryDirectory(prefix="hwsearch-") as text:
        folder = Path(text)
        write_files(folder, {**files, JOB: json.dumps(job).encode()})
        code, errors = _run([sys.executable, "-m", module, text], folder, deadline_s, tick)
        result = folder / RESULT
        if code is None:
            raise WorkerError(
                f"the measuring process did not end within {deadline_s:g} s and was killed.{errors}",
                hint="Look at the device, or allow more with [fleet] deadline_s.",
            )
        if code != 0 or not result.exists():
            raise WorkerError(f"the measuring process {_how(code)}.{errors}")
        try:
            answer = json.loads(result.read_text(encoding="utf-8"))
        except ValueError as error:
            raise WorkerError(f"the measuring process wrote no JSON: {error}.") from error
    return check_answer(job, answer)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write what a job needs; `CampaignError` where the disk is full."""
    for name, content in files.items():
        if Path(name).name != name:
            raise WorkerError(f"a job names the file {name!r}.", hint="Names have no folder.")
        try:
            (folder / name).write_bytes(content)
        except OSError as error:
            raise CampaignError(
                f"the files of a measuring job cannot be written to {str(folder)!r}: {error.strerror}.",
                hint="Free some space, or set TMPDIR; nothing already stored is lost.",
            ) from error


def _run(command: list[str], folder: Path, deadline_s: float, tick: Tick | None) -> tuple[int | None, str]:
    """(exit code, or None after the deadline; the end of standard error as a clause)."""
    errors = folder / "stderr.txt"
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True
        )
    told: list[float] = []

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            word, _, value = line.partition(" ")
            if word == "tick":
                with contextlib.suppress(ValueError):
                    told.append(float(value))

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    code: int | None = None
    waited, step = 0.0, 0.1
    try:
        while waited < deadline_s:
            try:
                code = process.wait(timeout=min(step, deadline_s - waited))
                break
            except subprocess.TimeoutExpired:
                waited += step
                if tick is not None and told:
                    tick(min(max(told[-1], 0.0), 1.0))
    finally:
        _kill(process)
        listener.join(timeout=1)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None and not listener.is_alive():
                pipe.close()
    tail = errors.read_text(encoding="utf-8", errors="replace").strip()[-_TAIL:]
    return code, f" It said: {tail}" if tail else ""


def _kill(process: subprocess.Popen[str]) -> None:
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
        if row.get("failure"):
            continue
        if not isinstance(row.get("details"), dict) or not isinstance(row.get("repeats"), int):
            raise WorkerError(f"the answer on {row['arch_id']} lacks details or repeats.")
        numbers = {k: row.get(k) for k in ("value", "low", "high")} | dict(row.get("metrics") or {})
        for name, number in numbers.items():
            good = isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number)
            if not good or number < 0 or (name == "value" and number == 0):
                raise WorkerError(f"the answer on {row['arch_id']} says {name} = {number!r}.")
        if not row["low"] <= row["value"] <= row["high"]:
            raise WorkerError(f"the answer on {row['arch_id']} has a value outside its interval.")
    level = answer.get("quiet_ms")
    if any(not r.get("failure") for r in rows) and not (
        isinstance(level, (int, float)) and math.isfinite(level) and level > 0
    ):
        raise WorkerError(f"the answer says quiet_ms = {level!r}.")
    return answer


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
