"""What comes from workers that train: believed only where it is what a training sends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hwsearch.devices.fleet.responses import WorkerError
from hwsearch.devices.fleet.training_jobs import check_state, parse_answer, parse_facts

STATE: dict[str, Any] = {
    "step": 3,
    "steps": 9,
    "examples_per_s": 1.5,
    "examples": "images",
    "kernels": "eager",
    "device": "cpu",
    "losses": {"largest": 0.1},
    "history": [{"epoch": 1, "top1": 50.0}],
}


def test_a_state_of_a_training_is_taken_as_it_is() -> None:
    assert check_state(STATE) is STATE


@pytest.mark.parametrize(
    "change",
    [
        {"step": 10},
        {"step": -1},
        {"step": "3"},
        {"steps": None},
        {"examples_per_s": float("nan")},
        {"examples": 1},
        {"kernels": None},
        {"device": []},
        {"losses": {"largest": "low"}},
        {"losses": []},
        {"history": {"a": 1}},
        {"history": [1]},
        {"history": [{"epoch": "one"}]},
    ],
)
def test_a_state_that_no_training_has_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(WorkerError, match="Invalid worker response"):
        check_state({**STATE, **change})


def test_what_is_no_state_is_refused() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    for state in (None, 3, [STATE], {**STATE, "deep": deep}):
        with pytest.raises(WorkerError, match="not an object"):
            check_state(state)


FACTS = {"versions": {"torch": "2"}, "missing": ["/a"], "threads": 2}


def test_facts_are_checked() -> None:
    assert parse_facts(json.dumps(FACTS)) == FACTS
    wrong = [{"versions": None}, {"versions": {"torch": 2}}, {"missing": "/a"}, {"missing": [1]}, {"threads": 0}]
    for text in [None, "x", "[]", *(json.dumps({**FACTS, **change}) for change in wrong)]:
        with pytest.raises(WorkerError, match="Invalid worker response"):
            parse_facts(text)


@pytest.mark.parametrize(
    "found",
    [
        None,
        "{}",
        ("{}",),
        ("{}", []),
        ("x", {}),
        ('{"end": "well", "why": ""}', {}),
        ('{"end": "died"}', {}),
        ('{"end": "died", "why": "", "state": 3}', {}),
        ('{"end": "died", "why": ""}', {"../training.pt": b""}),
        ('{"end": "died", "why": ""}', {"training.pt": "text"}),
        ('{"end": "finished", "why": ""}', {"metrics.csv": b""}),
    ],
)
def test_an_end_that_no_training_has_is_refused(found: object) -> None:
    with pytest.raises(WorkerError, match="Invalid worker response"):
        parse_answer(found)


def test_the_end_of_a_training_is_taken_with_its_files() -> None:
    answer, files = parse_answer(
        (json.dumps({"end": "finished", "why": "", "state": STATE}), {"module.safetensors": b"1"})
    )
    assert answer["end"] == "finished" and answer["state"] == STATE and files == {"module.safetensors": b"1"}
    assert parse_answer(('{"end": "died", "why": "signal", "state": null}', {}))[0]["state"] is None
