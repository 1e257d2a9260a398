"""What steps take: by hand."""

from __future__ import annotations

import pytest

from hwsearch.campaigns.budget.cost import Estimate, left
from hwsearch.campaigns.budget.pace import Pace, contention
from hwsearch.campaigns.config import CampaignConfig


def config(**changed: object) -> CampaignConfig:
    tables = {
        "device": ({"name": "a"}, {"name": "b"}),
        "data": {"calibration_images": 100, "validation_images": 200, "test_images": 400},
        "profile": {"latency": 100, "accuracy": 10, "random": 2},
        "search": {"rounds": 2, "per_round": 5},
        "protocol": {"processes": (1, 1), "group": 40},
        "validate": {"processes": (4, 4), "rounds": 1, "candidates": 10},
    }
    return CampaignConfig.model_validate(tables | changed)


@pytest.fixture()
def pace() -> Pace:
    found = Pace()
    for kind, seconds in {"evaluate": 0.01, "start a": 2.0, "time a": 0.1, "start b": 3.0, "time b": 0.2}.items():
        found.note(kind, 1, seconds)
    for kind, seconds in {"propose": 1.0, "fit": 0.5, "export": 0.25, "report": 4.0}.items():
        found.note(kind, 1, seconds)
    return found


def test_every_step_by_hand(pace: Pace) -> None:
    found = Estimate(config(), pace, fronts=2).steps()
    assert found == pytest.approx(
        {
            "profile": 3 * 2.0 + 100 * 0.1 + 3 * 3.0 + 100 * 0.2,  # three groups of forty
            "evaluate": 10 * 300 * 0.01,
            "fit": 3 * 0.5,
            "search": 2 * (2 * 1.0 + 5 * 300 * 0.01 + (2.0 + 0.5) + (3.0 + 1.0)),
            # 12 candidates of two fronts: four processes each, all test images, and half of them once more
            "validate": 4 * (2.0 + 1.2 + 3.0 + 2.4) + 12 * 500 * 0.01 + (2.0 + 0.6 + 3.0 + 1.2),
            "export": 6 * 0.25,
            "report": 4.0,
        }
    )
    assert left(found, "export") == pytest.approx(5.5)
    assert left(found, "profile") == pytest.approx(sum(found.values()))


def test_known_candidates_no_recalibration_and_less_time_for_each(pace: Pace) -> None:
    found = Estimate(config(), pace, fronts=2, calibrated=False, candidates=4, visits=0.5).steps()
    assert found["evaluate"] == pytest.approx(10 * 200 * 0.01)
    assert found["profile"] == pytest.approx(3 * 2.0 + 50 * 0.1 + 3 * 3.0 + 50 * 0.2)
    assert found["validate"] == pytest.approx(4 * (2.0 + 0.2 + 3.0 + 0.4) + 4 * 400 * 0.01 + (2.0 + 0.1 + 3.0 + 0.2))


def test_devices_of_other_hosts_work_at_the_same_time(pace: Pace) -> None:
    fleet = {"scheduler": "tls://x:1", "remote": ("b",)}
    assert Estimate(config(fleet=fleet), pace, 2).timing(10, 1) == pytest.approx(max(2.0 + 1.0, 3.0 + 2.0))


def test_what_was_not_seen_is_slower_where_the_host_is_busy() -> None:
    idle, busy = (Estimate(config(), Pace(), 2, slower=s).steps() for s in (1.0, 3.0))
    assert {k: busy[k] / idle[k] for k in idle} == pytest.approx(dict.fromkeys(idle, 3.0))


def test_processes_beyond_the_fewest_count_half(pace: Pace) -> None:
    few = Estimate(config(), pace, 2).timing(10, 1)
    wide = config(protocol={"processes": (1, 3), "group": 40}, profile={"latency": 10, "accuracy": 10, "random": 0})
    assert Estimate(wide, pace, 2).steps()["profile"] == pytest.approx(2 * few)


def test_no_amount_and_no_time_tell_nothing() -> None:
    kept: list[dict] = []
    pace = Pace({"x": 2.0}, kept.append)
    pace.note("x", 0, 5.0)
    pace.note("x", 3, 0.0)
    assert pace.seconds("x", 3, default=9.0) == 6.0 and kept == []
    pace.note("x", 2, 1.0)
    assert kept == [{"x": 0.5}]


def test_contention_is_at_least_one() -> None:
    assert 1.0 <= contention() < 1000
