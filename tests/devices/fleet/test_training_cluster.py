"""Connection to workers that train, by a client that stands for Dask's: what is sent, and errors of all kinds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("distributed")

import distributed

from hwsearch.devices.fleet import training_cluster
from hwsearch.devices.fleet.responses import WorkerError
from hwsearch.devices.fleet.training_cluster import RemoteTraining, TrainingCluster
from hwsearch.devices.fleet.training_jobs import training_versions
from hwsearch.devices.fleet.training_worker import train_on_worker
from hwsearch.errors import DeviceError


class Client:
    """Two workers of one host that train, and one elsewhere that measures."""

    def __init__(self, answer: Callable[..., object]) -> None:
        self.answer, self.sent = answer, list[Any]()
        self.workers: Any = {
            "tls://a:1": {"resources": {"training": 1.0}, "host": "a"},
            "tls://a:2": {"resources": {"training": 1.0, "device:x": 1.0}, "host": "a"},
            "tls://b:1": {"resources": {"device:y": 1.0}, "host": "b"},
        }

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        if self.workers is None:
            raise OSError("gone")
        return {"workers": self.workers}

    def processing(self) -> dict[str, Any]:
        if self.workers is None:
            raise OSError("gone")
        return {"tls://a:1": ("task",), "tls://a:2": ()}

    def run(self, function: Any, *given: object, workers: list[str]) -> dict[str, object]:
        return {workers[0]: self.answer(function.__name__, *given)}

    def submit(self, function: Any, *given: object, **options: object) -> Any:
        self.sent.append((function, given, options))
        return Future()


class Future:
    """A task that has ended, well by default."""

    status = "finished"

    def __init__(self, result: object = None, error: Exception | None = None, cancelled: bool = False) -> None:
        self._result, self.error, self._cancelled = result, error, cancelled
        self.status = "error" if error else "finished"

    def done(self) -> bool:
        return True

    def exception(self) -> Exception | None:
        return self.error

    def cancelled(self) -> bool:
        return self._cancelled

    def result(self, timeout: float) -> object:
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    def cancel(self) -> None:
        raise OSError("gone")


def connected(answer: Callable[..., object] = lambda *given: None) -> tuple[TrainingCluster, Client]:
    cluster, client = object.__new__(TrainingCluster), Client(answer)
    cluster.address, cluster._client = "tls://host:1", client
    return cluster, client


def test_workers_that_train_are_told_from_those_that_measure() -> None:
    cluster, client = connected()
    assert cluster.trainers() == cluster.await_trainers() == {"tls://a:1": "a", "tls://a:2": "a"}
    assert cluster.busy() == {"tls://a:1"}
    client.workers = None
    for asked in (cluster.trainers, cluster.busy):
        with pytest.raises(DeviceError, match=r"the scheduler 'tls://host:1' was lost: gone.*same command again"):
            asked()


def test_without_a_worker_that_trains_one_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_cluster, "PATIENCE_S", 0.0)
    cluster, client = connected()
    client.workers = {}
    with pytest.raises(DeviceError, match=r"no worker at 'tls://host:1' trains\. .*worker tls://host:1 --training"):
        cluster.await_trainers()


def test_workers_of_one_host_share_its_cores() -> None:
    asked: list[Any] = []

    def answer(*given: object) -> str:
        asked.append(given)
        return '{"versions": {}, "missing": [], "threads": 2}'

    cluster, _ = connected(answer)
    assert cluster.facts("tls://a:1", ["/x"])["threads"] == 2
    assert asked == [("worker_facts", ["/x"], 2)]


def test_a_training_is_given_to_one_worker_once() -> None:
    cluster, client = connected()
    job: Any = {"id": "7"}
    training = cluster.train("tls://a:1", job, {"f": b"1"})
    assert training.id == "7" and training.worker == "tls://a:1" and training.done()
    ((function, given, options),) = client.sent
    assert function is train_on_worker and given == ('{"id": "7"}', {"f": b"1"})
    assert options["workers"] == ["tls://a:1"] and not options["allow_other_workers"]
    assert options["retries"] == 0 and options["resources"] == {"training": 1}
    cluster.forget(training)  # and that the connection is gone is no error


def training(**future: Any) -> RemoteTraining:
    return RemoteTraining("7", "tls://a:1", Future(**future))


@pytest.mark.parametrize(
    ("future", "said"),
    [
        ({"error": distributed.KilledWorker("task", SimpleNamespace(address="x"), 0)}, r"worker 'tls://a:1' was lost$"),
        ({"error": OSError("disk full")}, r"worker 'tls://a:1' failed: disk full"),
        ({"cancelled": True}, r"worker 'tls://a:1' was lost$"),
        ({"result": TimeoutError("slow")}, r"lost before it had sent what it trained: slow"),
        ({"result": 7}, "Invalid worker response"),
    ],
)
def test_a_lost_worker_and_an_answer_that_is_none_are_errors(future: dict[str, Any], said: str) -> None:
    with pytest.raises(WorkerError, match=said):
        training(**future).answer()


def test_a_training_is_asked_after() -> None:
    cluster, _ = connected(lambda *given: ("null", "s", b"1" if given[3] else None))
    assert cluster.ask(training(), "", True) == (None, "s", b"1")
    assert cluster.ask(training(), "", False) == (None, "s", None)
    for wrong in (None, ("null", "s"), ("null", "s", "text"), ("{", "s", None), ('{"step": 1}', "s", None)):
        cluster, _ = connected(lambda *given, wrong=wrong: wrong)
        with pytest.raises(WorkerError, match="Invalid worker response"):
            cluster.ask(training(), "", True)


def test_a_worker_that_raises_or_hangs_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object) -> object:
        raise ModuleNotFoundError("no module hwsearch.devices.fleet.training_worker")

    cluster, _ = connected(broken)
    with pytest.raises(WorkerError, match="worker 'tls://a:1' does not answer: no module"):
        cluster.facts("tls://a:1", [])
    assert not cluster.stop_training(training())  # it is left
    assert connected()[0].stop_training(training())
    release = threading.Event()
    cluster, _ = connected(lambda *given: release.wait(60))
    with pytest.raises(WorkerError, match=r"does not answer: nothing came within 0\.05 s"):
        cluster._ask("tls://a:1", print, patience_s=0.05)
    release.set()
    assert training_versions().keys() == {"hwsearch", "torch"}
