"""Scores: what is evaluated, joined to a screening, stored, given up, and doubted. A stand-in task scores."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hwsearch.accuracy import Accuracy
from hwsearch.campaigns.budget.pace import Pace
from hwsearch.campaigns.jobs import accuracy
from hwsearch.campaigns.jobs.accuracy import accuracy_row, checkpoint_warnings, measure_accuracy
from hwsearch.campaigns.purpose import SEARCH
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.subnet_cache import SubnetCache
from hwsearch.errors import MeasurementError
from hwsearch.spaces import Choice, SearchSpace
from hwsearch.store import Measurement, Store, utc_now

SPACE = SearchSpace("tiny", [Choice("depth", (1, 2, 3)), Choice("width", (8, 16, 32))])
ARCHS = SPACE.sample(4, np.random.default_rng(0))


class Bench:
    """A campaign of ten validation examples, of which subnets answer as many as `right` says."""

    def __init__(self, monkeypatch, right=None, known=None, begun=None, given_up=()) -> None:
        self.right = right or {}
        self.store = Store.open(Path(tempfile.mkdtemp()) / "store.sqlite")
        self.asked: list[tuple] = []
        self.warned: list[str] = []
        self.told: list[float] = []
        splits = {Split.VALIDATION: range(10), Split.TEST: range(20)}
        if begun is not None:
            splits[Split.SCREEN] = range(4)
        found = {Split.VALIDATION: dict(known or {}), Split.SCREEN: dict(begun or {}), Split.TEST: {}}
        task = SimpleNamespace(
            evaluate=self.evaluate,
            unpack=lambda record, n: Accuracy.unpack(record, n),
            score_unit="%",
            score_name="top-1 accuracy",
            no_better_than=lambda value, error, data: "a guess (25 %)." if value - 2 * error < 25 else None,
        )
        monkeypatch.setattr(
            accuracy, "find_accuracy", lambda campaign, split, purpose, ids, metric="accuracy": found[split]
        )
        monkeypatch.setattr(accuracy, "find_failed_too_often", lambda *_: set(given_up))
        monkeypatch.setattr(accuracy, "ready_subnet", lambda campaign, arch: arch)
        line = SimpleNamespace(update=self.told.append, note=lambda text: setattr(self, "note", text))
        self.pace = Pace()
        self.campaign = SimpleNamespace(
            data=splits,
            _after={(Split.VALIDATION, 4): range(4, 10)},
            subnets=SubnetCache(),
            config=SimpleNamespace(data=SimpleNamespace(batch=5), fleet=SimpleNamespace(lease_s=60.0)),
            example_subject=lambda split: f"examples of {split}",
            pace=self.pace,
            loaded=SimpleNamespace(net=SimpleNamespace(input_size=lambda arch: 32), task=task, digest="weights"),
            store=self.store,
            enter=lambda archs: None,
            progress=SimpleNamespace(task=lambda *_: contextlib.nullcontext(line), warn=self.warned.append),
        )

    def evaluate(self, arch, data, size, *, batch):
        self.asked.append((arch.id, len(data), size, batch))
        right = self.right.get(arch.id, len(data))
        if right is None:
            raise MeasurementError("its output is not finite.")
        return Accuracy(np.arange(len(data)) < right)

    @property
    def rows(self) -> list[Measurement]:
        return [*self.store.find(), *self.store.failures()]

    def measure(self, archs=ARCHS, **options):
        return measure_accuracy(self.campaign, archs, **options)


def stored(arch, value=50.0, record=None) -> Measurement:
    details = {"images": 4, "standard_error": 1.0}
    return Measurement(arch.id, "accuracy", "s", "p", "search", value, "%", record=record, details=details)


def test_what_is_known_or_given_up_or_asked_twice_is_not_evaluated(monkeypatch) -> None:
    a, b, c, d = ARCHS
    bench = Bench(monkeypatch, known={a.id: stored(a)}, given_up={b.id})
    found = bench.measure([a, b, c, c, d])
    assert [i for i, *_ in bench.asked] == [c.id, d.id]
    assert list(found) == [a.id, c.id, d.id]
    assert [m.arch_id for m in bench.rows] == [c.id, d.id]
    assert bench.note == "10 examples each · 3 already known"
    assert bench.told == [3, 4, 5]


def test_what_another_process_has_just_measured_is_not_evaluated(monkeypatch) -> None:
    """It was unknown when the list was made, and ended before this process claimed its job."""
    a, b = ARCHS[:2]
    other = Bench(monkeypatch, right={a.id: 7, b.id: 7})
    other.measure([a])
    bench = Bench(monkeypatch)
    bench.store = bench.campaign.store = other.store
    assert set(bench.measure([a, b])) == {b.id}  # the stand-in for looking up finds nothing later
    assert [i for i, *_ in bench.asked] == [b.id] and len(bench.rows) == 2


def test_a_failure_is_stored_and_said_and_the_next_subnet_is_evaluated(monkeypatch) -> None:
    a, b = ARCHS[:2]
    bench = Bench(monkeypatch, right={a.id: None, b.id: 7})
    found = bench.measure([a, b])
    assert list(found) == [b.id] and found[b.id].value == 70.0
    (failed,) = bench.store.failures()
    assert (failed.value, failed.failure) == (None, "its output is not finite.")
    assert bench.warned == [f"subnet {a.id}: its output is not finite."]


def test_what_was_answered_in_a_screening_is_not_asked_again(monkeypatch) -> None:
    a, b = ARCHS[:2]
    record = Accuracy(np.array([True, False, False, False])).pack()
    bench = Bench(monkeypatch, right={a.id: 3, b.id: 3}, begun={a.id: stored(a, record=record)})
    found = bench.measure([a, b])
    assert [n for _, n, *_ in bench.asked] == [6, 10]
    assert found[a.id].value == pytest.approx(40.0)  # one of four, and three of six
    assert found[b.id].value == pytest.approx(30.0)
    bench.measure([b], split=Split.TEST)
    assert bench.asked[-1][1] == 20


def test_a_stored_score_has_a_ninety_five_percent_interval(monkeypatch) -> None:
    campaign = Bench(monkeypatch).campaign
    score = Accuracy(np.arange(100) < 80)
    m = accuracy_row(campaign, ARCHS[0], score, Split.TEST, SEARCH, utc_now())
    half = 1.959964 * score.standard_error
    assert (m.value, m.low, m.high, m.spread) == pytest.approx((80.0, 80 - half, 80 + half, half))
    assert (m.subject, m.supernet, m.details["images"]) == ("examples of test", "weights", 20)
    assert accuracy_row(campaign, ARCHS[0], score, Split.TEST, SEARCH, utc_now(), weights="own").supernet == "own"


@pytest.mark.parametrize(
    "values, words",
    [
        ([], None),
        ([70.0, 70.0, 70.0], "all 3 evaluated subnets have the same top-1 accuracy 70.0 %"),
        ([70.0], None),
        ([26.9, 20.0], "the best of 2 evaluated subnets has top-1 accuracy 26.9 %, which is not clearly better than a"),
        ([27.1, 20.0], None),
    ],
)
def test_scores_that_say_nothing_are_doubted(monkeypatch, values, words) -> None:
    rows = {a.id: stored(a, v) for a, v in zip(ARCHS, values, strict=False)}
    said = checkpoint_warnings(Bench(monkeypatch).campaign, rows)
    assert (said == []) if words is None else said[0].startswith(words) and len(said) == 1
