"""What a step draws: a line where there is no terminal, a bar where there is one, and a recording's time left."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from hwsearch.cli import progress
from hwsearch.cli.progress import ConsoleProgress, recording


def console(terminal: bool) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=terminal, width=100), file


@pytest.mark.parametrize("terminal", [False, True])
def test_a_step_ends_in_one_line_with_its_note_and_time(terminal: bool) -> None:
    shown, file = console(terminal)
    with ConsoleProgress(shown).task("profile [one]", 4, "subnets") as task:
        task.update(2)
        task.note("4 measured [±1 %]")
    last = file.getvalue().splitlines()[-1]
    assert "profile [one]" in last and "4 measured [±1 %]" in last and last.rstrip().endswith("0:00")


def test_a_step_without_a_note_says_its_count_and_warnings_are_notes() -> None:
    shown, file = console(False)
    steps = ConsoleProgress(shown)
    with steps.task("fit", 3, "predictors"):
        steps.warn("few rows [12]")
    assert "note: few rows [12]" in file.getvalue() and "3 predictors" in file.getvalue()


def test_a_recording_says_what_is_left_on_a_terminal_and_nothing_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, file = console(True)
    monkeypatch.setattr(progress, "err", shown)
    with recording("loading …", 60.0) as tick:
        tick(20.0)
        shown.print("")
    assert "20 of 60 s, 40 s left" in file.getvalue()
    plain, file = console(False)
    monkeypatch.setattr(progress, "err", plain)
    with recording("loading …", 60.0) as tick:
        tick(20.0)
    assert file.getvalue() == ""


def test_a_recording_after_a_step_opens_its_display_with_the_first_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then the step draws its own, and two at once are an error of some versions."""
    shown, file = console(True)
    monkeypatch.setattr(progress, "err", shown)
    with recording("", 60.0) as tick:
        with ConsoleProgress(shown).task("check", 1, "devices") as task:
            task.update(1)
        assert "recording" not in file.getvalue()
        tick(5.0)
        tick(20.0)
        shown.print("")
    assert "20 of 60 s, 40 s left" in file.getvalue()
