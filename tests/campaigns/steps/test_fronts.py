"""The measured front: which view is asked for, which rows and columns are final, and ids of architectures."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import MeasuredSet
from hwsearch.campaigns.purpose import VALIDATE
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.steps import fronts
from hwsearch.campaigns.steps.fronts import asked_view, complete_final_set, device_final_set, final_set, find_arch
from hwsearch.campaigns.view import View
from hwsearch.errors import CampaignError
from hwsearch.objectives.objective import Objective
from hwsearch.spaces import Choice, SearchSpace
from hwsearch.store import Measurement

OBJECTIVES = (Objective("accuracy"), Objective("latency"))
ONE, TWO = SimpleNamespace(name="one"), SimpleNamespace(name="two")


def campaign(targets=(ONE,)):
    space = SearchSpace("tiny", [Choice("depth", (1, 2, 3))])
    return SimpleNamespace(
        objectives=lambda name: list(OBJECTIVES),
        device_metrics=lambda name: ["latency_ms"],
        targets={t.name: t for t in targets},
        target=lambda name: targets[0] if name is None else {t.name: t for t in targets}[name],
        space=space,
        store=SimpleNamespace(architecture=lambda space, arch_id: f"stored {arch_id}"),
    )


def latency(arch_id: str, value: float, **details) -> Measurement:
    when = "2025-01-01T00:00:00+00:00"
    ends = {"low": value - 0.5, "high": value + 0.5}
    return Measurement(
        arch_id, "latency_ms", "d", "p", "validate", value, "ms", **ends, repeats=6, details=details, ended_at=when
    )


def test_a_deployment_must_be_known_and_names_no_device() -> None:
    assert asked_view(campaign(), None, None).name == "one"
    assert asked_view(campaign((ONE, TWO)), "two", None).name == "two"
    assert asked_view(campaign((ONE, TWO)), None, "weighted").deployment == "weighted"
    with pytest.raises(CampaignError, match=r"unknown deployment 'worst'.*worst-case"):
        asked_view(campaign(), None, "worst")
    with pytest.raises(CampaignError, match="only 'one' is named"):
        asked_view(campaign(), "one", "weighted")


@pytest.fixture
def known(monkeypatch) -> Known:
    """Final measurements of `a` with a ratio's interval, of `b` without one, and of `c` without a score."""
    frame = pd.DataFrame({"arch_id": ["a", "b", "c"], "accuracy": [80.0, 70.0, np.nan], "latency_ms": [3.0, 2.0, 1.0]})
    monkeypatch.setattr(fronts, "measured_set", lambda *_: MeasuredSet(frame.copy()))
    times = {"a": latency("a", 3.0, ratio_low=2.9, ratio_high=3.1), "b": latency("b", 2.0)}
    return Known(
        scores={(Split.TEST, VALIDATE): {}},
        on_devices={("one", "latency_ms", VALIDATE): times},
        memberships={"one": {"a": (0.99, 0.8)}},
    )


def test_final_rows_are_complete_and_carry_both_intervals_and_how_sure_the_front_is(known) -> None:
    frame = device_final_set(campaign(), known, ONE).frame.set_index("arch_id")
    assert list(frame.index) == ["a", "b"]
    assert (frame.loc["a", "latency_ms_low"], frame.loc["a", "latency_ms_high"]) == (2.5, 3.5)
    assert list(frame["latency_ms_ratio_low"]) == [2.9, 1.5] and list(frame["latency_ms_ratio_high"]) == [3.1, 2.5]
    assert frame.loc["a", "latency_ms_repeats"] == 6 and frame["accuracy_low"].isna().all()
    assert frame.loc["a", "front_probability"] == 0.99 and frame.loc["a", "front_probability_new_data"] == 0.8
    assert np.isnan(frame.loc["b", "front_probability"])


def test_no_final_measurement_is_an_error_or_nothing(known, monkeypatch) -> None:
    nothing = pd.DataFrame({"arch_id": [], "accuracy": [], "latency_ms": []})
    monkeypatch.setattr(fronts, "measured_set", lambda *_: MeasuredSet(nothing))
    view = View(campaign(), "one", (ONE,), OBJECTIVES)
    with pytest.raises(CampaignError, match="no subnet has been measured afresh on 'one'"):
        final_set(view, known)
    assert complete_final_set(view, known) is None


def test_a_joint_front_needs_every_subnet_on_all_devices_and_has_a_membership_of_its_own(monkeypatch) -> None:
    sets = {
        "one": pd.DataFrame({"arch_id": ["a", "b"], "front_probability": 0.1, "front_probability_new_data": 0.1}),
        "two": pd.DataFrame({"arch_id": ["b", "c"], "front_probability": 0.2, "front_probability_new_data": 0.2}),
    }
    monkeypatch.setattr(fronts, "device_final_set", lambda c, k, t: MeasuredSet(sets[t.name]))
    seen = []

    def join(self, given, known, purpose):
        assert purpose == VALIDATE
        seen.extend(given)
        return MeasuredSet(pd.DataFrame({"arch_id": ["a", "b"], "accuracy": [1.0, 2.0], "share": [np.nan, 0.5]}))

    monkeypatch.setattr(View, "join", join)
    objectives = (Objective("accuracy"), Objective("share", "min"))
    view = View(campaign((ONE, TWO)), "all devices", (ONE, TWO), objectives, "worst-case")
    found = final_set(view, Known(memberships={"all devices, worst-case": {"b": (0.7, 0.6)}}))
    assert found.ids == ["b"] and found.values("front_probability")[0] == 0.7
    assert all(list(s.frame.columns) == ["arch_id"] for s in seen)
    view = View(view.campaign, view.name, view.targets, (*objectives, Objective("macs")), "worst-case")
    monkeypatch.setattr(
        View,
        "join",
        lambda *_: MeasuredSet(pd.DataFrame({"arch_id": ["a"], "accuracy": 1.0, "share": 1.0, "macs": [np.nan]})),
    )
    with pytest.raises(CampaignError, match="no subnet has been measured afresh on all devices"):
        final_set(view, Known())


def test_the_ends_of_a_space_have_names() -> None:
    one = campaign()
    assert find_arch(one, "smallest") == one.space.smallest() and find_arch(one, "largest") == one.space.largest()
    assert find_arch(one, "abc") == "stored abc"
    last = one.space.choices[-1]
    genes = {last.name: last.values[0]}
    found = find_arch(one, json.dumps(genes))  # the others at their largest
    assert found == one.space.architecture({**one.space.largest(), **genes})
    with pytest.raises(CampaignError, match="is no JSON object"):
        find_arch(one, '{"gene": ')
