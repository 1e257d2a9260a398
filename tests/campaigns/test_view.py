"""Views: one device's front or that of all devices; joined tables, scales and limits, worked by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import WEIGHTED, WORST, MeasuredSet
from hwsearch.campaigns.purpose import SEARCH, VALIDATE
from hwsearch.campaigns.view import View, latency_limit
from hwsearch.errors import CampaignError
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.objective import Objective
from hwsearch.store import Measurement

ONE, TWO = SimpleNamespace(name="one"), SimpleNamespace(name="two")
SHARE = Limit("<=", 0.6, relative=True)


def campaign(limits=None, reference=None, weights=(1.0, 3.0)):
    limits = limits or {}
    devices = [SimpleNamespace(name=n, weight=w) for n, w in zip(("one", "two"), weights, strict=True)]
    return SimpleNamespace(
        objectives=lambda name: [Objective("accuracy"), Objective("latency", limit=limits.get(name))],
        config=SimpleNamespace(device=devices, search=SimpleNamespace(reference=reference)),
        space=SimpleNamespace(largest=lambda: SimpleNamespace(id="largest")),
    )


def known(one=8.0, two=20.0) -> Known:
    def row(value):
        return {"largest": Measurement("largest", "latency_ms", "d", "p", "search", value, "ms")}

    times = {"one": one, "two": two}
    return Known(on_devices={(n, "latency_ms", SEARCH): row(v) for n, v in times.items() if v is not None})


def joint(objectives=(Objective("accuracy"), Objective(WORST, "min")), **options) -> View:
    return View(campaign(**options), "all devices", (ONE, TWO), tuple(objectives), "worst-case")


def test_a_view_of_one_device_and_of_all_have_keys_of_their_own() -> None:
    alone = View(campaign(), "one", (ONE,), (Objective("accuracy"),))
    assert (alone.joint, alone.key) == (False, "one")
    assert (joint().joint, joint().key) == (True, "all devices, worst-case")


def test_the_bound_of_the_worst_device_is_no_part_of_a_weighted_front() -> None:
    three = (Objective("accuracy"), Objective(WEIGHTED, "min"), Objective(WORST, "min"))
    assert [o.name for o in joint(three).front_objectives] == ["accuracy", WEIGHTED]
    assert [o.name for o in joint().front_objectives] == ["accuracy", WORST]


def test_a_share_is_of_the_limit_or_of_the_largest_subnet() -> None:
    assert list(joint().scales(known())) == [8.0, 20.0]
    assert list(joint(limits={"one": Limit("<=", 3.0)}).scales(known(one=None))) == [3.0, 20.0]
    assert list(joint(limits={"two": SHARE}).scales(known())) == [8.0, 0.6 * 20.0]
    with pytest.raises(CampaignError, match="the largest subnet has not been measured on 'two'"):
        joint(limits={"two": SHARE}).scales(known(two=None))


def test_a_lower_limit_is_no_scale() -> None:
    assert latency_limit(campaign({"one": Limit(">=", 3.0)}), ONE) is None
    assert latency_limit(campaign({"one": Limit("<=", 3.0)}), ONE).value == 3.0


def test_tables_of_two_devices_are_joined_by_subnet() -> None:
    one = pd.DataFrame({"arch_id": ["a", "b"], "accuracy": [80.0, np.nan], "latency_ms": [4.0, 8.0]})
    two = pd.DataFrame({"arch_id": ["b", "c"], "accuracy": [81.0, 82.0], "latency_ms": [10.0, 30.0]})
    found = joint().join([MeasuredSet(one), MeasuredSet(two)], known())
    frame = found.frame.set_index("arch_id")
    assert sorted(frame.index) == ["a", "b", "c"] and list(found.scales) == [8.0, 20.0]
    assert dict(frame["accuracy"]) == {"a": 80.0, "b": 81.0, "c": 82.0}
    assert list(frame.loc["b", ["latency_ms@one", "latency_ms@two"]]) == [8.0, 10.0]
    assert frame.loc["b", WORST] == 1.0  # 8/8 beats 10/20
    assert frame.loc["b", WEIGHTED] == 0.25 * 1.0 + 0.75 * 0.5
    assert np.isnan(frame.loc[["a", "c"], WORST]).all() and "latency_ms" not in frame


def test_limits_become_numbers_of_the_largest_subnet() -> None:
    view = View(campaign(), "one", (ONE,), (Objective("accuracy"), Objective("latency", limit=SHARE)))
    frame = pd.DataFrame({"arch_id": ["largest"], "accuracy": [90.0], "latency_ms": [5.0]})
    (plain, limited) = view.resolved(MeasuredSet(frame))
    assert plain.limit is None and (limited.limit.value, limited.limit.relative) == (3.0, False)


def test_a_reference_is_read_by_short_name_and_by_device() -> None:
    named = {"accuracy": 90.0, "latency@one": 2.0, "latency@two": 3.0}
    objectives = (Objective("accuracy"), Objective("latency", device="one"))
    view = View(campaign(reference=named), "one", (ONE,), objectives)
    assert view.reference == {"accuracy": 90.0, "latency_ms@one": 2.0}
    assert View(campaign(), "one", (ONE,), objectives).reference == {}


def test_of_final_latencies_the_share_of_the_largest_is_one() -> None:
    """The search found 8 ms for it, the final measurement 10 ms; on the other device it was not measured again."""
    final = Measurement("largest", "latency_ms", "d", "p", "validate", 10.0, "ms")
    found = Known(on_devices={**known().on_devices, ("one", "latency_ms", VALIDATE): {"largest": final}})
    assert list(joint().scales(found, VALIDATE)) == [10.0, 20.0] and list(joint().scales(found)) == [8.0, 20.0]
    limited = joint(limits={"one": SHARE})  # a limit that is a share stays the search's
    assert list(limited.scales(found, VALIDATE)) == [0.6 * 8.0, 20.0]
