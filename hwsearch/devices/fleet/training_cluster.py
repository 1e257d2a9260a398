"""Connection to the Dask workers that train; the extra ``cluster``."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from dataclasses import dataclass

from hwsearch._json import JsonObject
from hwsearch.devices.fleet.dask import PATIENCE_S, Cluster
from hwsearch.devices.fleet.jobs import Files
from hwsearch.devices.fleet.responses import WorkerError
from hwsearch.devices.fleet.training_jobs import (
    RESOURCE,
    TrainingAnswer,
    TrainingJob,
    WorkerFacts,
    check_state,
    parse_answer,
    parse_facts,
)
from hwsearch.devices.fleet.training_worker import ask_after_training, stop_training, train_on_worker, worker_facts
from hwsearch.errors import DeviceError

try:
    import dask
    import distributed
except ImportError as missing:
    raise DeviceError("training on other hosts needs Dask.", hint="pip install 'hwsearch[cluster]'") from missing


#: the longest that sending weights may take, seconds
FETCH_S = 600.0
#: how long a worker that is to stop may take to answer, seconds
STOP_PATIENCE_S = 5.0


@dataclass
class RemoteTraining:
    """A training that was given to a worker.

    Attributes
    ----------
    id : str
        Its own.
    worker : str
        Address of the worker.
    future : distributed.Future
        Of its end.
    """

    id: str
    worker: str
    future: distributed.Future

    def done(self) -> bool:
        """Tell whether it has ended, also by the loss of its worker.

        Returns
        -------
        bool
            Whether it has.
        """
        return bool(self.future.done())

    def answer(self) -> tuple[TrainingAnswer, Files]:
        """Get how it ended, and what it trained.

        Returns
        -------
        tuple of TrainingAnswer and mapping of str to bytes
            Checked by `parse_answer`.

        Raises
        ------
        WorkerError
            If the worker was lost, or the answer is malformed.
        """
        error = self.future.exception() if self.future.status == "error" else None
        if isinstance(error, distributed.KilledWorker) or self.future.cancelled():
            raise WorkerError(f"worker {self.worker!r} was lost")
        if error is not None:
            raise WorkerError(f"worker {self.worker!r} failed: {str(error)[:300] or type(error).__name__}")
        try:
            found = self.future.result(timeout=FETCH_S)
        except (OSError, TimeoutError) as late:
            raise WorkerError(f"worker {self.worker!r} was lost before it had sent what it trained: {late}") from late
        return parse_answer(found)


class TrainingCluster(Cluster):
    """Connection to the workers that train; see `Cluster`."""

    def trainers(self) -> dict[str, str]:
        """List the workers of this moment that train.

        Returns
        -------
        dict of str to str
            Address → host.

        Raises
        ------
        DeviceError
            If the scheduler was lost.
        """
        try:
            workers = self._client.scheduler_info(n_workers=-1)["workers"]
        except (OSError, TimeoutError, KeyError, RuntimeError) as error:
            raise self._lost(error) from error
        return {address: str(w.get("host")) for address, w in workers.items() if RESOURCE in w.get("resources", {})}

    def await_trainers(self) -> dict[str, str]:
        """Wait until there is a worker that trains.

        Returns
        -------
        dict of str to str
            Address → host.

        Raises
        ------
        DeviceError
            If there is none within `PATIENCE_S`.
        """
        until = time.monotonic() + PATIENCE_S
        while not (found := self.trainers()):
            if time.monotonic() > until:
                raise DeviceError(f"no worker at {self.address!r} trains.", hint=self.how)
            time.sleep(0.2)
        return found

    @property
    def how(self) -> str:
        """What to do where a worker is missing."""
        return f"On a host that is to train: hwsearch cluster worker {self.address} --training"

    def busy(self) -> set[str]:
        """List the workers that do something, such as measuring.

        Returns
        -------
        set of str
            Addresses.

        Raises
        ------
        DeviceError
            If the scheduler was lost.
        """
        try:
            return {address for address, tasks in self._client.processing().items() if tasks}
        except (OSError, TimeoutError, RuntimeError) as error:
            raise self._lost(error) from error

    def facts(self, worker: str, paths: list[str]) -> WorkerFacts:
        """Ask a worker what decides whether it can train.

        Parameters
        ----------
        worker : str
            Its address.
        paths : list of str
            Files and folders that the training reads.

        Returns
        -------
        WorkerFacts
            Checked by `parse_facts`.

        Raises
        ------
        WorkerError
            If it does not answer.
        """
        hosts = self.trainers()
        sharing = max(1, sum(host == hosts.get(worker) for host in hosts.values()))
        return parse_facts(self._ask(worker, worker_facts, paths, sharing))

    def train(self, worker: str, job: TrainingJob, files: Files) -> RemoteTraining:
        """Give a training to a worker.

        Parameters
        ----------
        worker : str
            Its address.
        job : TrainingJob
            What to train.
        files : mapping of str to bytes
            Files of the training's folder.

        Returns
        -------
        RemoteTraining
            The training.
        """
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TiB"}):  # weights are large
            # another worker would be chosen without asking what it has: whoever asked decides, so Dask must not
            future = self._client.submit(
                train_on_worker,
                json.dumps(job),
                dict(files),
                workers=[worker],
                allow_other_workers=False,
                resources={RESOURCE: 1},
                retries=0,
                pure=False,
            )
        return RemoteTraining(job["id"], worker, future)

    def ask(self, training: RemoteTraining, stamp: str, fetch: bool) -> tuple[JsonObject | None, str, bytes | None]:
        """Ask where a training is, and perhaps for its checkpoint.

        Parameters
        ----------
        training : RemoteTraining
            The training.
        stamp : str
            Of the checkpoint that is here.
        fetch : bool
            Whether to get a newer one.

        Returns
        -------
        tuple of (dict or None), str and (bytes or None)
            Its state, None where it has told none; stamp and content of the checkpoint.

        Raises
        ------
        WorkerError
            If the worker does not answer, or not what was asked for.
        """
        found = self._ask(
            training.worker, ask_after_training, training.id, stamp, fetch, patience_s=FETCH_S if fetch else PATIENCE_S
        )
        if not isinstance(found, tuple) or len(found) != 3 or not isinstance(found[2], bytes | None):
            raise WorkerError(f"Invalid worker response: {str(found)[:80]!r} is not the state of a training.")
        text, now, content = found
        try:
            state = json.loads(str(text))
        except (ValueError, RecursionError) as error:
            raise WorkerError(f"Invalid worker response: it is not JSON: {error}.") from error
        return None if state is None else check_state(state), str(now), content

    def stop_training(self, training: RemoteTraining) -> bool:
        """Have a training stop after its step; a worker that does not answer is left.

        Parameters
        ----------
        training : RemoteTraining
            The training.

        Returns
        -------
        bool
            Whether the worker has answered.
        """
        try:
            self._ask(training.worker, stop_training, training.id, patience_s=STOP_PATIENCE_S)
        except WorkerError:
            return False
        return True

    def forget(self, training: RemoteTraining) -> None:
        """Give up the end of a training.

        Parameters
        ----------
        training : RemoteTraining
            The training.
        """
        with suppress(Exception):  # the connection may be gone; the training is over either way
            training.future.cancel()

    def _ask(self, worker: str, function: object, *given: object, patience_s: float = PATIENCE_S) -> object:
        """Call a function of `training_worker` on a worker beside what it does."""
        found: list[object] = []

        def call() -> None:
            try:
                found.append(self._client.run(function, *given, workers=[worker])[worker])
            except Exception as error:  # Dask hands on what was raised there, of whatever kind
                found.append(error)

        # Dask would wait for ever for a host that was suspended
        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        thread.join(patience_s)
        answer = found[0] if found else TimeoutError(f"nothing came within {patience_s:g} s")
        if isinstance(answer, Exception):
            raise WorkerError(f"worker {worker!r} does not answer: {str(answer)[:300] or type(answer).__name__}.")
        return answer

    def _lost(self, error: Exception) -> DeviceError:
        why = "it is not connected" if isinstance(error, KeyError) else str(error).rstrip(".")
        return DeviceError(
            f"the scheduler {self.address!r} was lost: {why}.",
            hint="Start it and its workers again, then give the same command again: what has come back is kept.",
        )
