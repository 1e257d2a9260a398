"""Looking around: what this machine offers, how noisy it is, which supernets there are."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

import hwsearch
from hwsearch.devices import (
    Device,
    Protocol,
    create_runtime,
    fingerprint,
    host_facts,
    load_average,
    measure_group,
    runtime_names,
    versions,
)
from hwsearch.devices.host import usable_cores
from hwsearch.errors import CheckpointError, SupernetError
from hwsearch.export import lower
from hwsearch.search import tactics
from hwsearch.supernets import catalogue
from hwsearch.supernets.checkpoint import read_state


def supernets(name: str | None = None) -> list[dict[str, Any]] | dict[str, Any]:
    """The catalogue: one line a supernet, or the whole card of one."""
    if name is not None:
        return catalogue.entry(name).full_card()
    rows = []
    for known in catalogue.names():
        card = catalogue.entry(known).full_card()
        rows.append({k: card[k] for k in ("name", "summary", "subnets", "macs_smallest", "macs_largest", "weights")})
    return rows


def check_file(path: Path | str) -> dict[str, Any]:
    """What a weight file is: how many tensors and weights, and which supernet of the catalogue it fits."""
    path = Path(path)
    state = read_state(path)
    fits, reasons = [], {}
    for name in catalogue.names():
        try:
            catalogue.entry(name).load(path)
            fits.append(name)
        except (CheckpointError, SupernetError) as error:
            reasons[name] = str(error)
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "tensors": len(state),
        "weights": int(sum(v.numel() for v in state.values())),
        "fits": fits,
        "otherwise": reasons,
    }


def devices(source: Any = None) -> list[dict[str, Any]]:
    """What can be a device here; or, given a campaign, its devices with their facts."""
    if source is not None:
        from hwsearch.api import open_campaign

        campaign = open_campaign(source)
        return [{"name": t.name, "fingerprint": t.fingerprint, **t.facts} for t in campaign.targets.values()]
    return [
        {
            "runtime": "onnxruntime",
            "provider": provider,
            "threads": f"1 to {usable_cores()}" if provider == "CPUExecutionProvider" else "1",
        }
        for provider in onnxruntime.get_available_providers()
    ]


def doctor() -> dict[str, Any]:
    """This machine in facts: hardware, versions, providers, and how repeatable a latency is right now.

    The noise is measured by an A/A test: one small network entered as eight candidates must get eight equal
    latencies. ``aa_spread_percent`` is (largest − smallest) / median of the corrected values, and beside it
    ``burst_spread_percent`` the same for one contiguous burst each.
    """
    device = Device("doctor")
    runtime = create_runtime(device)
    entry = catalogue.entry("cifar10-mbv3")
    net = entry.build().eval()
    arch = net.space.sample_balanced(3, np.random.default_rng(0), net.macs_array)[2]
    model = bytes(lower(net.subnet(arch), net.input_shape(arch)).SerializeToString())
    shape = net.input_shape(arch)
    nodes = runtime.verify(model, shape)
    sessions = [runtime.load(model, shape) for _ in range(9)]
    started = time.monotonic()
    bursts = []
    for session in sessions[:8]:
        times = []
        for _ in range(120):
            t = time.perf_counter()
            session.run()
            times.append(time.perf_counter() - t)
        bursts.append(float(np.median(times)) * 1e3)
    timings = measure_group(sessions[:8], sessions[8], Protocol(visits=(24, 24)), np.random.default_rng(0))
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
        "runtimes": runtime_names(),
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


def _advice(spread: float) -> str:
    if spread <= 2:
        return "Quiet: latencies repeat to 2 %."
    if spread <= 6:
        return "Some noise: expect latencies to repeat to a few percent; more visits narrow it ([protocol] visits)."
    return "Noisy: other processes share these cores. Stop them, or raise [protocol] visits and half_width."
