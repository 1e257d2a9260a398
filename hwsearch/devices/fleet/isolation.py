"""Run a job in a fresh process, wait no longer than a deadline, and believe nothing that is not checked."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import threading
import time

from hwsearch._package import measuring_environment
from hwsearch.devices.fleet.jobs import Files, Tick, WorkerJob, WorkerResponse
from hwsearch.devices.fleet.responses import WorkerError, parse_response
from hwsearch.devices.processes import kill_family, kill_process_group, python_command

#: the program that does jobs
MODULE = "hwsearch.devices.fleet.worker"


#: how much of the end of standard error a message shows, bytes
_TAIL = 600


def run_job(
    job: WorkerJob, files: Files, deadline_s: float, *, module: str = MODULE, tick: Tick | None = None
) -> WorkerResponse:
    """Do a job in a fresh process and return its checked response.

    Parameters
    ----------
    job : WorkerJob
        What to do.
    files : mapping of str to bytes
        The files that its workloads name.
    deadline_s : float
        The process and all that it started are killed after so many seconds.
    module : str
        The program, as for ``python -m``.
    tick : callable, optional
        Told the share of the work that is done, about every 0.1 s.

    Returns
    -------
    WorkerResponse
        Checked by `parse_response`.

    Raises
    ------
    WorkerError
        If the process crashed, exceeded the deadline, or its response is malformed.
    HwsearchError
        The typed error that the process answered with.
    """
    process = subprocess.Popen(
        python_command(module),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=measuring_environment(),
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
        if code == 0:
            kill_process_group(process)  # what a program left behind on purpose, such as a server, stays
        else:
            kill_family(process)
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
    return parse_response(job, answers[-1])


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}" if code else "ended without an answer"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    why = ", as the system does when memory runs out" if name == "SIGKILL" else ""
    return f"was ended by {name}{why}"
