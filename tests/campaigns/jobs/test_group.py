"""A group's measuring processes: how many, of which subnets, with how much time. A stand-in executor plays the device."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hwsearch.campaigns.jobs import group
from hwsearch.campaigns.jobs.group import time_group
from hwsearch.campaigns.jobs.job import process_seconds
from hwsearch.devices import Timing
from hwsearch.devices.fleet.responses import WorkerError
from hwsearch.devices.timing.protocol import TimingProtocol
from hwsearch.errors import DeviceError
from hwsearch.store import Job

IDS = ["a", "b", "c"]


class Bench:
    """Runs a group on a clock of its own: each process takes `takes` seconds and leaves open what `open_after` says.

    open_after : by number of the process, places of the subnets that have not converged; all of them by default
    failing : places of subnets that fail in the first process
    """

    def __init__(self, monkeypatch, *, processes, deadline_s=1e6, takes=1.0, open_after=None, failing=()) -> None:
        self.now, self.takes, self.open_after, self.failing = 0.0, takes, open_after or {}, failing
        self.asked: list[dict] = []
        self.limits: list[float] = []
        self.moments: list[list[float]] = []
        self.told: list[float] = []
        self.deadline_s = deadline_s
        self.facts: dict = {}
        self.cpus = ["first"] * 9
        protocol = TimingProtocol(processes=processes, budget_s=10).model_dump(mode="json")
        payload = {"protocol": protocol, "deadline_s": None, "ids": IDS}
        self.job = Job(7, "k", "latency:w", "device", payload, deadline_s, 3, "leased", 1, None, None)
        spec = {
            "workloads": [{"arch_id": i, "parts": []} for i in IDS],
            "reference": {"arch_id": "r", "parts": []},
            "seed": [3, 7, 1],
            "metrics": ["energy_mj"],
        }
        monkeypatch.setattr(group, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(group, "job_spec", lambda *_: (spec, {}))
        monkeypatch.setattr(group, "combine", self.combine)
        monkeypatch.setattr(group, "not_converged", lambda timings, _: self.open_after.get(len(self.asked), range(3)))

    def combine(self, found, protocol, at):
        self.moments.append(list(at))
        return [Timing(failure="no" if i in self.failing else None) for i in range(len(IDS))]

    def run(self, part, files, limit, tick=None):
        k = len(self.asked)
        self.asked.append(part)
        self.limits.append(limit)
        if tick is not None:
            tick(0.5)
        self.now += self.takes
        rows = [{"arch_id": e["arch_id"], "sample": {"failure": "no"}} for e in part["workloads"]]
        start, end = f"2025-01-01T00:00:{10 * k:02}+00:00", f"2025-01-01T00:00:{10 * k + 4:02}+00:00"
        return {"rows": rows, "load": [k, k + 0.5], "started_at": start, "ended_at": end, "cpu": self.cpus[k]}

    def measure(self, tick=None):
        target = SimpleNamespace(name="board", executor=self, facts=self.facts)
        return time_group(None, target, self.job, IDS, [{}] * 3, tick)

    def subnets(self) -> list[str]:
        return ["".join(e["arch_id"] for e in part["workloads"]) for part in self.asked]


def test_the_fewest_processes_time_all_and_further_ones_what_has_not_converged(monkeypatch) -> None:
    bench = Bench(monkeypatch, processes=(2, 5), open_after={1: [], 2: [0, 2], 3: [2], 4: []})
    found = bench.measure()
    assert bench.subnets() == ["abc", "abc", "ac", "c"]
    assert [p["seed"] for p in bench.asked] == [[3, 7, 1, k] for k in range(4)]
    assert [p["metrics"] for p in bench.asked] == [["energy_mj"], [], [], []]
    assert (found.details["load_before"], found.details["load_after"]) == (0, 3.5)
    assert (found.details["group"], found.details["device"]) == (3, "board")
    assert (found.started_at[17:19], found.ended_at[17:19]) == ("00", "34")


def test_never_more_than_the_most_processes(monkeypatch) -> None:
    bench = Bench(monkeypatch, processes=(1, 3))
    bench.measure()
    assert bench.subnets() == ["abc"] * 3


def test_a_failure_is_not_measured_again(monkeypatch) -> None:
    bench = Bench(monkeypatch, processes=(2, 2), failing=[1])
    found = bench.measure()
    assert bench.subnets() == ["abc", "ac"]
    assert found.answers.keys() == set(IDS) and found.timings["b"].failure == "no"


def test_a_group_that_fails_as_a_whole_ends_at_once(monkeypatch) -> None:
    bench = Bench(monkeypatch, processes=(2, 4), failing=[0, 1, 2])
    bench.measure()
    assert len(bench.asked) == 1


def test_the_moment_of_a_process_is_its_middle(monkeypatch) -> None:
    bench = Bench(monkeypatch, processes=(2, 2))
    bench.measure()
    assert bench.moments[0] == [1735689602.0]  # 2025-01-01, two seconds past midnight
    assert bench.moments[1] == [1735689602.0, 1735689612.0]


@pytest.mark.parametrize("deadline_s, processes", [(12.7, 2), (12.81, 3), (16.79, 3), (16.81, 4), (100.0, 4)])
def test_a_further_process_needs_a_fifth_more_time_than_the_longest_took(monkeypatch, deadline_s, processes) -> None:
    bench = Bench(monkeypatch, processes=(2, 4), deadline_s=deadline_s, takes=4.0)
    bench.measure()  # after two processes of 4 s: 12.81 leaves 4.81, which is more than 1.2 * 4
    assert len(bench.asked) == processes


def test_the_time_of_a_job_over_before_its_fewest_processes_is_an_error(monkeypatch) -> None:
    bench = Bench(monkeypatch, processes=(3, 4), deadline_s=8.0, takes=4.0)
    with pytest.raises(WorkerError, match="2 of 3 measuring processes took 8 s"):
        bench.measure()


def test_a_process_gets_its_own_time_or_what_is_left_of_the_job(monkeypatch) -> None:
    own = process_seconds(TimingProtocol(budget_s=10), 3)
    bench = Bench(monkeypatch, processes=(2, 2), deadline_s=own + 3, takes=5.0)
    bench.measure()
    assert bench.limits == [own, own + 3 - 5]
    bench = Bench(monkeypatch, processes=(2, 2), deadline_s=1000.0, takes=5.0)
    bench.job.payload["deadline_s"] = 1000.0  # configured for the job: no limit of a process
    bench.measure()
    assert bench.limits == [1000.0, 995.0]


def test_progress_counts_the_fewest_processes_and_stays_at_one(monkeypatch) -> None:
    bench = Bench(monkeypatch, processes=(2, 3))
    bench.measure(bench.told.append)
    assert bench.told == [0.25, 0.75, 1.0]


@pytest.mark.parametrize(
    "facts", [{}, {"host": None}, {"host": {}}, {"host": {"cpu": None}}, {"host": {"cpu": "first"}}]
)
def test_a_device_whose_processor_is_not_known_or_the_same_is_measured(monkeypatch, facts) -> None:
    bench = Bench(monkeypatch, processes=(2, 2))
    bench.facts = facts
    assert len(bench.measure().timings) == 3


def test_a_virtual_machine_that_moved_to_another_processor_is_another_device(monkeypatch) -> None:
    bench = Bench(monkeypatch, processes=(3, 3))
    bench.facts, bench.cpus = {"host": {"cpu": "first"}}, ["first", "second", "second"]
    with pytest.raises(
        DeviceError, match="another processor now, 'second', than when the campaign was opened, 'first'"
    ):
        bench.measure()
    assert len(bench.asked) == 2
