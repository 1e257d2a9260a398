"""Certificates, refused addresses, and a job on a Dask worker over mutual TLS."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest
from onnx import TensorProto, helper

pytest.importorskip("distributed")

from hwsearch.devices import Device, TimingProtocol, Workload
from hwsearch.devices.fleet import dask
from hwsearch.devices.fleet.certificates import make_certificates
from hwsearch.devices.fleet.dask import Cluster
from hwsearch.devices.fleet.jobs import device_job, pack_workload
from hwsearch.devices.fleet.responses import WorkerError
from hwsearch.devices.fleet.serving import run_serialised_job
from hwsearch.errors import DeviceError
from hwsearch.tasks.inputs import Input


def listening(address: str) -> None:
    """Wait until a scheduler answers; on a busy machine it takes long to start."""
    host, port = address.rpartition("/")[2].split(":")
    until = time.monotonic() + 150
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


@contextlib.contextmanager
def served(address: str, folder: Path, *options: str) -> Iterator[list[psutil.Process]]:
    """A scheduler and a worker in processes of their own."""
    command = [sys.executable, "-m", "hwsearch.cli", "cluster"]
    with contextlib.ExitStack() as stack:
        found = []
        for action, more in (("scheduler", []), ("worker", ["--device", "box"])):
            process = subprocess.Popen(
                [*command, action, address, *options, *more], cwd=folder, stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            found.append(psutil.Process(process.pid))
            if action == "scheduler":
                listening(address)
        until = time.monotonic() + 150
        while not sockets([found[1]]) and time.monotonic() < until:
            time.sleep(0.1)
        yield found


def sockets(processes: list[psutil.Process]) -> set[tuple[str, int]]:
    """Addresses at which processes, and all that they started, listen."""
    everyone = [p for one in processes for p in (one, *one.children(recursive=True))]
    return {tuple(c.laddr) for p in everyone for c in p.net_connections("inet") if c.status == psutil.CONN_LISTEN}


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def test_without_certificates_only_this_host_reaches_a_scheduler_and_its_workers(tmp_path):
    with served(f"tcp://127.0.0.1:{free_port()}", tmp_path, "--insecure") as processes:
        found = sockets(processes)
        assert len(found) == 2 and {host for host, _ in found} == {"127.0.0.1"}  # one each, and no page of Dask's


def test_no_socket_answers_whoever_shows_no_certificate(tmp_path):
    make_certificates(tmp_path / "certs")
    with served(f"tls://127.0.0.1:{free_port()}", tmp_path, "--certificates", str(tmp_path / "certs")) as processes:
        ports = {port for _, port in sockets(processes)}
        assert len(ports) == 2
        for port in ports:
            with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:  # as a browser asks for a page
                plain.sendall(b"GET /health HTTP/1.0\r\n\r\n")
                with contextlib.suppress(ConnectionError):
                    assert b"HTTP" not in plain.recv(1000)
            stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
            with (
                pytest.raises((ssl.SSLError, ConnectionError)),
                socket.create_connection(("127.0.0.1", port), timeout=20) as raw,
                stranger.wrap_socket(raw) as secure,
            ):
                secure.sendall(b"x" * 100)
                if not secure.recv(1000):  # TLS 1.3 tells a client without a certificate after its handshake
                    raise ConnectionError


def test_a_worker_over_tls_answers_and_its_death_is_an_error_at_once(tmp_path):
    make_certificates(tmp_path / "certs")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = f"tls://127.0.0.1:{s.getsockname()[1]}"
    command = [sys.executable, "-m", "hwsearch.cli", "cluster"]
    tail = [address, "--certificates", str(tmp_path / "certs")]
    with contextlib.ExitStack() as stack:
        processes = []
        for action, more in (("scheduler", []), ("worker", ["--device", "box"])):
            process = subprocess.Popen([*command, action, *tail, *more], cwd=tmp_path, stderr=subprocess.DEVNULL)
            processes.append(process)
            stack.callback(process.wait)
            stack.callback(process.kill)
            time.sleep(0.2)
        listening(address)
        cluster = Cluster(address, str(tmp_path / "certs"))
        stack.callback(cluster.close)
        runtime = cluster.runtime(Device("box"))
        assert runtime.facts()["runtime"] == "onnxruntime" and cluster.offered() == {"box"}
        lasting = TimingProtocol(visits=10**4, block_ms=50.0, budget_s=60.0).model_dump(mode="json")
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])
        graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        files: dict[str, bytes] = {}
        entry = pack_workload(Workload.of(made.SerializeToString(), [Input("x", (4,))]), 0, files)
        job = {"do": "measure", "form": "onnx", "device": asdict(Device("box")), "protocol": lasting, "seed": [0]}
        job |= {"metrics": [], "workloads": [entry], "reference": entry}
        threading.Timer(2.0, processes[1].kill).start()
        started = time.monotonic()
        with pytest.raises(WorkerError, match="was lost"):
            cluster.executor("box").run(job, files, 120.0)
        assert time.monotonic() - started < 60


class Future:
    """A task that is done after some looks."""

    def __init__(self, result=None, *, looks=0, error=None, cancelled=False) -> None:
        self._result, self.looks, self.error, self._cancelled = result, looks, error, cancelled
        self.status = "error" if error else "finished"
        self.ended = False

    def done(self) -> bool:
        self.looks -= 1
        return self.looks < 0

    def exception(self):
        return self.error

    def cancelled(self) -> bool:
        return self._cancelled

    def result(self, timeout):
        return self._result

    def cancel(self) -> None:
        self.ended = True
        raise OSError("the connection is gone")


class Client:
    """A connection to workers that offer devices as resources."""

    def __init__(self, resources, future=None) -> None:
        self.resources, self.future, self.closed = resources, future, False
        self.sent: list[tuple] = []

    def scheduler_info(self, n_workers):
        return {"workers": {str(i): r for i, r in enumerate(self.resources)}}

    def submit(self, function, *given, **options):
        self.sent.append((function, given, options))
        return self.future

    def close(self) -> None:
        self.closed = True


class Event(threading.Event):
    """Waits by moving a clock."""

    def __init__(self, clock) -> None:
        super().__init__()
        self.clock = clock

    def wait(self, timeout=None) -> bool:
        self.clock.now += timeout
        return self.is_set()


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def connect(monkeypatch):
    """Makes a `Cluster` whose client is a stand-in and whose time is a number."""
    clock = Clock()
    monkeypatch.setattr(dask, "time", clock)

    def make(resources=({"resources": {"device:box": 1}},), future=None) -> tuple[Cluster, Client, Clock]:
        cluster = object.__new__(Cluster)
        client = Client(list(resources), future)
        cluster.address, cluster._client, cluster.stopped = "tls://host:1", client, Event(clock)
        return cluster, client, clock

    return make


FACTS = device_job("facts", "onnx", Device("box"))


def test_devices_are_the_resources_of_the_workers_of_this_moment(connect):
    workers = [{"resources": {"device:box": 1, "memory": 2}}, {}, {"resources": {"device:a:b": 1}}]
    assert connect(workers)[0].offered() == {"box", "a:b"}


def test_a_job_is_sent_once_to_a_worker_that_offers_the_device_and_its_answer_is_checked(connect):
    cluster, client, _ = connect(future=Future(json.dumps({"facts": {"cpu": "x"}}), looks=3))
    assert cluster.executor("box").run(FACTS, {"m": b"1"}, 9.0) == {"facts": {"cpu": "x"}}
    ((function, given, options),) = client.sent
    assert function is run_serialised_job and given == (json.dumps(FACTS), {"m": b"1"}, 9.0)
    assert options == {"resources": {"device:box": 1}, "retries": 0, "pure": False}
    assert client.future.ended  # and that the connection was gone by then is no error


@pytest.mark.parametrize("text", [None, 7, "no json", "[1]", '{"counts": {}}'])
def test_an_answer_that_is_none_is_refused(connect, text):
    with pytest.raises(WorkerError, match="Invalid worker response"):
        connect(future=Future(text))[0].call("box", FACTS, {}, 9.0)


def test_a_lost_worker_and_a_cancelled_task_are_errors(connect):
    with pytest.raises(WorkerError, match="'box' was lost: killed"):
        connect(future=Future(error=RuntimeError("killed")))[0].call("box", FACTS, {}, 9.0)
    with pytest.raises(WorkerError, match="'box' was lost: cancelled"):
        connect(future=Future(cancelled=True))[0].call("box", FACTS, {}, 9.0)


def test_a_worker_that_does_not_answer_is_waited_for_until_its_deadline_and_some_patience(connect):
    cluster, client, clock = connect(future=Future(looks=10**9))
    with pytest.raises(WorkerError, match="no answer from the worker that offers 'box' within 29 s"):
        cluster.call("box", FACTS, {}, 9.0)
    assert 9.0 + dask.PATIENCE_S < clock.now < 9.0 + dask.PATIENCE_S + 0.2 and client.future.ended


def test_a_campaign_that_is_stopped_waits_no_longer(connect):
    cluster, _, clock = connect(future=Future(looks=10**9))
    cluster.stop()
    with pytest.raises(WorkerError, match="the campaign was stopped"):
        cluster.call("box", FACTS, {}, 9.0)
    assert clock.now < 1.0
    cluster.close()
    assert cluster._client.closed


def test_a_device_that_nobody_offers_is_named_with_those_that_are_and_with_what_to_do(connect):
    cluster, _, clock = connect()
    with pytest.raises(
        DeviceError, match=r"offers device 'other'; offered: box\. On its host: hwsearch cluster worker"
    ):
        cluster.call("other", FACTS, {}, 9.0)
    assert dask.PATIENCE_S < clock.now < dask.PATIENCE_S + 0.5
    with pytest.raises(DeviceError, match="offered: none"):
        connect(())[0].call("box", FACTS, {}, 9.0)


def test_the_runtime_of_another_host_tells_its_facts_and_does_nothing_here(connect):
    runtime = connect(future=Future(json.dumps({"facts": {"cpu": "x"}})))[0].runtime(Device("box"))
    assert runtime.form == "onnx" and runtime.facts() == {"cpu": "x"}
    for refused in (runtime.load, runtime.verify):
        with pytest.raises(DeviceError, match="'box' is another host's"):
            refused(Workload((), "a", {}))
