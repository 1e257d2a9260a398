"""Incubation of modules on the workers of a Dask cluster: each a task; what it trains is sent back while it trains."""

from __future__ import annotations

import math
import time
import uuid
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from hwsearch._json import JsonObject
from hwsearch.api.incubation import Incubation
from hwsearch.api.remote_module import RemoteModule
from hwsearch.devices.fleet.responses import WorkerError
from hwsearch.devices.fleet.training_jobs import (
    CHECKPOINT,
    FIGURES,
    PATIENCE_S,
    STOP_S,
    ClusterPlace,
    TrainingJob,
    WorkerFacts,
    training_versions,
)
from hwsearch.errors import CheckpointError, ConfigError
from hwsearch.supernets.checkpoint import read_checkpoint
from hwsearch.training.assembling import FILE, ModuleError, piece_folder, piece_name
from hwsearch.training.checkpoint import only_run
from hwsearch.training.recipes import load_recipe

if TYPE_CHECKING:
    from hwsearch.devices.fleet.training_cluster import TrainingCluster

#: seconds between two looks at the modules, and between two looks for workers
LOOK_S, HAND_OUT_S = 0.2, 1.0
#: a worker that has not answered for so long is given up, seconds
LOST_S = 60.0
#: a module is lost that has not come any further in so many attempts
MOST_ATTEMPTS = 3
#: what a recipe of the user's is called on a worker
RECIPE = "recipe.toml"


def cluster_place(scheduler: str | None, certificates: Path | str | None, *, insecure: bool) -> ClusterPlace | None:
    """Put together where the workers are found.

    Parameters
    ----------
    scheduler : str or None
        Address of the scheduler.
    certificates : Path or str or None
        Folder of certificates.
    insecure : bool
        Allow ``tcp://`` on this host.

    Returns
    -------
    ClusterPlace or None
        None without a scheduler.

    Raises
    ------
    ConfigError
        If there are certificates, or `insecure`, without a scheduler.
    """
    if scheduler is None:
        if certificates is not None or insecure:
            given = f"certificates={str(certificates)!r}" if certificates is not None else "insecure=True"
            raise ConfigError(f"{given} is given without a scheduler.", hint="Give --scheduler tls://HOST:8786, too.")
        return None
    return ClusterPlace(scheduler, None if certificates is None else str(certificates), insecure)


def connect(place: ClusterPlace) -> TrainingCluster:
    """Connect to the scheduler.

    Parameters
    ----------
    place : ClusterPlace
        Where it is.

    Returns
    -------
    TrainingCluster
        The connection, to be closed.

    Raises
    ------
    DeviceError
        If the scheduler cannot be reached, its address is not encrypted, or Dask is not installed.
    """
    from hwsearch.devices.fleet.training_cluster import TrainingCluster  # needs the extra

    return TrainingCluster(place.scheduler, place.certificates, insecure=place.insecure)


def check_cluster(place: ClusterPlace, given: JsonObject) -> None:
    """Check all workers that train, before anything is trained here.

    Parameters
    ----------
    place : ClusterPlace
        Where they are found.
    given : dict of str to object
        Arguments of the training.

    Raises
    ------
    DeviceError
        If the scheduler cannot be reached, or no worker trains.
    ModuleError
        If a worker has another version, or not what the training reads.
    """
    paths = needed_paths(remote_arguments(given))
    with closing(connect(place)) as cluster:
        found = [
            misfit for worker in cluster.await_trainers() if (misfit := misfit_of(worker, cluster.facts(worker, paths)))
        ]
    if found:
        raise ModuleError(" ".join(error.message for error in found), hint=found[0].hint)


def misfit_of(worker: str, facts: WorkerFacts, threads: int | None = None) -> ModuleError | None:
    """Say why a worker cannot train, from what it tells of itself.

    Parameters
    ----------
    worker : str
        Its address.
    facts : WorkerFacts
        What it tells.
    threads : int, optional
        So many the training has computed with before.

    Returns
    -------
    ModuleError or None
        None where it can.
    """
    for name, ours in training_versions().items():
        theirs = facts["versions"].get(name, "none")
        if theirs != ours:
            return ModuleError(
                f"worker {worker!r} has {name} {theirs}, and this process {ours}.",
                hint=f"Install {name} {ours} on its host and start it again, or stop this worker.",
            )
    if facts["missing"]:
        return ModuleError(
            f"worker {worker!r} has no {', '.join(repr(path) for path in facts['missing'])}, which the training reads.",
            hint="Put it at the same path on its host, or stop this worker.",
        )
    if threads is not None and threads > facts["threads"]:
        return ModuleError(
            f"worker {worker!r} has {facts['threads']} threads for a module, and its checkpoint was made with {threads}.",
            hint=f"Start a worker on a host with more cores, or with OMP_NUM_THREADS={threads}; or remove the checkpoint.",
        )
    return None


def remote_arguments(given: JsonObject) -> JsonObject:
    """Write the arguments of a training for a worker: absolute paths; weights to start from come with the meta network.

    Parameters
    ----------
    given : dict of str to object
        Arguments of the training here.

    Returns
    -------
    dict of str to object
        Arguments there.
    """
    supernet, recipe = str(load_recipe(given["recipe"], given["supernet"])["supernet"]), str(given["recipe"])
    file, _, name = supernet.rpartition(":")
    if file.endswith(".py"):
        supernet = f"{Path(file).absolute()}:{name}"
    data = Path(given["data"])
    return given | {
        "recipe": RECIPE if Path(recipe).is_file() else recipe,
        "data": str(data.absolute() if data.exists() else data),
        "supernet": supernet,
        "checkpoint": None,
    }


def needed_paths(remote: JsonObject) -> list[str]:
    """List what must lie at the same path on a worker.

    Parameters
    ----------
    remote : dict of str to object
        As of `remote_arguments`.

    Returns
    -------
    list of str
        Absolute paths.
    """
    file = str(remote["supernet"]).rpartition(":")[0]
    return [path for path in (remote["data"], file) if Path(path).is_absolute()]


@dataclass
class ClusterIncubation(Incubation):
    """Train modules on the workers of a Dask cluster, one at a time on each.

    A module's checkpoints come back while it trains. One whose worker is lost, or whose process dies, goes on from the last
    of them, on another worker where there is one. A worker that cannot train a module is asked no more, and a note says why.

    Attributes
    ----------
    place : ClusterPlace
        Where the workers are found.
    """

    place: ClusterPlace = field(kw_only=True)
    _remote: JsonObject = field(default_factory=dict)
    _waiting: list[int] = field(default_factory=list)
    _running: list[RemoteModule] = field(default_factory=list)
    _lost: list[str] = field(default_factory=list)
    _refusals: dict[tuple[str, int], str] = field(default_factory=dict)
    _attempts: dict[int, int] = field(default_factory=dict)
    _last: dict[int, str] = field(default_factory=dict)
    _workers: dict[str, str] = field(default_factory=dict)
    _listed_at: float = -math.inf
    _nobody_since: float | None = None

    @override
    def run(self, missing: list[int]) -> None:
        self._remote, self._waiting = remote_arguments(self.given), list(missing)
        with ExitStack() as stack:
            for module in missing:
                stack.enter_context(only_run(self.trainers[module].folder))
            cluster = stack.enter_context(closing(connect(self.place)))
            stack.callback(self._leave, cluster)
            try:
                while self._waiting or self._running:
                    due = time.monotonic() >= self._listed_at + HAND_OUT_S
                    if due:
                        self._workers, self._listed_at = cluster.trainers(), time.monotonic()
                    self._look(cluster, missing)
                    if due and self._waiting:
                        self._hand_out(cluster)
                    time.sleep(LOOK_S)
            except KeyboardInterrupt:
                self._stop(cluster)
                raise
        self.end(self._lost)

    def _look(self, cluster: TrainingCluster, missing: list[int]) -> None:
        """Tell where the modules are, and take those that have ended."""
        for one in list(self._running):
            if one.state is not None:
                self.tell(one.module, one.state, missing)
            if one.error is not None:
                raise one.error
            if one.training.done():
                self._running.remove(one)
                one.close()
                self._take(one)
                if one.state is not None:
                    self.tell(one.module, one.state, missing)
            elif one.worker not in self._workers or one.silent_s() > LOST_S:
                self._running.remove(one)
                one.close()
                cluster.forget(one.training)
                self._drop(one)

    def _drop(self, one: RemoteModule) -> None:
        """Give up a worker that has left, or does not answer."""
        why = f"worker {one.worker!r} has left the cluster"
        if one.worker in self._workers:
            why = f"worker {one.worker!r} has not answered for {LOST_S:g} s"
            self._refusals |= {(one.worker, module): why for module in self.trainers}
        self._again(one, why)

    def _take(self, one: RemoteModule) -> None:
        """Take what a module's training has come to."""
        name = piece_name(one.module)
        try:
            end, why = one.take()
        except WorkerError as error:
            self._again(one, error.message.rstrip("."))
            return
        if end == "refused":
            self._refuse(one.worker, one.module, f"worker {one.worker!r} cannot train {name}: {why}")
            self._waiting.append(one.module)
        elif end == "failed":
            self.note(f"{name} failed on worker {one.worker!r}: {why} The other modules go on")
            self._lost.append(f"{name} failed on worker {one.worker!r}: {why.rstrip('.')}")
        elif end != "finished":
            self._again(one, f"on worker {one.worker!r} {why.rstrip('.')}")

    def _again(self, one: RemoteModule, why: str) -> None:
        """Have a module go on from its last checkpoint, unless it comes no further."""
        name = piece_name(one.module)
        attempts = self._attempts[one.module] = 1 if one.kept else self._attempts.get(one.module, 0) + 1
        if attempts < MOST_ATTEMPTS:
            self.note(f"{name}: {why}; it goes on from its last checkpoint")
            self._waiting.append(one.module)
        else:
            self.note(f"{name}: {why}, for the {attempts}th time without coming further; the other modules go on")
            self._lost.append(f"{name} was lost {attempts} times without coming further, at last: {why}")

    def _refuse(self, worker: str, module: int, why: str) -> None:
        if why not in self._refusals.values():
            self.note(why)
        self._refusals[worker, module] = why

    def _hand_out(self, cluster: TrainingCluster) -> None:
        """Give modules that wait to workers that are free."""
        workers, busy = self._workers, cluster.busy() | {one.worker for one in self._running}
        free = [worker for worker in workers if worker not in busy]
        for module in list(self._waiting):
            for worker in sorted(free, key=lambda w: w == self._last.get(module)):
                if (worker, module) not in self._refusals and self._give(cluster, worker, module):
                    self._waiting.remove(module)
                    free.remove(worker)
                    break
        if not self._waiting or self._running:
            self._nobody_since = None
            return
        now = time.monotonic()
        left = [m for m in self._waiting if any((worker, m) not in self._refusals for worker in workers)]
        if self._nobody_since is None:
            self._nobody_since = now
            if left:
                self.note(f"{', '.join(map(piece_name, left))}: waiting for a worker that has nothing else to do")
        if not left if workers else now - self._nobody_since > PATIENCE_S:
            self._give_up(cluster)

    def _give_up(self, cluster: TrainingCluster) -> None:
        """Lose the modules that no worker takes."""
        for module in self._waiting:
            why = [text for (_, number), text in self._refusals.items() if number == module]
            said = (
                "; ".join(text.rstrip(".") for text in why) or f"no worker at {cluster.address!r} trains; {cluster.how}"
            )
            self._lost.append(f"{piece_name(module)} is not finished: {said}")
        self._waiting = []

    def _give(self, cluster: TrainingCluster, worker: str, module: int) -> bool:
        """Give a module to a worker; whether it can take it."""
        folder = self.trainers[module].folder
        try:
            threads = _threads_of(folder / CHECKPOINT)
            facts = cluster.facts(worker, needed_paths(self._remote))
        except CheckpointError as error:
            self._waiting.remove(module)
            self._lost.append(f"{piece_name(module)}: {str(error).rstrip('.')}")
            return False
        except WorkerError:
            return False  # it may be about to leave
        if (misfit := misfit_of(worker, facts, threads)) is not None:
            self._refuse(worker, module, str(misfit))
            return False
        job: TrainingJob = {
            "id": uuid.uuid4().hex,
            "name": piece_name(module),
            "given": {**self._remote, "module": module},
            "folder": f"{folder.parent.name}/{folder.name}",
            "shown": str(folder.parent.parent),
            "identity": self.trainers[module].identity(),
            "threads": threads or facts["threads"],
        }
        one = RemoteModule(module, cluster.train(worker, job, self._files(folder)), folder)
        one.watch(cluster)
        self._running.append(one)
        self._last[module] = worker
        return True

    def _files(self, folder: Path) -> dict[str, bytes]:
        """Read what a worker needs of the training's folder."""
        meta = piece_folder(folder.parent, 0) / FILE
        found = {f"{folder.parent.name}/{meta.parent.name}/{FILE}": meta.read_bytes()}
        if self._remote["recipe"] == RECIPE:
            found[RECIPE] = Path(self.given["recipe"]).read_bytes()
        for name in (CHECKPOINT, FIGURES):
            with suppress(FileNotFoundError):
                found[f"{folder.parent.name}/{folder.name}/{name}"] = (folder / name).read_bytes()
        return found

    def _stop(self, cluster: TrainingCluster) -> None:
        """Stop the modules after their step, and take what they have trained."""
        for one in self._running:
            cluster.stop_training(one.training)
        until = time.monotonic() + STOP_S
        while not all(one.training.done() for one in self._running) and time.monotonic() < until:
            time.sleep(LOOK_S)
        for one in self._running:
            one.close()
            if one.training.done():
                with suppress(WorkerError):
                    one.take()

    def _leave(self, cluster: TrainingCluster) -> None:
        """Leave nothing running on the workers, unless they cannot be reached: then they stop by themselves."""
        reached = True
        for one in self._running:
            one.close()
            if reached and not one.training.done():
                reached = cluster.stop_training(one.training)
            cluster.forget(one.training)


def _threads_of(checkpoint: Path) -> int | None:
    """Read with how many threads a checkpoint was made; None where there is none."""
    if not checkpoint.exists():
        return None
    try:
        return int(read_checkpoint(checkpoint)["identity"]["threads"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{str(checkpoint)!r} is not the checkpoint of a training.", hint="Remove it.") from error
