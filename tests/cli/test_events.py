"""Progress as JSON events, and the same as lines: what a step tells while it lasts, and while it waits."""

from __future__ import annotations

import io
import json
import sys
import time

import pytest
from rich.console import Console

from hwsearch.campaigns.progress import Progress
from hwsearch.cli import options
from hwsearch.cli.events import JsonProgress, TrainingEvents
from hwsearch.cli.options import shown_progress, shown_training
from hwsearch.cli.progress import ConsoleProgress, TrainingBar, left_s


def events(progress_of: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in progress_of.getvalue().splitlines()]


def work(progress: Progress, beat_s: float) -> None:
    with progress.task("profile", 4, "subnets") as task:
        task.update(1)
        time.sleep(3 * beat_s)
        progress.wait("runs/other (process 7, since 12:00:00 UTC), which measures on this host")
        progress.wait("")
        progress.warn("few rows")
        task.update(4)
        task.note("4 measured")


def test_a_step_begins_ticks_waits_warns_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JsonProgress, "EVERY_S", 0.05)
    stream = io.StringIO()
    work(JsonProgress(stream), 0.05)
    told = events(stream)
    kinds = [e["event"] for e in told]
    assert kinds[0] == "begin" and kinds[-1] == "end" and kinds.count("progress") >= 1
    assert [e for e in told if e["event"] == "wait"] == [
        {"event": "wait", "for": "runs/other (process 7, since 12:00:00 UTC), which measures on this host"},
        {"event": "wait", "for": ""},
    ]
    ticks = [e for e in told if e["event"] == "progress"]
    assert all(e["step"] == "profile" and e["unit"] == "subnets" and e["total"] == 4 for e in ticks)
    one = next(e for e in ticks if e["done"] == 1)
    assert one["left_s"] == pytest.approx(3 * one["elapsed_s"], abs=0.25)  # one of four is done
    assert told[-1]["note"] == "4 measured" and told[-1]["done"] == 4


def test_a_long_step_without_a_terminal_gets_further_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ConsoleProgress, "EVERY_S", 0.05)
    file = io.StringIO()
    work(ConsoleProgress(Console(file=file, width=200)), 0.05)
    lines = file.getvalue().splitlines()
    assert "1/4 subnets   0:00, 0:00 left" in lines[0]
    assert " waiting for runs/other (process 7, since 12:00:00 UTC), which measures on this host" in lines
    assert "4 measured" in lines[-1]


def test_on_a_terminal_the_bar_says_who_is_waited_for() -> None:
    file = io.StringIO()
    progress = ConsoleProgress(Console(file=file, force_terminal=True, width=200))
    with progress.task("profile", 4, "subnets"):
        progress.wait("runs/other")
        time.sleep(0.6)
        progress.wait("")
        time.sleep(0.6)
    assert "waiting for runs/other" in file.getvalue() and file.getvalue().rstrip().endswith("0:01")


def test_nothing_done_leaves_the_time_left_open() -> None:
    assert left_s(5.0, 0, 10) is None and left_s(5.0, 2, 10) == 20.0 and left_s(5.0, 10, 10) == 0.0


@pytest.mark.parametrize(
    ("arguments", "terminal", "expected"),
    [(["--json"], False, JsonProgress), (["--json"], True, ConsoleProgress), ([], False, ConsoleProgress)],
)
def test_events_go_where_nobody_looks(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], terminal: bool, expected: type
) -> None:
    monkeypatch.setattr(sys, "argv", ["hwsearch", "run", "x.toml", *arguments])
    monkeypatch.setattr(options, "err", Console(file=io.StringIO(), force_terminal=terminal))
    assert type(shown_progress()) is expected


def test_warnings_of_a_kind_are_counted() -> None:
    file = io.StringIO()
    progress = ConsoleProgress(Console(file=file, width=300))
    with progress.task("profile", 4, "subnets"):
        for i in range(9):
            progress.warn(f"subnet {i:012x} on cpu: it took {i}.5 ms too long")
        progress.warn("another matter")
    shown = [line for line in file.getvalue().splitlines() if "note:" in line]
    assert len(shown) == 4 and "another matter" in shown[2]
    assert "7 more like this: subnet 000000000008 on cpu: it took 8.5 ms too long" in shown[3]


# ---------------------------------------------------------------------- a training
def status(step: int, history: list[dict]) -> dict:
    told = {
        "examples_per_s": 99.96,
        "examples": "images",
        "kernels": "eager (no [C++])",
        "losses": {"largest": 1.5},
        "device": "cpu",
    }
    return {"step": step, "steps": 20, "history": history, **told}


def two_stages(show: TrainingBar | TrainingEvents) -> None:
    """The first stage was taken up in its third epoch; the second is shorter than the first."""
    first = [{"epoch": 1}, {"epoch": 2}]
    show.update(status(10, first))
    first += [{"epoch": 3}, {"epoch": 4}]
    show.update(status(20, first))
    show.update(status(20, first))
    show.update(status(10, [{"epoch": 5}]))


def test_a_training_tells_events_and_every_epoch_of_every_stage_once() -> None:
    stream = io.StringIO()
    with TrainingEvents(stream) as show:
        two_stages(show)
    told = events(stream)
    assert [e["event"] for e in told] == ["begin", "epoch", "progress", "epoch", "epoch", "epoch", "end"]
    assert [e["epoch"] for e in told if e["event"] == "epoch"] == [2, 3, 4, 5]
    assert told[2] == {
        "event": "progress", "step": "train", "done": 10, "total": 20, "unit": "steps",
        "examples_per_s": 100.0, "kernels": "eager (no [C++])", "device": "cpu", "losses": {"largest": 1.5},
    }  # fmt: skip
    assert told[-1] == {"event": "end", "step": "train", "done": 10, "total": 20, "unit": "steps"}


def noted(show: TrainingBar | TrainingEvents) -> None:
    """Two notes come one after the other, and the next stage has a list of its own."""
    notes: list[str] = []
    for new in ("module [1] waits", "", "module 2 goes on"):
        notes += [new] if new else []
        show.update(status(10, []) | {"notes": notes})
    show.update(status(10, []))
    show.update(status(10, []) | {"notes": ["another"]})


def test_notes_of_a_training_are_told_once() -> None:
    stream, file = io.StringIO(), io.StringIO()
    with TrainingEvents(stream) as show:
        noted(show)
    told = ["module [1] waits", "module 2 goes on", "another"]
    assert [e["text"] for e in events(stream) if e["event"] == "warning"] == told
    with TrainingBar(Console(file=file, width=200)) as bar:
        noted(bar)
    assert [line for line in file.getvalue().splitlines() if "note" in line] == [f" note: {text}" for text in told]


def test_a_training_that_fails_has_no_end() -> None:
    stream = io.StringIO()
    with pytest.raises(ZeroDivisionError), TrainingEvents(stream):
        _ = 1 / 0
    assert [e["event"] for e in events(stream)] == ["begin"]


def test_lines_of_a_training_say_the_kernels_once_and_every_epoch() -> None:
    file = io.StringIO()
    with TrainingBar(Console(file=file, width=200)) as show:
        two_stages(show)
    assert file.getvalue().splitlines() == [" kernels: eager (no [C++])", *(f" epoch {n}" for n in (2, 3, 4, 5))]


def test_events_of_a_training_are_for_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["hwsearch", "train", "--json"])
    assert isinstance(shown_training(), TrainingEvents)
    monkeypatch.setattr(sys, "argv", ["hwsearch", "train"])
    assert isinstance(shown_training(), TrainingBar)
