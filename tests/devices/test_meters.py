from __future__ import annotations

import mmap
import sys

import numpy as np
import pytest

from hwsearch.devices import meters
from hwsearch.devices.meters import Nvml, Rapl, energy, footprint, host_meter, host_meters, peak_memory


def zone(root, name, kind, energy_uj, top=1_000_000):
    folder = root / name
    folder.mkdir(parents=True)
    for file, text in (("name", kind), ("energy_uj", energy_uj), ("max_energy_range_uj", top)):
        (folder / file).write_text(f"{text}\n")
    return folder


# ---------------------------------------------------------------------- memory
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
@pytest.mark.parametrize("keep", [True, False])
def test_peak_memory_of_pages_that_are_known(keep):
    """64 MiB of fresh pages, touched; given back before the end or not: the peak is the same."""
    kept = []

    def action():
        pages = mmap.mmap(-1, 64 << 20)
        for place in range(0, 64 << 20, mmap.PAGESIZE):
            pages[place] = 1
        kept.append(pages)
        if not keep:
            kept.pop().close()

    assert peak_memory(action) == pytest.approx(64, abs=4)
    assert len(kept) == keep


def statuses(proc, *readings):
    """A fake /proc/self whose status is the next reading (resident, most so far; KiB) at each look."""
    proc.mkdir(exist_ok=True)
    left = list(readings)

    def advance():
        now, most = left.pop(0)
        (proc / "status").write_text(f"Name:\tx\nVmHWM:\t{most} kB\nVmRSS:\t{now} kB\nThreads:\t1\n")

    advance()
    return advance


@pytest.mark.parametrize(
    ("before", "after", "mib"),
    [
        ((1024, 1024), (2048, 5120), 4.0),  # the mark was reset and has risen
        ((1024, 9216), (3072, 9216), 2.0),  # it could not be reset and did not rise: what is resident counts
        ((1024, 3072), (2048, 6144), 5.0),  # it could not be reset and rose all the same
        ((4096, 4096), (1024, 4096), 0.0),
    ],
)
def test_peak_memory_from_the_marks(tmp_path, before, after, mib):
    advance = statuses(tmp_path / "proc", before, after)
    assert peak_memory(advance, proc=tmp_path / "proc") == mib
    assert (tmp_path / "proc" / "clear_refs").read_text() == "5"


def test_peak_memory_where_there_is_no_proc(tmp_path):
    kept = []
    found = peak_memory(lambda: kept.append(np.ones(8 << 20)), proc=tmp_path / "none")
    assert found == pytest.approx(64, abs=8)


# ---------------------------------------------------------------------- energy
def test_packages_are_summed_and_nothing_is_counted_twice(tmp_path):
    one = zone(tmp_path, "intel-rapl:0", "package-0", 100)
    two = zone(tmp_path, "intel-rapl:1", "package-1", 999_000)
    zone(tmp_path, "intel-rapl:2", "psys", 5)
    zone(tmp_path, "intel-rapl:0:0", "core", 7)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 100)
    (tmp_path / "intel-rapl").mkdir()
    rapl = Rapl(tmp_path)
    before = rapl.read()
    assert len(rapl) == 2 and before == [100, 999_000]
    (one / "energy_uj").write_text("2100")
    (two / "energy_uj").write_text("500")  # it began again at 1,000,000
    assert rapl.used_mj(before, rapl.read()) == (2000 + 1500) / 1e3


def test_machines_without_counters(tmp_path):
    assert host_meter(tmp_path / "none") is None
    zone(tmp_path, "dtpm:0", "package-0", 1)
    assert host_meter(tmp_path) is None
    assert host_meters(root=tmp_path)["energy_mj"].startswith("not here: no energy counters")
    zone(tmp_path, "intel-rapl:0", "package-0", 1)
    assert host_meters(root=tmp_path)["energy_mj"] == "RAPL, 1 package"


def test_counters_that_only_root_may_read(tmp_path, monkeypatch):
    zone(tmp_path, "intel-rapl:0", "package-0", 1)

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Rapl, "read", refuse)
    assert host_meter(tmp_path) is None
    assert "only root" in host_meters(root=tmp_path)["energy_mj"]


class Counter:
    """A machine that draws 5 W, on a clock of its own, and a run that takes 2 ms."""

    def __init__(self, watts=(5.0,)):
        self.now, self.mj, self.watts, self.runs = 0.0, 0.0, list(watts), 0

    def monotonic(self):
        return self.now

    def run(self, runs):
        self.runs += runs
        self.now += 0.002 * runs
        self.mj += 2 * runs * self.watts[0]

    def read(self):
        return [round(self.mj)]

    def used_mj(self, before, after):
        if len(self.watts) > 1:
            self.watts.pop(0)
        return float(after[0] - before[0])


def test_energy_of_a_run_is_power_times_time(monkeypatch):
    machine = Counter()
    monkeypatch.setattr(meters, "time", machine)
    assert energy(machine.run, machine) == (10.0, 0.0)  # 5 W for 2 ms
    assert machine.runs * 0.002 >= meters.WINDOWS * meters.WINDOW_S


def test_energy_has_the_median_of_its_windows_and_their_spread(monkeypatch):
    machine = Counter(watts=(5.0, 50.0, 6.0))
    monkeypatch.setattr(meters, "time", machine)
    assert energy(machine.run, machine) == (12.0, 45.0)


def test_a_counter_that_stands_still_is_no_meter(monkeypatch):
    machine = Counter(watts=(0.0,))
    monkeypatch.setattr(meters, "time", machine)
    with pytest.raises(OSError, match="does not move"):
        energy(machine.run, machine)


class Session:
    closed = False

    def time(self, runs):
        return [1.0] * runs

    def close(self):
        self.closed = True


def test_footprint_leaves_out_what_cannot_be_metered(monkeypatch):
    monkeypatch.setattr(meters, "WINDOW_S", 0.0)
    session = Session()
    assert set(footprint(lambda: session, None)) == {"peak_memory_mib"} and session.closed
    broken = Counter()
    monkeypatch.setattr(broken, "read", lambda: (_ for _ in ()).throw(OSError("gone")))
    assert set(footprint(lambda: Session(), broken)) == {"peak_memory_mib"}


def test_footprint_closes_what_it_loaded_when_runs_fail():
    session = Session()
    session.time = lambda runs: 1 / 0
    with pytest.raises(ZeroDivisionError):
        footprint(lambda: session, None)
    assert session.closed


def test_a_gpu_s_counter(fake_nvml):
    nvml = fake_nvml()
    meter = Nvml(nvml, "handle")
    assert meter.used_mj(meter.read(), meter.read()) == 30.0
    with pytest.raises(OSError, match="Not Supported"):
        Nvml(fake_nvml(("nvmlDeviceGetTotalEnergyConsumption",)), "handle")
