from __future__ import annotations

import gc

import pytest

from hwsearch.devices import Chain, HostClock, Workload
from hwsearch.devices.runtimes.base import raise_closed
from hwsearch.errors import MeasurementError
from hwsearch.tasks.inputs import Input


class Steps(HostClock):
    def __init__(self, name, log):
        self.name, self.log = name, log

    def run(self):
        self.log.append((self.name, gc.isenabled()))

    def close(self):
        self.log.append((self.name, "closed"))


def test_every_run_is_timed_without_the_garbage_collector():
    log = []
    times = Steps("a", log).time(3)
    assert len(times) == 3 and all(t >= 0 for t in times)
    assert log == [("a", False)] * 3 and gc.isenabled()


def test_the_garbage_collector_comes_back_after_an_error_and_stays_off_where_it_was():
    class Broken(HostClock):
        def run(self):
            raise MeasurementError("gone")

    with pytest.raises(MeasurementError):
        Broken().time(1)
    assert gc.isenabled()
    gc.disable()
    try:
        Steps("a", []).time(1)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_chain_runs_its_parts_in_order_each_its_number_of_times():
    log = []
    chain = Chain([(Steps("a", log), 1), (Steps("b", log), 2)])
    assert len(chain.time(2)) == 2
    assert [name for name, _ in log] == ["a", "b", "b"] * 2
    chain.close()
    assert log[-2:] == [("a", "closed"), ("b", "closed")]


class Meter:
    """A session whose time comes from elsewhere: a millisecond more with each run."""

    def __init__(self, first):
        self.next = first

    def time(self, runs):
        times = [self.next + i for i in range(runs)]
        self.next += runs
        return times

    def close(self):
        return None


def test_a_chain_sums_the_times_of_parts_that_have_a_clock_of_their_own():
    chain = Chain([(Meter(1.0), 1), (Meter(100.0), 2)])
    assert chain.time(2) == [1.0 + 100.0 + 101.0, 2.0 + 102.0 + 103.0]
    assert Chain([(Meter(5.0), 1)]).time(3) == [5.0, 6.0, 7.0]


def test_a_chain_does_not_time_by_this_hosts_clock_what_has_a_clock_of_its_own():
    class Own(Steps):
        def time(self, runs):
            return [1000.0] * runs

    (mixed,) = Chain([(Own("a", []), 1), (Steps("b", []), 1)]).time(1)
    assert mixed >= 1000.0


def test_a_model_alone_is_a_workload_of_one_part():
    work = Workload.of(b"model", [Input("x", (4,))])
    (part,) = work.parts
    assert (part.onnx, part.runs, part.module, work.arch_id) == (b"model", 1, None, "")
    assert part.inputs == (Input("x", (4,)),)


def test_a_closed_session_says_so():
    with pytest.raises(MeasurementError, match="closed"):
        raise_closed()
