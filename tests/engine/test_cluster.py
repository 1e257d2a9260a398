"""Certificates, refused addresses, and a job on a Dask worker over mutual TLS."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time

import pytest

pytest.importorskip("distributed")

from hwsearch.devices import Device
from hwsearch.engine import cluster as c
from hwsearch.errors import DeviceError


def test_plain_tcp_and_missing_certificates_are_refused(tmp_path):
    for address, said in (
        ("tcp://10.0.0.1:8786", "not encrypted"),
        ("tcp://127.0.0.1:8786", "not encrypted"),
        ("http://x:1", "no address"),
        ("tls://x:1", "needs certificates"),
    ):
        with pytest.raises(DeviceError, match=said):
            c.security(address, None)
    with pytest.raises(DeviceError, match="not encrypted"):
        c.security("tcp://10.0.0.1:8786", None, insecure=True)
    with pytest.raises(DeviceError, match=r"no 'ca\.pem'"):
        c.security("tls://x:1", tmp_path)


def test_keys_are_private_and_are_not_overwritten(tmp_path):
    files = c.make_certificates(tmp_path / "certs")
    assert all(f.stat().st_mode & 0o077 == 0 for f in files if "key" in f.name)
    with pytest.raises(DeviceError, match="holds 'ca.pem' already"):
        c.make_certificates(tmp_path / "certs")


def test_facts_come_from_a_worker_over_tls(tmp_path):
    c.make_certificates(tmp_path / "certs")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        address = f"tls://127.0.0.1:{s.getsockname()[1]}"
    command = [sys.executable, "-m", "hwsearch.cli", "cluster"]
    tail = [address, "--certificates", str(tmp_path / "certs")]
    with contextlib.ExitStack() as stack:
        for action, more in (("scheduler", []), ("worker", ["--device", "box"])):
            process = subprocess.Popen([*command, action, *tail, *more], cwd=tmp_path, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.kill)
            time.sleep(0.2)
        cluster = c.Cluster(address, str(tmp_path / "certs"))
        stack.callback(cluster.close)
        runtime = cluster.runtime(Device("box"))
        assert runtime.facts()["runtime"] == "onnxruntime" and cluster.offered() == {"box"}
