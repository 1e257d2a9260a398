"""What modules that are trained apart tell as one training, and which are said to be lost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from hwsearch.api.incubation import Incubation, LocalIncubation
from hwsearch.training.assembling import ModuleError


def state(step: int, epochs: int = 0) -> dict[str, Any]:
    about = {"examples": "images", "kernels": "eager", "device": "cpu", "examples_per_s": 2.0}
    history = [{"epoch": k + 1} for k in range(epochs)]
    return {"step": step, "steps": 10, "losses": {"largest": step / 10}, "history": history, **about}


def made() -> tuple[Incubation, list[dict[str, Any]]]:
    seen: list[dict[str, Any]] = []
    trainers: Any = {n: SimpleNamespace(total_steps=10) for n in (1, 2)}
    return LocalIncubation(trainers, {}, lambda status: seen.append(dict(status))), seen


def test_steps_are_summed_and_only_modules_under_way_have_a_speed() -> None:
    incubation, seen = made()
    incubation.tell(1, state(10, 1), [1, 2])
    incubation.tell(2, state(4), [1, 2])
    incubation.tell(2, state(4), [1, 2])  # nothing new
    assert len(seen) == 2
    assert seen[-1]["step"] == 14 and seen[-1]["steps"] == 20 and seen[-1]["examples_per_s"] == 2.0
    assert seen[-1]["losses"] == {"module 1": 1.0, "module 2": 0.4} and seen[-1]["device"] == "cpu"
    assert seen[-1]["history"] == [{"module": 1, "epoch": 1}]


def test_a_module_that_goes_back_to_its_checkpoint_tells_no_row_twice() -> None:
    incubation, seen = made()
    for told in (state(9, 3), state(5, 2), state(7, 3), state(10, 4)):
        incubation.tell(1, told, [1])
    assert [row["epoch"] for row in seen[-1]["history"]] == [1, 2, 3, 4]


def test_a_note_is_told_at_once_beside_where_all_are() -> None:
    incubation, seen = made()
    incubation.note("early")
    assert not seen
    incubation.tell(1, state(3), [1])
    incubation.note("late")
    assert [status["step"] for status in seen] == [3, 3] and seen[-1]["notes"] == ["early", "late"]


def test_lost_modules_are_named_together() -> None:
    incubation, _ = made()
    incubation.end([])
    with pytest.raises(ModuleError, match=r"a; b\. What was trained is kept.*Give the same command again"):
        incubation.end(["a", "b"])
