"""Certificates, refused addresses, and a job on a Dask worker over mutual TLS."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict

import pytest
from onnx import TensorProto, helper

pytest.importorskip("distributed")

from hwsearch.devices import Device, TimingProtocol, Workload
from hwsearch.devices.fleet.certificates import make_certificates
from hwsearch.devices.fleet.dask import Cluster
from hwsearch.devices.fleet.jobs import pack_workload
from hwsearch.devices.fleet.responses import WorkerError
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
        lasting = TimingProtocol(visits=10**6, budget_s=60.0).model_dump(mode="json")
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
