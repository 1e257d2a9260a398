"""Inspect this machine: which devices it offers, and how repeatable a latency is."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import onnxruntime
import torch

import hwsearch
from hwsearch._json import JsonObject
from hwsearch.devices import (
    Device,
    Session,
    TimingProtocol,
    Workload,
    create_runtime,
    fingerprint,
    host_facts,
    load_average,
    measure_group,
    runtime_names,
    versions,
)
from hwsearch.devices.meters import host_meters
from hwsearch.devices.runtimes.catalogue import runtime_class
from hwsearch.errors import HwsearchError
from hwsearch.exporters import lower
from hwsearch.searchers import tactics
from hwsearch.supernets import catalogue


def devices(source: Any = None) -> list[JsonObject]:
    """List what can be a device here, or a campaign's devices.

    Parameters
    ----------
    source : Campaign or path, optional
        A campaign, whose devices are listed with their facts.

    Returns
    -------
    list of dict
        One row for each thing that a runtime offers (``runtime``, ``provider`` and what else it takes), or one with
        ``unavailable``: why it offers nothing.
    """
    if source is not None:
        from hwsearch.api.campaign import open_campaign

        campaign = open_campaign(source)
        return [{"name": t.name, "fingerprint": t.fingerprint, **t.facts} for t in campaign.targets.values()]
    return [row for name in runtime_names() for row in _offers(name)]


def _offers(name: str) -> list[JsonObject]:
    """List what a runtime offers here. One without a classmethod ``offers`` is listed by its name alone."""
    try:
        offers = getattr(runtime_class(Device(name, name)), "offers", None)
        rows = [{}] if offers is None else offers()
    except (HwsearchError, ImportError, OSError) as error:
        return [{"runtime": name, "unavailable": " ".join(str(error).split())}]
    return [{"runtime": name, **row} for row in rows]


def doctor() -> JsonObject:
    """Describe this machine: hardware, versions, providers, and how repeatable a latency is right now.

    The noise is measured by an A/A test: one small network entered as eight candidates must get eight equal latencies.

    Returns
    -------
    dict
        ``aa_spread_percent`` is (largest - smallest) / median of the corrected values, and beside it
        ``burst_spread_percent`` the same for one contiguous burst each; the rest are facts.

    Raises
    ------
    DeviceError, MeasurementError
        If the small network cannot be timed.
    """
    device = Device("doctor")
    runtime = create_runtime(device)
    entry = catalogue.entry("cifar10-mbv3")
    net = entry.build().eval()
    arch = net.space.sample_balanced(3, np.random.default_rng(0), net.macs_array)[2]
    model = bytes(lower(net.subnet(arch), net.input_shape(arch)).SerializeToString())
    workload = Workload.of(model, net.input_shape(arch))
    nodes = runtime.verify(workload)
    started = time.monotonic()
    bursts = [float(np.median(runtime.load(workload).time(120))) for _ in range(8)]

    def load() -> Session:
        return runtime.load(workload)

    timings = measure_group([load] * 8, load, TimingProtocol(), np.random.default_rng(0))
    values = np.array([t.value for t in timings])
    spread = lambda v: 100 * float(np.ptp(v) / np.median(v))  # noqa: E731
    half = max(t.half_width() for t in timings)
    return {
        "hwsearch": hwsearch.__version__,
        "host": host_facts(),
        "load_average": load_average(),
        "versions": versions(
            "torch", "onnxruntime", "numpy", "pymoo", "optuna", "scikit-learn", "xgboost-cpu", "xgboost"
        ),
        "cuda": bool(torch.cuda.is_available()),
        "providers": onnxruntime.get_available_providers(),
        "runtimes": {name: _availability(name) for name in runtime_names()},
        "meters": host_meters(),
        "tactics": tactics(),
        "supernets": catalogue.names(),
        "device_fingerprint": fingerprint(runtime.facts()),
        "provider_check": nodes,
        "latency_ms": round(float(np.median(values)), 4),
        "aa_spread_percent": round(spread(values), 2),
        "burst_spread_percent": round(spread(np.array(bursts)), 2),
        "half_interval_percent": round(100 * half, 2),
        "seconds": round(time.monotonic() - started, 1),
        "advice": _advice(spread(values)),
    }


def _availability(name: str) -> str:
    """Say what a runtime offers here in one line, or why it offers nothing."""
    rows = _offers(name)
    told = [str(row.get("hardware") or row.get("provider") or "") for row in rows]
    return str(rows[0].get("unavailable") or ", ".join(filter(None, told)) or "here")


def _advice(spread: float) -> str:
    if spread <= 2:
        return "Quiet: latencies repeat to 2 %."
    if spread <= 6:
        return "Some noise: expect latencies to repeat to a few percent; more loads narrow it ([protocol] loads)."
    return "Noisy: other processes share these cores. Stop them, or raise [protocol] loads and half_width."
