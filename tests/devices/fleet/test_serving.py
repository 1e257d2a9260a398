"""What a host offers to others, as far as it needs no network."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("distributed")

from hwsearch.devices import Device
from hwsearch.devices.fleet import isolation
from hwsearch.devices.fleet.jobs import device_job
from hwsearch.devices.fleet.serving import cluster, resources, run_serialised_job, serve_scheduler, serve_worker
from hwsearch.errors import DeviceError, ProviderError


def test_a_typed_error_is_a_response_as_well(monkeypatch):
    asked = []

    def fail(job, files, deadline_s, *, module):
        asked.append((job["do"], dict(files), deadline_s, module))
        raise ProviderError("no such provider.", hint="Use another.")

    monkeypatch.setattr(isolation, "run_job", fail)
    text = run_serialised_job(json.dumps(device_job("facts", "onnx", Device("box"))), {"m": b"1"}, 5.0)
    assert json.loads(text) == {"error": "ProviderError", "message": "no such provider.", "hint": "Use another."}
    assert asked == [("facts", {"m": b"1"}, 5.0, isolation.MODULE)]
    monkeypatch.setattr(isolation, "run_job", lambda *_, module: {"facts": {"module": module}})
    torch = run_serialised_job(json.dumps(device_job("facts", "torch", Device("box"))), {}, 5.0)
    assert json.loads(torch)["facts"]["module"] == "hwsearch.devices.fleet.torch_worker"


def test_what_cannot_be_served_is_refused_before_anything_is_opened(tmp_path):
    for address in ("tls://x", "tls://:1", "x", "tls://x:port"):
        with pytest.raises(DeviceError, match="not an address for a scheduler"):
            serve_scheduler(address, None)
    with pytest.raises(DeviceError, match="not encrypted"):
        serve_scheduler("tcp://10.0.0.1:8786", None, insecure=True)
    with pytest.raises(DeviceError, match="at least one device"):
        serve_worker("tls://x:8786", [], None)
    for offered in ({"devices": ["box"]}, {"devices": [], "training": True}):
        with pytest.raises(DeviceError, match="needs certificates"):
            serve_worker("tls://x:8786", certificates=None, **offered)


def test_actions_of_the_verb(tmp_path):
    assert {f.name for f in cluster("certs", str(tmp_path / "c"))} >= {"ca.pem", "host.pem", "host-key.pem"}
    with pytest.raises(DeviceError, match="unknown action 'dance'"):
        cluster("dance", "x")
    assert resources(["a", "b"]) == {"device:a": 1.0, "device:b": 1.0}
    assert resources([], training=True) == {"training": 1.0}
    with pytest.raises(DeviceError, match="needs certificates"):  # training alone is enough to offer
        cluster("worker", "tls://x:8786", training=True)
