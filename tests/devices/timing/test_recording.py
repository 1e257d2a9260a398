"""Recording a host: on a made-up clock and system, and traces in files."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import pytest

from hwsearch.devices.runtimes.base import Session
from hwsearch.devices.timing.recording import record_host, trace_level
from hwsearch.devices.traces import Moment, read_trace, write_trace
from hwsearch.errors import DeviceError, MeasurementError


class Host(Session):
    """A clock that the runs and the sleeps move, and Linux's files beside it; slower from the tenth second on."""

    def __init__(self, proc: Path) -> None:
        self.now, self.proc = 100.0, proc
        (proc / "pressure").mkdir(parents=True)
        self.write()

    def write(self) -> None:
        ticks, stolen = 1000 + 200 * self.now, 20 * self.now  # two cores; a tenth of their time is stolen
        (self.proc / "stat").write_text(f"cpu  {ticks - stolen:.0f} 0 0 0 0 0 0 {stolen:.0f} 0 0\ncpu0 1 1\n")
        waited = 250_000 * self.now
        (self.proc / "pressure" / "cpu").write_text(f"some avg10=0.00 total={waited:.0f}\nfull avg10=0 total=0\n")

    def time(self, runs: int) -> list[float]:
        ms = 2.0 if self.now < 110 else 3.0
        self.now += runs * ms / 1e3
        self.write()
        return [ms] * runs

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def close(self) -> None:
        return None


def test_a_recording_tells_speed_steal_and_waiting(tmp_path: Path) -> None:
    host = Host(tmp_path)
    done: list[float] = []
    trace = record_host(host, 20.0, tick=done.append, clock=host.clock, sleep=host.sleep, proc=tmp_path)
    assert 38 <= len(trace) <= 41 and [m.seconds for m in trace] == sorted(m.seconds for m in trace)
    assert {m.latency_ms for m in trace if m.seconds < 9} == {2.0}
    assert {m.latency_ms for m in trace if m.seconds > 10.5} == {3.0}
    assert all(m.steal_percent == pytest.approx(10, abs=1) for m in trace[1:])
    assert all(m.waiting_percent == pytest.approx(25, abs=3) for m in trace[1:])
    assert done == sorted(done) and done[-1] <= 20


def test_a_system_that_says_nothing_is_recorded_all_the_same(tmp_path: Path) -> None:
    host = Host(tmp_path / "some")
    trace = record_host(host, 3.0, clock=host.clock, sleep=host.sleep, proc=tmp_path / "none")
    assert trace and all(math.isnan(m.steal_percent) and math.isnan(m.waiting_percent) for m in trace)


def test_the_verdict_goes_by_periods(tmp_path: Path) -> None:
    """A second of disturbance in 15 is no period; one that lasts is."""
    steady = [Moment(0.5 * i, 2.0 + (0.8 if i % 30 == 0 else 0.001 * (i % 3))) for i in range(240)]
    assert trace_level(steady).verdict == "quiet" and trace_level(steady).periods == 8
    wandering = [m._replace(latency_ms=m.latency_ms * (1.1 if m.seconds // 15 % 2 else 1.0)) for m in steady]
    assert trace_level(wandering).verdict == "wandering"
    assert trace_level(wandering).half_width > 10 * trace_level(steady).half_width
    assert trace_level(steady[:20]).verdict == "unknown"


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf])
def test_a_time_that_is_none_is_told(tmp_path: Path, seconds: float) -> None:
    host = Host(tmp_path)
    with pytest.raises(MeasurementError, match="cannot last"):
        record_host(host, seconds, clock=host.clock, sleep=host.sleep)


@pytest.mark.parametrize("name", ["trace.csv", "trace.csv.gz"])
def test_a_trace_in_a_file_is_the_same(tmp_path: Path, name: str) -> None:
    trace = [Moment(0.0, 1.25, 0.5, 3.0), Moment(0.5, 1.5, 0.0, 0.0)]
    path = write_trace(trace, tmp_path / "deep" / name)
    assert read_trace(path) == trace
    first = path.read_bytes()
    assert write_trace(trace, path).read_bytes() == first
    silent = write_trace([Moment(0.0, 1.0)], tmp_path / name)
    assert math.isnan(read_trace(silent)[0].steal_percent)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not a trace of a host"),
        (b"a,b\n1,2\n", "is not a trace of a host"),
        (b"seconds,latency_ms,steal_percent,waiting_percent\n0,1,,\n0.5,fast,,\n", "line 3 of"),
        (b"seconds,latency_ms,steal_percent,waiting_percent\n0,-1,,\n", "line 2 of"),
        (b"seconds,latency_ms,steal_percent,waiting_percent\n0\n", "line 2 of"),
        (b"seconds,latency_ms,steal_percent,waiting_percent\n0,1,,,,,\n", "line 2 of"),
        (b"seconds\x80", "cannot be read"),
    ],
)
def test_a_file_that_is_no_trace_is_told(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DeviceError, match=words):
        read_trace(tmp_path / "t.csv")


def test_missing_and_damaged_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="cannot be read"):
        read_trace(tmp_path / "none.csv")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"seconds")[:10])
    with pytest.raises(DeviceError, match="cannot be read"):
        read_trace(tmp_path / "cut.csv.gz")
    whole = gzip.compress(b"seconds,latency_ms\n" * 50)
    (tmp_path / "cut.csv.gz").write_bytes(whole[:12] + bytes(8) + whole[20:])
    with pytest.raises(DeviceError, match="cannot be read"):
        read_trace(tmp_path / "cut.csv.gz")
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match="cannot be written"):
        write_trace([Moment(0.0, 1.0)], tmp_path / "file" / "t.csv")
