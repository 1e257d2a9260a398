"""What the store holds for a campaign: read once, equal to what single questions find."""

from __future__ import annotations

import numpy as np
import pytest

from hwsearch import campaigns
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.lookup import MAX_FAILURES, by_architecture, failed_too_often, find_accuracy, find_metric
from hwsearch.campaigns.measured import MeasuredSet, measured_set
from hwsearch.campaigns.purpose import SEARCH, VALIDATE, Purpose
from hwsearch.campaigns.split import Split
from hwsearch.store import Measurement


def latency(arch_id: str, value: float | None, purpose: Purpose = SEARCH) -> Measurement:
    failure = "crashed" if value is None else None
    return Measurement(arch_id, "latency_ms", "device", "p", str(purpose), value, "ms", failure=failure)


def test_final_measurements_of_all_rounds_are_pooled_and_one_round_is_taken_alone() -> None:
    rows = [latency("a", 1.0), latency("a", 2.0, VALIDATE), latency("a", 4.0, Purpose.final(2)), latency("b", 5.0)]
    assert {k: m.value for k, m in by_architecture(rows, SEARCH, 0.95).items()} == {"a": 1.0, "b": 5.0}
    assert {k: m.value for k, m in by_architecture(rows, VALIDATE, 0.95).items()} == {"a": 3.0}
    assert {k: m.value for k, m in by_architecture(rows, Purpose.final(2), 0.95).items()} == {"a": 4.0}


def test_what_failed_often_enough_is_left_alone() -> None:
    rows = [latency("a", None)] * MAX_FAILURES + [latency("b", None)] * (MAX_FAILURES - 1)
    assert failed_too_often(rows) == {"a"}
    known = Known(failures={("latency_ms", "one"): rows, ("accuracy", "test"): [latency("c", None)] * 5})
    assert known.failed_too_often("latency_ms", ["one", "two"]) == {"a"}
    assert known.failed_on("one") == len(rows) and known.failed_on("test") == 0


def test_nothing_is_known_of_an_empty_store() -> None:
    known = Known()
    assert not known.accuracy(Split.TEST) and not known.latency("one", VALIDATE) and known.confidence is None


def test_a_set_keeps_frame_and_architectures_together(boards) -> None:
    campaign = boards(search={"rounds": 0})
    archs = campaign.space.sample(6, np.random.default_rng(0))
    rows = {a.id: latency(a.id, float(i)) for i, a in enumerate(archs[:4])}
    known = Known({a.id: a for a in archs}, on_devices={("one", "latency_ms", SEARCH): rows})
    found = measured_set(campaign, known, campaign.target("one"))
    assert found.ids == sorted(rows) and found.archs == [known.architectures[i] for i in found.ids]
    assert np.isnan(found.values("accuracy")).all() and (found.values("macs") > 0).all()
    half = found.where(found.values("latency_ms") < 2)
    assert half.archs == [a for a in found.archs if rows[a.id].value < 2] and len(half) == 2
    assert not len(found.complete(["accuracy"])) and len(found) == 4
    assert isinstance(half, MeasuredSet) and half.by_id is known.architectures


@pytest.fixture(scope="module")
def profiled(boards):
    campaign = boards(noise=0.01)
    campaigns.profile(campaign)
    campaigns.evaluate(campaign)
    return campaign


def test_reading_once_finds_what_single_questions_find(profiled, monkeypatch) -> None:
    known = Known.read(profiled)
    assert known.accuracy(Split.VALIDATION) == find_accuracy(profiled, Split.VALIDATION, SEARCH)
    for target in profiled.targets.values():
        assert known.latency(target.name) == find_metric(profiled, target, "latency_ms", SEARCH) != {}
        assert known.latency(target.name, VALIDATE) == {}
    assert set(known.architectures) >= set(known.latency("one"))
    asked = []
    for name in ("find", "failures", "architectures", "get_state", "frame", "architecture"):
        real = getattr(type(profiled.store), name)
        monkeypatch.setattr(type(profiled.store), name, lambda *a, r=real, n=name, **k: asked.append(n) or r(*a, **k))
    Known.read(profiled)
    assert len(asked) <= 4 + len(profiled.targets)
