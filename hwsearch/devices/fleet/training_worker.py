"""Trainings on the host of a Dask worker: each in a process and a temporary folder of its own.

The client asks after a training about once a second, and takes its checkpoint along. A training that nobody asks after any
more is stopped, so a client that is killed leaves none behind. These functions run on the worker; `hwsearch.devices.fleet.training_cluster`
calls them by Dask.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from threading import Event

from hwsearch._json import JsonObject
from hwsearch.devices.fleet.jobs import Files
from hwsearch.devices.fleet.training_jobs import (
    CHECKPOINT,
    FIGURES,
    RESULT,
    SILENT_S,
    STOP_S,
    TrainingAnswer,
    TrainingJob,
    training_versions,
)
from hwsearch.devices.helper import Helper
from hwsearch.devices.threads import compute_threads
from hwsearch.errors import DeviceError

#: the program that trains
PROGRAM = "hwsearch.api.training_module"
#: seconds between two looks at the process
LOOK_S = 0.1
#: exit code of a program after Ctrl-C
INTERRUPTED = 130


@dataclass
class RunningTraining:
    """A training of this worker.

    Attributes
    ----------
    folder : Path
        Of the module.
    status : Path
        The process writes there where it is.
    first : str
        Stamp of the checkpoint that it came with, which is not sent back.
    asked : float
        When it was last asked after, by the monotonic clock.
    stop : Event
        Set when it is to stop.
    """

    folder: Path
    status: Path
    first: str = ""
    asked: float = field(default_factory=time.monotonic)
    stop: Event = field(default_factory=Event)

    def state(self) -> JsonObject | None:
        """Read where it is.

        Returns
        -------
        dict of str to object, or None
            None before it has told.
        """
        with suppress(OSError, ValueError):
            found: JsonObject = json.loads(self.status.read_text(encoding="utf-8"))
            return found
        return None

    def newer(self, stamp: str) -> tuple[str, bytes | None]:
        """Read its checkpoint.

        Parameters
        ----------
        stamp : str
            Of the last one that was read.

        Returns
        -------
        tuple of str and (bytes or None)
            A stamp, and the checkpoint; None where there is no other one.
        """
        with suppress(OSError), (self.folder / CHECKPOINT).open("rb") as file:
            found = os.fstat(file.fileno())  # of the file that is read, which another one may replace meanwhile
            now = f"{found.st_mtime_ns}-{found.st_ino}"
            return now, None if now in (stamp, self.first) else file.read()
        return stamp, None


#: the trainings of this process, by id
_RUNNING: dict[str, RunningTraining] = {}


def worker_facts(paths: list[str], sharing: int) -> str:
    """Tell what of this worker decides whether it can train.

    Parameters
    ----------
    paths : list of str
        Files and folders that the training reads.
    sharing : int
        Workers of this host that train and share its cores out.

    Returns
    -------
    str
        `WorkerFacts` as JSON.
    """
    missing = [path for path in paths if not Path(path).exists()]
    return json.dumps({"versions": training_versions(), "missing": missing, "threads": compute_threads(sharing)})


def train_on_worker(job: str, files: Files) -> tuple[str, dict[str, bytes]]:
    """Train on the host of a Dask worker, in a fresh process.

    Parameters
    ----------
    job : str
        A `TrainingJob` as JSON.
    files : mapping of str to bytes
        Files of the training's folder, by their place in it.

    Returns
    -------
    tuple of str and dict of str to bytes
        `TrainingAnswer` as JSON, and what it trained.
    """
    spec: TrainingJob = json.loads(job)
    with tempfile.TemporaryDirectory(prefix="hwsearch-training-") as name:
        folder = Path(name) / "run"
        for place, content in files.items():
            path = folder / _inside(place)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        given = {**spec["given"], "folder": str(folder)}
        if given["recipe"] in files:
            given["recipe"] = str(folder / given["recipe"])
        running = RunningTraining(folder / _inside(spec["folder"]), Path(name) / "state.json")
        running.first, _ = running.newer("")
        outcome = Path(name) / "outcome.json"
        task = {"given": given, "status": str(running.status), "outcome": str(outcome), "identity": spec["identity"]}
        environment = os.environ | {"OMP_NUM_THREADS": str(spec["threads"])}
        helper = Helper(spec["name"], PROGRAM, task, Path(name) / "said.txt", environment)
        _RUNNING[spec["id"]] = running
        try:
            _wait(helper, running)
            answer = _answer(helper, running, outcome)
        finally:
            helper.end(0.0)
            del _RUNNING[spec["id"]]
        answer["why"] = answer["why"].replace(str(folder), spec["shown"])
        return json.dumps(answer), _results(running, answer)


async def ask_after_training(training: str, stamp: str, fetch: bool) -> tuple[str, str, bytes | None]:
    """Tell where a training is; on a thread, so that the worker answers others meanwhile.

    Parameters
    ----------
    training : str
        Its id.
    stamp : str
        Of the checkpoint that the client has.
    fetch : bool
        Whether to send a newer one.

    Returns
    -------
    tuple of str, str and (bytes or None)
        Its state as JSON, null where it has told none; the stamp of the checkpoint; and this.
    """
    running = _RUNNING.get(training)
    if running is None:
        return "null", stamp, None
    running.asked = time.monotonic()
    found, content = await asyncio.to_thread(running.newer, stamp) if fetch else (stamp, None)
    return json.dumps(running.state()), found, content


def stop_training(training: str) -> None:
    """Have a training stop after its step.

    Parameters
    ----------
    training : str
        Its id; one that has ended is none.
    """
    running = _RUNNING.get(training)
    if running is not None:
        running.stop.set()


def _inside(place: str) -> Path:
    """Refuse a place outside a folder."""
    path = PurePosixPath(place)
    if path.is_absolute() or ".." in path.parts:
        raise DeviceError(f"{place!r} is not a place within the folder of a training.")
    return Path(path)


def _wait(helper: Helper, running: RunningTraining) -> None:
    """Wait for the end of the process; it is interrupted when the training is to stop."""
    interrupted: float | None = None
    while helper.process.poll() is None:
        now = time.monotonic()
        if now - running.asked > SILENT_S:
            running.stop.set()
        if interrupted is None and running.stop.is_set():
            interrupted = now
            helper.interrupt()
        if interrupted is not None and now - interrupted > STOP_S:
            return
        time.sleep(LOOK_S)


def _answer(helper: Helper, running: RunningTraining, outcome: Path) -> TrainingAnswer:
    """Say how the process ended."""
    code, state = helper.process.poll(), running.state()
    if code == 0:
        return {"end": "finished", "why": "", "state": state}
    if running.stop.is_set() or code == INTERRUPTED:
        return {"end": "stopped", "why": "it was stopped", "state": state}
    with suppress(OSError, ValueError):
        said = json.loads(outcome.read_text(encoding="utf-8"))
        return {"end": said["end"], "why": str(said["why"]), "state": state}
    return {"end": "died", "why": str(helper.fate()), "state": state}


def _results(running: RunningTraining, answer: TrainingAnswer) -> dict[str, bytes]:
    """Read what was trained."""
    found = {}
    for name in (RESULT, FIGURES) if answer["end"] == "finished" else (FIGURES,):
        with suppress(OSError):
            found[name] = (running.folder / name).read_bytes()
    _, content = running.newer("") if answer["end"] != "finished" else ("", None)
    return found if content is None else {**found, CHECKPOINT: content}
