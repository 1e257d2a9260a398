"""A device made from a latency table: its latencies with noise, drift and spikes of a given size.

For tests, demonstrations and work at scale. What it gives is no measurement of any hardware: its facts hold
``simulated = true`` and the table it stands on.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
from typing_extensions import override

import latency_tables
from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray
from hwsearch.devices.device import Device
from hwsearch.devices.runtimes.base import Form, Runtime, Session, Workload
from hwsearch.devices.runtimes.interpolation import TableInterpolator, row_key
from hwsearch.devices.runtimes.replayed_host import ReplayedHost
from hwsearch.devices.table_errors import translated_table_errors
from hwsearch.errors import DeviceError, MeasurementError, nearest

#: what `device.options` may hold, with defaults
DEFAULTS: dict[str, bool | int | float | str] = {
    "table": "",
    "interpolate": True,
    "noise": 0.0,
    "drift": 0.0,
    "drift_period_s": 60.0,
    "spikes": 0.0,
    "host": "",
    "wait": False,
    "seed": 0,
}


#: a table with fewer rows is not interpolated
FEWEST = 10


#: runs whose noise is drawn at once
BLOCK = 256


class SimulatedRuntime(Runtime):
    """Runtime ``simulated``: latencies of a table.

    The device's clock is the sum of all latencies it has given, so drift reaches all its sessions alike.

    Parameters
    ----------
    now : callable
        Seconds on a clock that goes on between processes; another in tests.
    device : Device
        Options: ``table``: ``DEVICE/TABLE`` of the shipped ones, or the path of one, ``FOLDER/DEVICE/TABLE``.
        ``interpolate``: fit what the table lacks (ridge on one-hot genes), else it is an error. ``noise``: standard deviation
        of the logarithm of one run. ``drift``, ``drift_period_s``: the device gets slower and faster by that share, as a sine
        over its own clock. ``host``: ``quiet``, ``wandering``, ``hostile`` or the path of a trace that ``hwsearch doctor
        --record`` wrote: the device stands on a host with that speed along real time, on which each process finds each model
        better or worse (`ReplayedHost`). ``spikes``: share of runs that take 2 times as long or more. ``wait``: `time` lasts as long as it
        says; otherwise no time passes. ``seed``: of noise and spikes; they depend on it, on the architecture and on the
        number of this run of it.

    Raises
    ------
    DeviceError
        For an unknown option, and for a table that cannot be used.
    """

    form: ClassVar[Form] = "genes"

    def __init__(self, device: Device, *, now: Callable[[], float] = time.time) -> None:
        self.device = device
        self.options = _options(device)
        self.host = ReplayedHost(str(self.options["host"]), int(self.options["seed"])) if self.options["host"] else None
        self._now = now
        self._began = now()
        self._folder, self._name, self._table = _place(device, str(self.options["table"]))
        with translated_table_errors(DeviceError, f"device {device.name!r} stands on a table that cannot be used: "):
            self._facts = latency_tables.table_facts(self._name, self._table, self._folder)
            self._about = latency_tables.show(self._name, self._folder)
            self._space = latency_tables.load_space(self._facts["space"], self._folder)
            frame = latency_tables.load(self._name, self._table, self._folder)
        batch = self._about.get("batch", 1)
        if device.batch not in (1, batch):
            raise DeviceError(
                f"device {device.name!r} asks for batch {device.batch}, its table is of batch {batch}.",
                hint="Leave batch out, or take another table.",
            )
        if not self._space.identifies:
            raise DeviceError(
                f"device {device.name!r}: rows of space {self._space.name!r} do not say which network they are of.",
                hint="Take a table of architectures.",
            )
        genes = frame[self._space.names]
        self._known = dict(
            zip(map(row_key, genes.itertuples(index=False)), frame["latency_ms"].astype(float), strict=True)
        )
        self._fit: TableInterpolator | None = None
        if self.options["interpolate"] and len(frame) >= FEWEST:
            content = (str(self._facts["sha256"]), self._facts.get("architectures_sha256"))
            if content not in _FITS:
                _FITS[content] = TableInterpolator(genes, frame["latency_ms"].to_numpy(dtype=float))
            self._fit = _FITS[content]
        self.clock_s = 0.0
        self._runs: dict[str, int] = {}

    @override
    def facts(self) -> JsonObject:
        return {
            "runtime": "simulated",
            "simulated": True,
            "batch": self._about.get("batch", 1),
            "hardware": f"simulated: {self._about['hardware']}",
            "table": f"{self._name}/{self._table}",
            "table_sha256": self._facts["sha256"],
            "architectures_sha256": self._facts.get("architectures_sha256"),
            "table_rows": len(self._known),
            "table_measured": self._facts["measured"],
            "table_source": self._facts["source"],
            "interpolator": self._fit.facts() if self._fit else None,
            "options": {k: v for k, v in self.options.items() if k != "table"},
        }

    def latency(self, genes: Mapping[str, int | float | str]) -> tuple[float, bool]:
        """Look up or interpolate the latency of an architecture.

        Parameters
        ----------
        genes : mapping of str to value
            The architecture.

        Returns
        -------
        ms : float
            Without noise.
        interpolated : bool
            Whether it is a fit and not a row of the table.

        Raises
        ------
        DeviceError
            For genes of another space.
        MeasurementError
            For what is not in the table and may not be interpolated.
        """
        what = f"device {self.device.name!r} stands on table {self._name}/{self._table}, which is of another space"
        hint = "Take a table of this supernet's space; 'hwsearch tables list' shows them."
        with translated_table_errors(DeviceError, f"{what} than the supernet: ", hint=hint):
            row = self._space.genes_of(genes)
        if row in self._known:
            return self._known[row], False
        if self._fit is None:
            why = "interpolate is off" if not self.options["interpolate"] else f"it has fewer than {FEWEST} rows"
            raise MeasurementError(
                f"device {self.device.name!r}: table {self._name}/{self._table} has no such architecture, and {why}.",
                hint="Search among the table's architectures, or set interpolate = true.",
            )
        return self._fit(row), True

    @override
    def load(self, workload: Workload) -> SimulatedSession:
        ms, interpolated = self.latency(workload.genes)
        return SimulatedSession(self, workload.arch_id or repr(sorted(workload.genes.items())), ms, interpolated)

    @override
    def verify(self, workload: Workload) -> dict[str, int]:
        self.latency(workload.genes)
        return {"simulated": 1}

    def next_runs(self, arch: str, runs: int) -> int:
        """Return the number of an architecture's next run, and count that many.

        Parameters
        ----------
        arch : str
            Which architecture.
        runs : int
            How many are made now.

        Returns
        -------
        int
            The number of the first of them on this device, from 0.
        """
        n = self._runs.get(arch, 0)
        self._runs[arch] = n + runs
        return n

    def drift(self, sensitivity: float = 1.0) -> float:
        """Return by how much the device is slower now.

        Parameters
        ----------
        sensitivity : float
            Exponent of the host's level: a host slows some models down more than others (`sensitivity`).

        Returns
        -------
        float
            Factor of the latency; 1 without drift.
        """
        size, period = float(self.options["drift"]), float(self.options["drift_period_s"])
        level = self.host.level(self.now()) ** sensitivity if self.host is not None else 1.0
        return level * (1 + size * math.sin(2 * math.pi * self.clock_s / period))

    def restart(self) -> None:
        """Be as in a fresh process that begins now."""
        self._began, self.clock_s = self._now(), 0.0
        self._runs.clear()

    def now(self) -> float:
        """Return the time on the host: real time, and on top the device's own where it does not wait.

        Returns
        -------
        float
            Seconds.
        """
        return self._now() + (0.0 if self.options["wait"] else self.clock_s)

    def sensitivity(self, arch: str) -> float:
        """Return how much a model slows down with the host.

        Parameters
        ----------
        arch : str
            Which architecture.

        Returns
        -------
        float
            Exponent of the host's level; 1 without a host.
        """
        return self.host.sensitivity(arch) if self.host is not None else 1.0

    def process_effect(self, arch: str) -> float:
        """Return by how much a model is slower in this process.

        Parameters
        ----------
        arch : str
            Which architecture.

        Returns
        -------
        float
            Factor of the latency; 1 without a host.
        """
        return self.host.effect(f"{self._began!r}", arch) if self.host is not None else 1.0


class SimulatedSession(Session):
    """One architecture on a simulated device.

    Parameters
    ----------
    runtime : SimulatedRuntime
        The device.
    arch : str
        Names the architecture; seeds its noise.
    ms : float
        Latency without noise.
    interpolated : bool
        Whether it is a fit and not a row of the table.
    """

    def __init__(self, runtime: SimulatedRuntime, arch: str, ms: float, interpolated: bool) -> None:
        self._runtime, self._arch = runtime, arch
        self._ms = ms * runtime.process_effect(arch)
        self._sensitivity = runtime.sensitivity(arch)
        self.interpolated = interpolated
        self._seed = int.from_bytes(hashlib.sha256(arch.encode()).digest()[:8], "big")
        self._block: tuple[int, FloatArray] = (-1, np.ones(0))

    @override
    def time(self, runs: int) -> list[float]:
        device = self._runtime
        first = device.next_runs(self._arch, runs)
        factors = self._factors(first, runs)
        if device.options["drift"]:
            times = []
            for factor in factors.tolist():  # the device's clock goes on with each
                times.append(self._ms * device.drift(self._sensitivity) * factor)
                device.clock_s += times[-1] / 1e3
        else:
            times = (self._ms * device.drift(self._sensitivity) * factors).tolist()
            device.clock_s += sum(times) / 1e3
        if device.options["wait"]:
            time.sleep(sum(times) / 1e3)
        return times

    def _factors(self, first: int, runs: int) -> FloatArray:
        """Noise and spikes (runs,) of the runs from that one on."""
        options = self._runtime.options
        if not options["noise"] and not options["spikes"]:
            return np.ones(runs)
        blocks = range(first // BLOCK, (first + runs - 1) // BLOCK + 1)
        drawn = np.concatenate([self._block_factors(b) for b in blocks])
        return drawn[first - blocks.start * BLOCK :][:runs]

    def _block_factors(self, block: int) -> FloatArray:
        """Noise and spikes (BLOCK,) of a block of runs, drawn at once."""
        if block != self._block[0]:
            options = self._runtime.options
            rng = np.random.default_rng([int(options["seed"]), self._seed, block])
            factors = np.exp(float(options["noise"]) * rng.standard_normal(BLOCK))
            spiked = rng.random(BLOCK) < float(options["spikes"])
            self._block = block, np.where(spiked, factors * (2 + rng.exponential(size=BLOCK)), factors)
        return self._block[1]

    @override
    def close(self) -> None:
        return None


#: of a process, by the digests of a table and its architectures; a fit takes seconds
_FITS: dict[tuple[str, str | None], TableInterpolator] = {}


def _options(device: Device) -> dict[str, bool | int | float | str]:
    for name, value in device.options.items():
        if name not in DEFAULTS:
            raise DeviceError(f"device {device.name!r} has an unknown option {name!r}.", hint=nearest(name, DEFAULTS))
        kind = type(DEFAULTS[name])
        if isinstance(value, bool) != (kind is bool) or not isinstance(value, (int, float) if kind is float else kind):
            raise DeviceError(f"device {device.name!r}: option {name} = {value!r} is not a {kind.__name__}.")
    options = {**DEFAULTS, **device.options}
    ranges = {"noise": (0, 2), "drift": (0, 0.95), "spikes": (0, 1), "seed": (0, 2**63), "drift_period_s": (1e-9, 1e12)}
    for name, (low, high) in ranges.items():
        if not low <= float(options[name]) <= high:
            raise DeviceError(
                f"device {device.name!r}: option {name} = {options[name]!r} is not in {low:g} to {high:g}."
            )
    return options


def _place(device: Device, table: str) -> tuple[Path | None, str, str]:
    """(folder, device, table) that an option ``table`` means; the folder is None for the shipped ones."""
    path = Path(table)
    if len(path.parts) < 2:
        raise DeviceError(
            f"device {device.name!r}: option table = {table!r} names no table.",
            hint="Give DEVICE/TABLE such as 'v100-b64/ofa-mobilenetv3', or FOLDER/DEVICE/TABLE.",
        )
    if len(path.parts) == 2 and not (path.parent / "device.toml").is_file():
        return None, path.parent.name, path.name
    return path.parent.parent, path.parent.name, path.name
