"""Latency jobs of a campaign: crashes, poison, lost devices, further workers. A stand-in executor plays the device."""

from __future__ import annotations

import pytest

from hwsearch.devices import Calibration
from hwsearch.devices.worker import WorkerError, check_answer
from hwsearch.engine import Campaign
from hwsearch.engine import measuring as m
from hwsearch.errors import DeviceError
from hwsearch.store import Queue


def sampled(ids, quiet=1.0):
    """What a process found: every model takes twice as long as the reference."""
    times = {"ratio": [2.0, 2.001], "raw": [2.0], "minima": [2.0], "runs": [2.0] * 6}
    sample = {**times, "reference": quiet, "reference_error": 0.001, "quiet": quiet, "throttled": 0, "failure": None}
    return [{"arch_id": i, "sample": sample} for i in ids]


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
        return check_answer(job, answer)


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
    assert (
        len(m.measure_latency(campaign, target, archs)) == 8 and target.executor.calls == 3
    )  # one in vain, two processes
    assert not campaign.store.failures()


def test_a_device_that_disappears_keeps_what_is_measured_and_the_other_device_goes_on(campaign, archs, monkeypatch):
    monkeypatch.setattr(m, "group_size", lambda *_: 3)
    campaign.target("one").executor = Device(dies_at=3)
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


def test_a_device_is_calibrated_once_and_its_groups_are_brought_to_that(campaign, archs, small_config, tmp_path):
    fresh = Campaign.open(small_config, folder=tmp_path / "fresh")
    target = fresh.target("one")
    target.executor = Device()
    found = m.measure_latency(fresh, target, archs)
    assert target.executor.calls == fresh.protocol.calibrate + 2
    assert all(v.value == pytest.approx(2.0, rel=1e-3) and v.details["baseline_ms"] == 1.0 for v in found.values())
    again = Campaign.open(small_config, folder=tmp_path / "fresh")
    again.target("one").executor = other = Device()
    m.measure_latency(again, again.target("one"), fresh.space.sample(3, fresh.rng("more")))
    assert other.calls == 2  # the scale is known
    final = m.measure_latency(again, again.target("one"), archs[:3], purpose="validate")
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


@pytest.mark.parametrize(("slow", "calls", "moved"), [(2, 4, False), (99, 4, True)])
def test_a_group_whose_reference_moved_is_measured_again_once(campaign, archs, slow, calls, moved):
    target = campaign.target("one")
    target.executor = Slower(slow)
    found = m.measure_latency(campaign, target, archs)
    assert target.executor.calls == calls and len(found) == 8
    assert all(v.details["moved"] is moved for v in found.values())
    assert all(v.value == pytest.approx(2.0, rel=1e-3) for v in found.values())


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
    assert set(m.measure_latency(campaign, target, archs)) == {a.id for a in archs} - {archs[2].id}
    assert "NaN" in campaign.store.failures(metric="latency_ms")[0].failure
