"""Latency jobs of a campaign: crashes, poison, lost devices, further workers. A stand-in executor plays the device."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsearch.campaigns import Campaign
from hwsearch.campaigns.host_speed import host_speed, host_visits
from hwsearch.campaigns.jobs import batch, group
from hwsearch.campaigns.jobs.batch import LatencyBatch
from hwsearch.campaigns.jobs.group import time_group
from hwsearch.campaigns.jobs.job import halves, latency_job
from hwsearch.campaigns.jobs.latency import measure_latencies, measure_latency
from hwsearch.campaigns.jobs.worker import LatencyWorker
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.lookup import find_latency
from hwsearch.campaigns.purpose import SEARCH, VALIDATE
from hwsearch.campaigns.steps.work import work
from hwsearch.devices import Calibration
from hwsearch.devices.fleet.responses import WorkerError, validate_response
from hwsearch.errors import DeviceError
from hwsearch.store import Queue


def sampled(ids, quiet=1.0):
    """What a process found: every model takes twice as long as the reference."""
    times = {"ratio": [2.0, 2.001], "raw": [2.0], "minima": [2.0], "runs": [2.0] * 6}
    sample = {**times, "reference": quiet, "reference_error": 0.001, "quiet": quiet, "throttled": 0, "failure": None}
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
    """Its devices are calibrated already."""
    campaign = Campaign.open(small_config, folder=tmp_path / "c")
    for target in campaign.targets.values():
        place = f"calibration:{target.fingerprint}:{campaign.loaded.digest}:search"
        campaign.store.put_state(place, Calibration((1.0,)).to_dict())
    return campaign


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


def test_a_device_is_calibrated_once_and_its_groups_are_brought_to_that(campaign, archs, small_config, tmp_path):
    fresh = Campaign.open(small_config, folder=tmp_path / "fresh")
    target = fresh.target("one")
    target.executor = Device()
    found = measure_latency(fresh, target, archs)
    assert target.executor.calls == fresh.protocol.calibrate + 2
    assert all(v.value == pytest.approx(2.0, rel=1e-3) and v.details["baseline_ms"] == 1.0 for v in found.values())
    again = Campaign.open(small_config, folder=tmp_path / "fresh")
    again.target("one").executor = other = Device()
    measure_latency(again, again.target("one"), fresh.space.sample(3, fresh.rng("more")))
    assert other.calls == 2  # the scale is known
    final = measure_latency(again, again.target("one"), archs[:3], purpose=VALIDATE)
    assert other.calls == 2 + fresh.protocol.calibrate + 2 and len(final) == 3


class Slower(Device):
    """The host is slower than when it was calibrated, for the first `calls`."""

    def __init__(self, calls):
        super().__init__()
        self.slow = calls

    def run(self, job, files, deadline_s, tick=None):
        answer = super().run(job, files, deadline_s, tick)
        if self.calls <= self.slow:
            answer["rows"] = sampled([r["arch_id"] for r in answer["rows"]], quiet=1.5)
        return answer


def test_a_group_far_from_the_calibrated_speed_is_kept_and_told_once(campaign, archs, caplog):
    """It is not measured again: the host is where it was. Its values are brought to the baseline, and say so."""
    target = campaign.target("one")
    target.executor = Slower(99)
    found = measure_latency(campaign, target, archs)
    assert target.executor.calls == 2 and len(found) == 8
    assert all(v.details["moved"] for v in found.values())
    assert all(v.value == pytest.approx(2.0, rel=1e-3) for v in found.values())
    (said,) = [r.message for r in caplog.records if "calibrated speed" in r.message]
    assert said.startswith("one: in 1 of 1 groups the host was never within 10 % of its calibrated speed.")
    caplog.clear()
    caplog.set_level("INFO", logger="hwsearch")
    measure_latency(campaign, target, campaign.space.sample(3, campaign.rng("more")))
    assert not [r for r in caplog.records if "calibrated speed" in r.message]  # it was said
    assert any("host far off in 1 of 1 groups" in r.message for r in caplog.records)


def test_each_process_is_a_visit_to_the_host(campaign, archs):
    """Of all subnets of a group the same, once a process, with its time; they give the host's level."""
    target = campaign.target("one")
    target.executor = Device()
    found = measure_latency(campaign, target, archs)
    assert len({str(v.details["visits"]) for v in found.values()}) == 1
    visits = host_visits(found.values())
    assert [v.reference_ms for v in visits] == [1.0] * len(visits) and visits
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
    assert all(t.processes == 3 and not t.summary(0.01)["converged"] for t in timings.values())
    with pytest.raises(WorkerError, match="1 of 2 measuring processes took 20 s"):
        measured(20.0, 30.0)


def test_a_calibration_does_not_rest_on_a_few_of_many_processes(campaign, archs, small_config, tmp_path):
    config = tmp_path / "eight.toml"
    config.write_text(small_config.read_text().replace("calibrate = 1", "calibrate = 8"))
    fresh = Campaign.open(config, folder=tmp_path / "eight")
    target = fresh.target("one")
    target.executor = Device(dies_at=3)
    with pytest.raises(DeviceError, match=r"cannot be calibrated; 2 of 7 processes could: no route"):
        measure_latency(fresh, target, archs)
    assert target.executor.calls == 7
    target.executor = Device(dies_at=1)
    with pytest.raises(DeviceError, match="0 of 3 processes could"):
        measure_latency(fresh, target, archs)
    target.executor = Device()
    assert len(measure_latency(fresh, target, archs)) == 8  # nothing was kept of that


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
