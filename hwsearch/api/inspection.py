"""Inspect this machine: which devices it offers, and how repeatable a latency is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import torch

import hwsearch
from hwsearch._files import overwriting
from hwsearch._json import JsonObject
from hwsearch.api.host_speed import host_speed, small_workload
from hwsearch.devices import (
    Device,
    Session,
    TimingProtocol,
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
from hwsearch.errors import HwsearchError, MeasurementError
from hwsearch.searchers import tactics
from hwsearch.supernets import catalogue

if TYPE_CHECKING:
    from hwsearch.api.opening import Source

#: numbers of processes, each in a period of its own, for which `doctor` tells the interval of a ratio
FINAL_ROUNDS = (1, 4, 8)


def devices(source: Source | None = None, *, trust: bool = False) -> list[JsonObject]:
    """List what can be a device here, or a campaign's devices.

    Parameters
    ----------
    source : Campaign or path, optional
        A campaign, whose devices are listed with their facts: as they were when they were last measured on, or as they say
        now where they have not been.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.

    Returns
    -------
    list of dict
        One row for each thing that a runtime offers (``runtime``, ``provider`` and what else it takes), or one with
        ``unavailable``: why it offers nothing.
    """
    if source is not None:
        from hwsearch.api.opening import read_campaign

        campaign = read_campaign(source, trust=trust)
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


def doctor(
    seconds: float = 0.0,
    record: Path | str | None = None,
    tick: Callable[[float], None] | None = None,
    *,
    force: bool = False,
) -> JsonObject:
    """Describe this machine: hardware, versions, providers, and how repeatable a latency is right now.

    The noise is measured by an A/A test: one small network entered as eight candidates must get eight equal latencies. With
    `seconds`, the host's speed is recorded along time as well, which says how far another campaign will find it.

    Parameters
    ----------
    seconds : float
        How long to record; 0 for not at all. From 75 on there is a verdict.
    record : path, optional
        A CSV file (``.csv`` or ``.csv.gz``) for the trace; needs `seconds`.
    tick : callable, optional
        Told the recorded seconds.
    force : bool
        Replace files that hwsearch did not write; links are never written through.

    Returns
    -------
    dict
        ``aa_spread_percent`` is (largest - smallest) / median of the corrected values, and beside it
        ``burst_spread_percent`` the same for one contiguous burst each; ``half_interval_percent`` is half the interval of a
        ratio after this one group, ``ratio_half_interval_percent`` what it becomes with the number of rounds; the rest are facts. With `seconds` also
        ``host_speed``.

    Raises
    ------
    DeviceError, MeasurementError
        If the small network cannot be timed, or the trace not be written.
    """
    if record is not None and not seconds:
        raise MeasurementError(
            "recording a trace needs a duration, got 0 s.", hint="Give seconds, such as --seconds 120."
        )
    runtime, workload = create_runtime(Device("doctor")), small_workload()
    nodes = runtime.verify(workload)
    started = time.monotonic()
    bursts = [float(np.median(runtime.load(workload).time(120))) for _ in range(8)]

    def load() -> Session:
        return runtime.load(workload)

    timings = measure_group([load] * 8, load, TimingProtocol(), np.random.default_rng(0))
    values = np.array([t.value for t in timings])
    spread = lambda v: 100 * float(np.ptp(v) / np.median(v))  # noqa: E731
    half = max(t.ratio_high / t.value - 1 for t in timings)
    found: JsonObject = {
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
        "ratio_half_interval_percent": {
            f"{n} round{'s' * (n > 1)}": round(100 * half / math.sqrt(n), 2) for n in FINAL_ROUNDS
        },
        "seconds": round(time.monotonic() - started, 1),
        "advice": _advice(spread(values)),
    }
    if seconds:
        with overwriting(force):
            found["host_speed"] = host_speed(seconds, record, tick, runtime.load(workload))
    return found


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
