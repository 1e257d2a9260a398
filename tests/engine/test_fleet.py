"""Latency jobs of a campaign: crashes, poison, lost devices, further workers. A stand-in executor plays the device."""

from __future__ import annotations

import pytest

from hwsearch.devices.worker import WorkerError, check_answer
from hwsearch.engine import Campaign
from hwsearch.engine import measuring as m
from hwsearch.errors import DeviceError
from hwsearch.store import Queue


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
        row = {"value": 2.0, "low": 1.9, "high": 2.1, "repeats": 6, "details": {"drift_pct": 0.0}}
        rows = [{"arch_id": i, **row} for i in ids]
        level = job["baseline_ms"] or 1.0
        moment = "2025-01-01T00:00:00+00:00"
        return check_answer(
            job, {"rows": rows, "baseline_ms": level, "load": [0, 0], "started_at": moment, "ended_at": moment}
        )


@pytest.fixture
def campaign(small_config, tmp_path):
    return Campaign.open(small_config, folder=tmp_path / "c")


@pytest.fixture
def archs(campaign):
    return campaign.space.sample(8, campaign.rng("fleet"))


def test_one_poisonous_model_is_found_and_the_others_are_measured(campaign, archs):
    target = campaign.target("one")
    target.executor = Device(poison=[archs[5].id])
    found = m.measure_latency(campaign, target, archs)
    assert set(found) == {a.id for a in archs} - {archs[5].id}
    failed = campaign.store.failures(metric="latency_ms")
    assert {f.arch_id for f in failed} == {archs[5].id} and "SIGSEGV" in failed[0].failure
    calls = target.executor.calls
    m.measure_latency(campaign, target, archs)  # it is left alone from now on
    assert target.executor.calls == calls


def test_a_crash_that_does_not_repeat_costs_one_attempt(campaign, archs):
    target = campaign.target("one")
    target.executor = Device(first=WorkerError("hung"))
    assert len(m.measure_latency(campaign, target, archs)) == 8 and target.executor.calls == 2
    assert not campaign.store.failures()


def test_a_device_that_disappears_keeps_what_is_measured_and_the_other_device_goes_on(campaign, archs, monkeypatch):
    monkeypatch.setattr(m, "group_size", lambda *_: 3)
    campaign.target("one").executor = Device(dies_at=2)
    campaign.target("four").executor = Device()
    with pytest.raises(DeviceError, match=r"'one' is lost.*no route to the board.*same command again"):
        m.measure_latencies(campaign, campaign.targets.values(), archs)
    assert len(m.find_latency(campaign, campaign.target("one"), "search")) == 3
    assert len(m.find_latency(campaign, campaign.target("four"), "search")) == 8
    campaign.target("one").executor = Device()
    assert len(m.measure_latency(campaign, campaign.target("one"), archs)) == 8


def test_ctrl_c_gives_the_job_back(campaign, archs):
    target = campaign.target("one")
    target.executor = Device(first=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        m.measure_latency(campaign, target, archs)
    (job,) = Queue(campaign.store).find()
    assert (job.status, job.attempts) == ("queued", 0)


def test_a_further_worker_does_queued_jobs_and_a_second_campaign_measures_nothing_again(campaign, archs, small_config):
    target = campaign.target("one")
    target.executor = Device()
    campaign.store.add_architectures(archs)
    Queue(campaign.store).submit([m.latency_job(campaign, target, archs, campaign.protocol, "search")])
    assert m.work(campaign, ["one"]) == {"one": 1} and m.work(campaign, ["one"]) == {"one": 0}
    other = Campaign.open(small_config, folder=campaign.folder)
    other.target("one").executor = Device()
    assert len(m.measure_latency(other, other.target("one"), archs)) == 8
    assert other.target("one").executor.calls == 0
