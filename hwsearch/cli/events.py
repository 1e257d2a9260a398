"""Progress as JSON, one object a line, for programs that read it."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self, TextIO

from typing_extensions import override

from hwsearch._json import JsonObject, shown_as_json
from hwsearch.campaigns.progress import LoggedProgress, Task
from hwsearch.campaigns.progress import Progress as StepProgress
from hwsearch.cli.interruption import end_if_interrupted
from hwsearch.cli.progress import Heartbeat, NewEpochs, NewNotes, TrackedTask


class _EventTask(TrackedTask):
    def __init__(self, name: str, total: float, unit: str, logged: Task) -> None:
        super().__init__(total, unit, logged)
        self.name = name

    def state(self) -> JsonObject:
        elapsed, left = self.times()
        return {
            "step": self.name,
            "done": round(self.done, 2),
            "total": self.total,
            "unit": self.unit,
            "elapsed_s": round(elapsed, 1),
            "left_s": None if left is None else round(left, 1),
        }


class JsonProgress(StepProgress):
    """Progress as JSON: an object a line, each with an ``event``; everything also goes to the log.

    The events are ``begin`` and ``end`` of a step, ``progress`` of it every two seconds, ``wait`` with whom it waits for
    (``"for"`` is empty when it goes on), and ``warning``.

    Parameters
    ----------
    stream : file
        Where the lines go.
    """

    #: seconds between two events of a step under way
    EVERY_S = 2.0

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._lock, self._log = stream, threading.Lock(), LoggedProgress()

    def emit(self, event: str, **fields: object) -> None:
        """Write an event.

        Parameters
        ----------
        event : str
            Its kind.
        **fields
            What it tells.
        """
        with self._lock:
            self._stream.write(json.dumps(shown_as_json({"event": event, **fields})) + "\n")
            self._stream.flush()

    @override
    @contextmanager
    def task(self, name: str, total: float, unit: str) -> Iterator[Task]:
        end_if_interrupted()
        with self._log.task(name, total, unit) as logged:
            task = _EventTask(name, total, unit, logged)
            self.emit("begin", **task.state())
            with Heartbeat(lambda: self.emit("progress", **task.state()), self.EVERY_S):
                yield task
            self.emit("end", **task.state(), note=task.text)

    @override
    def warn(self, text: str) -> None:
        self._log.warn(text)
        self.emit("warning", text=text)

    @override
    def wait(self, text: str) -> None:
        end_if_interrupted()
        self._log.wait(text)
        self.emit("wait", **{"for": text})


class TrainingEvents:
    """Progress of a training as JSON: its events are ``begin``, ``progress``, ``epoch``, ``warning`` and ``end``.

    Parameters
    ----------
    stream : file
        Where the lines go.
    """

    def __init__(self, stream: TextIO) -> None:
        self._emit = JsonProgress(stream).emit
        self._epochs, self._notes = NewEpochs(), NewNotes()
        self._state: JsonObject = {}
        self._told = -math.inf

    def __enter__(self) -> Self:
        self._emit("begin", step="train")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._emit("end", step="train", **self._state)

    def update(self, status: JsonObject) -> None:
        """Write where a training is, at most every two seconds, and the figures of every epoch.

        Parameters
        ----------
        status : dict
            As `hwsearch.train` tells it.
        """
        self._state = {"done": status["step"], "total": status["steps"], "unit": "steps"}
        for text in self._notes.of(status):
            self._emit("warning", text=text)
        for row in self._epochs.of(status):
            self._emit("epoch", step="train", **row)
        if time.monotonic() - self._told >= JsonProgress.EVERY_S:
            self._told = time.monotonic()
            rate = round(status["examples_per_s"], 1)
            more = {
                "examples_per_s": rate,
                "kernels": status["kernels"],
                "device": status["device"],
                "losses": status["losses"],
            }
            self._emit("progress", step="train", **self._state, **more)
