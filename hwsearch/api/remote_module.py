"""A module that a worker of another host trains: what is known of it here, and what is kept of it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from hwsearch._json import JsonObject
from hwsearch.devices.fleet.responses import WorkerError
from hwsearch.devices.fleet.training_jobs import CHECKPOINT, RESULT
from hwsearch.training.assembling import ModuleError

if TYPE_CHECKING:
    from hwsearch.devices.fleet.training_cluster import RemoteTraining, TrainingCluster

#: seconds between two questions to its worker, and between two checkpoints that are fetched
ASK_S, FETCH_S = 1.0, 5.0
#: and at least so many times as long as fetching one takes
FETCH_TIMES = 20.0


@dataclass
class RemoteModule:
    """A module on a worker; a thread asks after it, and keeps its checkpoints in the folder of the training.

    Attributes
    ----------
    module : int
        Its number.
    training : RemoteTraining
        The task.
    folder : Path
        Its folder here.
    state : dict or None
        Where it was at last.
    kept : bool
        Whether a checkpoint of this attempt was kept.
    error : ModuleError or None
        Why nothing can be kept any more.
    """

    module: int
    training: RemoteTraining
    folder: Path
    state: JsonObject | None = None
    kept: bool = False
    error: ModuleError | None = None
    _heard: float = field(default_factory=time.monotonic)
    _over: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)

    @property
    def worker(self) -> str:
        """Address of its worker."""
        return self.training.worker

    def silent_s(self) -> float:
        """Tell for how long the worker has not answered.

        Returns
        -------
        float
            Seconds; none while a checkpoint is fetched.
        """
        return time.monotonic() - self._heard

    def watch(self, cluster: TrainingCluster) -> None:
        """Ask after the module from now on, on a thread.

        Parameters
        ----------
        cluster : TrainingCluster
            The connection.
        """
        Thread(target=self._watch, args=(cluster,), daemon=True).start()

    def _watch(self, cluster: TrainingCluster) -> None:
        stamp, fetch_at = "", time.monotonic() + FETCH_S
        while not self._over.wait(ASK_S):
            begun = time.monotonic()
            fetch = begun >= fetch_at
            try:
                if fetch:
                    self._heard = math.inf  # a large one may take long
                state, stamp, content = cluster.ask(self.training, stamp, fetch)
                self._heard = time.monotonic()
                self.state = state or self.state
                if content is not None:
                    self._keep({CHECKPOINT: content})
                    fetch_at = time.monotonic() + max(FETCH_S, FETCH_TIMES * (time.monotonic() - begun))
            except WorkerError:
                self._heard = min(self._heard, time.monotonic())  # it will be seen whether it has ended
            except ModuleError as error:
                self.error = error
                return

    def close(self) -> None:
        """Ask no more; what still comes is not kept."""
        with self._lock:
            self._over.set()

    def take(self) -> tuple[str, str]:
        """Keep what the training has come to; it has ended, and is not asked after any more.

        Returns
        -------
        tuple of str
            How it ended, as in `TrainingAnswer`, and why.

        Raises
        ------
        WorkerError
            If its worker was lost.
        ModuleError
            If something cannot be written.
        """
        answer, files = self.training.answer()
        self.state = answer["state"] or self.state
        with self._lock:
            for name in sorted(files, key=lambda name: name == RESULT):  # which says that all is there
                self._write(name, files[name])
        return answer["end"], answer["why"]

    def _keep(self, files: dict[str, bytes]) -> None:
        """Keep files, unless this attempt is over: another one may write the same ones."""
        with self._lock:
            if not self._over.is_set():
                for name, content in files.items():
                    self._write(name, content)

    def _write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        partial = path.with_suffix(".partial")
        try:
            partial.write_bytes(content)
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise ModuleError(
                f"what worker {self.worker!r} has trained cannot be written to {str(path)!r} ({error}).",
                hint="Make room on the disk; the same call then goes on.",
            ) from error
        self.kept |= name == CHECKPOINT
