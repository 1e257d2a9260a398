"""Final measurements are spread over the step: in rounds of one process a device, with evaluations between."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsearch.campaigns.known import Known
from hwsearch.campaigns.lookup import find_latency
from hwsearch.campaigns.purpose import VALIDATE
from hwsearch.campaigns.steps import validate as step
from hwsearch.campaigns.steps.evaluate import evaluate
from hwsearch.campaigns.steps.profile import profile
from hwsearch.campaigns.steps.race import raced_latencies
from hwsearch.campaigns.steps.validate import validate
from hwsearch.errors import DeviceError


def prepared(boards, noise: float = 0.0, **final):
    campaign = boards(noise=noise, search={"rounds": 0}, validate={"rounds": 0, **final})
    profile(campaign), evaluate(campaign)
    return campaign


def rounds_of(campaign, device: str) -> set[int]:
    found = find_latency(campaign, campaign.target(device), VALIDATE)
    assert all(m.details["rounds"] == len(m.details["looks"]) for m in found.values())  # a process each
    return {m.details["rounds"] for m in found.values()}


def test_rounds_of_devices_alternate_and_evaluations_lie_between(boards, monkeypatch) -> None:
    campaign = prepared(boards, processes=[3, 6])
    done: list[object] = []
    timed, scored = step.measure_latencies, step.measure_scores

    def measure_latencies(campaign, targets, archs, **how):
        done.append((targets[0].name, str(how["purpose"])))
        return timed(campaign, targets, archs, **how)

    def measure_accuracy(campaign, archs, **how):
        done.append(len(archs))
        return scored(campaign, archs, **how)

    monkeypatch.setattr(step, "measure_latencies", measure_latencies)
    monkeypatch.setattr(step, "measure_scores", measure_accuracy)
    validate(campaign)
    n = len(find_latency(campaign, campaign.target("one"), VALIDATE))
    shares = [-(-n * r // 3) for r in (1, 2, 3)]
    names = ["validate", "validate:2", "validate:3"]
    expected = [x for name, share in zip(names, shares, strict=True) for x in (("one", name), ("two", name), share)]
    assert done == expected  # without noise three are enough
    assert rounds_of(campaign, "one") == rounds_of(campaign, "two") == {3}


def test_what_has_not_converged_gets_more_rounds_and_no_more_than_allowed(boards) -> None:
    campaign = prepared(boards, noise=0.05, processes=[3, 5])
    validate(campaign)
    assert rounds_of(campaign, "one") == {5}
    assert not any(m.details["converged"] for m in Known.read(campaign).latency("one", VALIDATE).values())
    some = prepared(boards, noise=0.004, processes=[3, 9])
    validate(some)
    assert min(rounds_of(some, "one")) == 3 or len(rounds_of(some, "one")) == 1
    assert max(rounds_of(some, "one")) < 9


def test_a_device_that_is_lost_in_a_round_costs_the_other_nothing_and_the_same_command_goes_on(boards) -> None:
    campaign = prepared(boards, processes=[3, 3])
    board = campaign.target("one").executor
    before, run = len(board.asked), board.run

    def dies(job, files, deadline_s, tick=None):
        if len(board.asked) > before:
            raise DeviceError("no route to the board.")
        return run(job, files, deadline_s, tick)

    board.run = dies
    with pytest.raises(DeviceError, match="'one' is lost"):
        validate(campaign)
    assert rounds_of(campaign, "one") == {1} and rounds_of(campaign, "two") == {2}
    board.run = run
    validate(campaign)
    assert rounds_of(campaign, "one") == rounds_of(campaign, "two") == {3}
    stored = campaign.store.frame(metric="latency_ms")
    assert not stored.duplicated(["arch_id", "subject", "protocol", "purpose"]).any()


def test_later_rounds_do_not_change_what_candidates_race_with(boards) -> None:
    campaign = prepared(boards, noise=0.03, processes=[2, 2])
    validate(campaign)
    first = {k: m.value for k, m in raced_latencies(campaign, 2)["one"].items()}
    again = boards(noise=0.03, search={"rounds": 0}, validate={"rounds": 0, "processes": [3, 3]})
    profile(again), evaluate(again)
    validate(again)
    ratio = {k: m.value for k, m in raced_latencies(again, 2)["one"].items()}
    everything = {k: m.value for k, m in find_latency(again, again.target("one"), VALIDATE).items()}
    assert ratio == pytest.approx(first) and ratio != everything


def test_the_same_command_again_measures_nothing_however_later_measurements_move_what_is_known(boards) -> None:
    """A look that is far off makes all ratios uncertain, and those that the search found dearer than they were."""
    campaign = prepared(boards, noise=0.004, processes=[3, 6])
    validate(campaign)
    rows, chosen = campaign.store.find(metric="latency_ms"), campaign.store.get_state("validate")
    for m in [m for m in rows if m.purpose == "validate:2"]:
        looks = [
            [look[0] + 5000.0 * k, look[1] * (1 + k), *look[2:3], look[3] * 1.5, *look[4:7], [1.5 * x for x in look[7]]]
            for k, look in enumerate(m.details["looks"], 1)
        ]
        campaign.store.add([replace(m, purpose="validate:99", details={**m.details, "looks": looks})])
    known = Known.read(campaign)
    assert not any(m.details["converged"] for m in known.latency("one", VALIDATE).values())
    before = len(campaign.store.find(metric="latency_ms"))
    validate(campaign)
    assert len(campaign.store.find(metric="latency_ms")) == before > len(rows)
    assert campaign.store.get_state("validate") == chosen
    searched = Known.read(campaign, final=False)
    assert searched.latency("one").keys() == known.latency("one").keys() and not searched.latency("one", VALIDATE)
    assert [m.value for m in searched.latency("one").values()] != [m.value for m in known.latency("one").values()]
