"""Latency jobs of a campaign: crashes, poison, lost devices, further workers. A stand-in executor plays the device."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsearch.campaigns import Campaign
from hwsearch.campaigns.estimates import host_visits
from hwsearch.campaigns.host_speed import host_speed
from hwsearch.campaigns.jobs import batch, group
from hwsearch.campaigns.jobs.batch import LatencyBatch
from hwsearch.campaigns.jobs.group import time_group
from hwsearch.campaigns.jobs.job import halves, latency_job
from hwsearch.campaigns.jobs.latency import measure_latencies, measure_latency
from hwsearch.campaigns.jobs.worker import LatencyWorker
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.lookup import find_latency
from hwsearch.campaigns.purpose import SEARCH, VALIDATE, Purpose
from hwsearch.campaigns.steps.work import work
from hwsearch.devices.fleet.responses import WorkerError, validate_response
from hwsearch.devices.timing.level import host_level
from hwsearch.errors import DeviceError
from hwsearch.store import Queue


def sampled(ids, quiet=1.0):
    """What a process found: every model takes twice as long as the reference."""
    times = {"ratio": [2.0, 2.001], "raw": [2.0], "minima": [2.0], "runs": [2.0] * 6}
    sample = {**times, "reference": quiet, "reference_error": 0.001, "levels": [quiet], "throttled": 0, "failure": None}
    return [{"arch_id": i, "sample": dict(sample)} for i in ids]


class Device:
    """Answers with known numbers; fails by the ids in `poison`, and always once `calls` reach `dies_at`."""

    def __init__(self, poison=(), dies_at=10**9, first=None):
        self.poison, self.dies_at, self.first, self.calls, self.asked = set(poison), dies_at, first, 0, []

    def run(self, job, files, deadline_s, tick=None):
        ids = [e["arch_id"] for e in job["workloads"]]
        self.calls += 1
        self.asked.append(ids)
        if self.calls >= self.dies_at:
            raise DeviceError("no route to the board.")
        if self.first is not None and self.calls == 1:
            raise self.first
        if self.poison & set(ids):
            raise WorkerError("the measuring process was ended by SIGSEGV.")
        moment = "2025-01-01T00:00:00+00:00"
        answer = {"rows": sampled(ids), "load": [0, 0], "started_at": moment, "ended_at": moment}
        return validate_response(job, answer)


@pytest.fixture
def campaign(small_config, tmp_path):
    return Campaign.open(small_config, folder=tmp_path / "c")


@pytest.fixture
def archs(campaign):
    return campaign.space.sample(8, campaign.rng("fleet"))


def test_one_poisonous_model_is_found_and_the_others_are_measured(campaign, archs):
    target = campaign.target("one")
    target.executor = Device(poison=[archs[5].id])
    found = measure_latency(campaign, target, archs)
    assert set(found) == {a.id for a in archs} - {archs[5].id}
    failed = campaign.store.failures(metric="latency_ms")
    assert {f.arch_id for f in failed} == {archs[5].id} and "SIGSEGV" in failed[0].failure
    calls = target.executor.calls
    measure_latency(campaign, target, archs)  # it is left alone from now on
    assert target.executor.calls == calls


def test_a_crash_that_does_not_repeat_costs_one_attempt(campaign, archs):
    target = campaign.target("one")
    target.executor = Device(first=WorkerError("hung"))
    assert (
        len(measure_latency(campaign, target, archs)) == 8 and target.executor.calls == 3
    )  # one in vain, two processes
    assert not campaign.store.failures()


def test_a_device_that_disappears_keeps_what_is_measured_and_the_other_device_goes_on(campaign, archs, monkeypatch):
    monkeypatch.setattr(batch, "group_size", lambda *_: 3)
    campaign.target("one").executor = Device(dies_at=3)
    campaign.target("four").executor = Device()
    with pytest.raises(DeviceError, match=r"'one' is lost.*no route to the board.*same command again"):
        measure_latencies(campaign, campaign.targets.values(), archs)
    assert len(find_latency(campaign, campaign.target("one"), SEARCH)) == 3
    assert len(find_latency(campaign, campaign.target("four"), SEARCH)) == 8
    campaign.target("one").executor = Device()
    assert len(measure_latency(campaign, campaign.target("one"), archs)) == 8


def test_ctrl_c_gives_the_job_back(campaign, archs):
    target = campaign.target("one")
    target.executor = Device(first=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        measure_latency(campaign, target, archs)
    (job,) = Queue(campaign.store).find()
    assert (job.status, job.attempts) == ("queued", 0)


def test_a_further_worker_does_queued_jobs_and_a_second_campaign_measures_nothing_again(campaign, archs, small_config):
    target = campaign.target("one")
    target.executor = Device()
    campaign.store.add_architectures(archs)
    Queue(campaign.store).submit([latency_job(campaign, target, archs, campaign.protocol, SEARCH)])
    assert work(campaign, ["one"]) == {"one": 1} and work(campaign, ["one"]) == {"one": 0}
    other = Campaign.open(small_config, folder=campaign.folder)
    other.target("one").executor = Device()
    assert len(measure_latency(other, other.target("one"), archs)) == 8
    assert other.target("one").executor.calls == 0


class Slowing(Device):
    """The host is half as slow again from process `after` on, and each process a minute later."""

    def __init__(self, after):
        super().__init__()
        self.after = after

    def run(self, job, files, deadline_s, tick=None):
        answer = super().run(job, files, deadline_s, tick)
        quiet = 1.0 if self.calls <= self.after else 1.5
        minute = f"2025-01-01T00:{self.calls:02d}:00+00:00"
        answer |= {"started_at": minute, "ended_at": minute}
        answer["rows"] = sampled([r["arch_id"] for r in answer["rows"]], quiet=quiet)
        return answer


def test_all_latencies_are_at_the_typical_level_of_the_whole_campaign(campaign, archs):
    """No process runs for the scale alone: each is a look at the host, and what is known of it grows with the campaign."""
    target = campaign.target("one")
    target.executor = Slowing(6)
    first = measure_latency(campaign, target, archs[:4])
    assert target.executor.calls == 2
    assert all(m.value == pytest.approx(2.0, rel=1e-3) and m.details["typical_ms"] == 1.0 for m in first.values())
    measure_latency(campaign, target, archs[4:6])
    for a in archs[6:]:  # four more processes, of which two are slow
        measure_latency(campaign, target, [a])
    found = find_latency(campaign, target, SEARCH)
    level = host_level(host_visits(found.values()))
    assert level.typical_ms == pytest.approx(1.0, rel=1e-3) and level.slowest_ms == pytest.approx(1.5, rel=1e-3)
    # what was measured last, on the slow host, is brought to the same level as what was measured first
    assert [m.value for m in found.values()] == pytest.approx([2.0005] * 8, rel=1e-3)
    assert all(
        m.high > 2.0 * 1.5 and m.value / m.low < m.high / m.value / 1.4 for m in found.values()
    )  # and may be there again
    stored = campaign.store.find(metric="latency_ms", subject=target.fingerprint)
    assert {round(m.value, 2) for m in stored} == {2.0, 3.0}  # rows stay as they were measured


def test_the_search_and_the_final_measurements_share_the_level_and_nothing_else(campaign, archs):
    target = campaign.target("one")
    target.executor = Slowing(2)
    measure_latency(campaign, target, archs)
    final = measure_latency(campaign, target, archs[:3], purpose=VALIDATE)
    searched = find_latency(campaign, target, SEARCH)
    assert set(final) == {a.id for a in archs[:3]}
    for arch_id, m in final.items():
        assert m.value == pytest.approx(searched[arch_id].value, rel=1e-3)
        assert len(m.details["looks"]) == 1 and len(searched[arch_id].details["looks"]) == 2
    again = measure_latency(campaign, target, archs[:2], purpose=Purpose.final(2))
    assert [len(m.details["looks"]) for m in again.values()] == [2, 2]
    assert [m.details["rounds"] for m in again.values()] == [2, 2]


def test_each_process_is_a_visit_to_the_host(campaign, archs):
    """Of all subnets of a group the same, once a process, with its time; they give the host's level."""
    target = campaign.target("one")
    target.executor = Slowing(99)
    found = measure_latency(campaign, target, archs)
    visits = host_visits(found.values())
    assert [v.reference_ms for v in visits] == [1.0, 1.0] and visits[1].at_s - visits[0].at_s == 60
    level = host_speed(Known.read(campaign), "one", 0.95)
    assert level is not None and level.typical_ms == pytest.approx(1.0)
    assert host_speed(Known(), "one", 0.95) is None


def test_one_model_that_fails_in_a_process_is_a_recorded_failure(campaign, archs):
    class Failing(Device):
        def run(self, job, files, deadline_s, tick=None):
            answer = super().run(job, files, deadline_s, tick)
            for row in answer["rows"]:
                if row["arch_id"] == archs[2].id:
                    row["sample"] = {"failure": "NaN in the output."}
            return answer

    target = campaign.target("one")
    target.executor = Failing()
    assert set(measure_latency(campaign, target, archs)) == {a.id for a in archs} - {archs[2].id}
    # the next process of the group does not time it again
    assert target.executor.asked == [[a.id for a in archs], [a.id for a in archs if a != archs[2]]]
    assert "NaN" in campaign.store.failures(metric="latency_ms")[0].failure


class Clocked(Device):
    """Each process takes `seconds` of a clock that only this one moves."""

    def __init__(self, monkeypatch, seconds, **known):
        super().__init__(**known)
        self.now, self.seconds, self.limits = 0.0, seconds, []
        monkeypatch.setattr(group, "time", self)

    def monotonic(self):
        return self.now

    def run(self, job, files, deadline_s, tick=None):
        self.limits.append(deadline_s)
        self.now += self.seconds
        answer = super().run(job, files, deadline_s, tick)
        for row, spread in zip(answer["rows"], [0.2, -0.2] * 9, strict=False):  # never settled
            row["sample"] = {**row["sample"], "ratio": [2.0 + spread * self.calls] * 2}
        return answer


def test_the_deadline_of_a_job_is_that_of_all_its_processes(campaign, archs, monkeypatch):
    protocol = campaign.protocol.model_copy(update={"processes": (2, 4)})
    job = latency_job(campaign, campaign.target("one"), archs, protocol, SEARCH)
    once = 60 + 2 * protocol.budget_s + 2 * len(archs)
    assert job.deadline_s == 4 * once

    def measured(deadline_s, seconds):
        queue, target = Queue(campaign.store), campaign.target("one")
        target.executor = Clocked(monkeypatch, seconds)
        payload = {**job.payload, "deadline_s": deadline_s}
        limit = deadline_s or job.deadline_s
        queue.submit([replace(job, key=f"{deadline_s}-{seconds}", payload=payload, deadline_s=limit)])
        job_taken = LatencyWorker(campaign, [target]).claim()
        return time_group(campaign, target, job_taken, [a.id for a in archs], [a.to_dict() for a in archs]).timings

    timings = measured(None, 10.0)
    assert campaign.target("one").executor.limits == [once] * 4
    timings = measured(100.0, 30.0)  # three processes fit, a fourth would not
    assert campaign.target("one").executor.limits == [100.0, 70.0, 40.0]
    assert all(len(t.looks) == 3 and not t.summary(0.01)["converged"] for t in timings.values())
    with pytest.raises(WorkerError, match="1 of 2 measuring processes took 20 s"):
        measured(20.0, 30.0)


def test_parts_of_parts_are_waited_for(campaign, archs):
    queue, target = Queue(campaign.store), campaign.target("one")
    campaign.store.add_architectures(archs)
    queue.submit([latency_job(campaign, target, archs, campaign.protocol, SEARCH)])
    key = {queue.find()[0].key}
    for _ in range(3):  # the whole, its halves
        job = queue.claim("other", [target.fingerprint])
        assert queue.split(job, halves(job), "crash")
    rows = LatencyBatch(campaign, target, archs, SEARCH).jobs_with_parts(key)
    assert len(key) == len(rows) == 7 and sum(r.status == "queued" for r in rows) == 4
