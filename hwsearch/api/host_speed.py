"""The speed of this host along time, told before a campaign."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from hwsearch._json import JsonObject, finite_or_none
from hwsearch._typing import FloatArray
from hwsearch.devices import Device, Session, Workload, create_runtime
from hwsearch.devices.timing.level import percent
from hwsearch.devices.timing.recording import record_host, trace_level
from hwsearch.devices.traces import write_trace
from hwsearch.exporters import lower
from hwsearch.supernets import catalogue

#: what to do on a host of each kind
HOST_ADVICE = {
    "quiet": "Milliseconds hold: measure as usual.",
    "wandering": "Ratios and ranks hold, milliseconds move with the host. Measure longer, at several times of the day, or stop "
    "what runs beside; leave a margin below a limit in milliseconds.",
    "hostile": "The host changes its speed by more than a fifth. Compare subnets by ratios alone, or measure elsewhere.",
    "unknown": "Too short to tell: record for 75 s at least (--seconds 120).",
}


def small_workload() -> Workload:
    """Cut a small subnet out of the embedded supernet, to time on any host.

    Returns
    -------
    Workload
        An ONNX model for one image.
    """
    net = catalogue.entry("cifar10-mbv3").build().eval()
    arch = net.space.sample_balanced(3, np.random.default_rng(0), net.macs_array)[2]
    model = bytes(lower(net.subnet(arch), net.input_shape(arch)).SerializeToString())
    return Workload.of(model, net.input_shape(arch))


def host_speed(
    seconds: float,
    record: Path | str | None = None,
    tick: Callable[[float], None] | None = None,
    session: Session | None = None,
) -> JsonObject:
    """Record this host's speed along time by a small network, and say what a campaign here will know.

    Parameters
    ----------
    seconds : float
        How long; from 75 on there is a verdict.
    record : path, optional
        A CSV file (``.csv`` or ``.csv.gz``) for the trace.
    tick : callable, optional
        Told the recorded seconds.
    session : Session, optional
        A loaded network to time; by default the small one is made and loaded.

    Returns
    -------
    dict
        ``verdict`` (``quiet``, ``wandering``, ``hostile``, ``unknown``), ``spread_percent`` of the periods of 15 s, ``typical_ms``
        and ``undisturbed_ms`` of the network, the host's ``speeds`` with their shares of the time,
        ``another_campaign_percent`` by minutes of a campaign, what the system says (``steal_percent``,
        ``waiting_percent``), the ``trace`` and ``advice``.

    Raises
    ------
    DeviceError, MeasurementError
        If the small network cannot be timed, or the trace not be written.
    """
    session = session or create_runtime(Device("doctor")).load(small_workload())
    trace = record_host(session, seconds, tick=tick)
    if record is not None:
        write_trace(trace, Path(record))
    level = trace_level(trace)
    steal = np.array([m.steal_percent for m in trace])
    waiting = np.array([m.waiting_percent for m in trace])
    known = level.verdict != "unknown"
    return {
        "verdict": level.verdict,
        "seconds": round(level.seconds, 1),
        "spread_percent": percent(level.spread),
        "typical_ms": round(level.typical_ms, 4),
        "speeds": [{"ms": round(s.reference_ms, 4), "share": round(s.share, 3)} for s in level.speeds],
        "undisturbed_ms": finite_or_none(level.undisturbed_ms, 4),
        "another_campaign_percent": {f"{m} min": percent(level.after(60 * m)) if known else None for m in (5, 15, 60)},
        "steal_percent": _mean(steal),
        "waiting_percent": _mean(waiting),
        "trace": str(record) if record is not None else None,
        "advice": HOST_ADVICE[level.verdict],
    }


def _mean(values: FloatArray) -> float | None:
    """Return the mean of the values that are known; None where none is."""
    known = values[np.isfinite(values)]
    return finite_or_none(float(known.mean()), 2) if len(known) else None
