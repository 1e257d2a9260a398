"""Progress on stderr: one bar a step with time left on a terminal, one line a step elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.status import Status
from typing_extensions import override

from hwsearch.campaigns.progress import LoggedProgress, Task
from hwsearch.campaigns.progress import Progress as StepProgress
from hwsearch.cli.interruption import end_if_interrupted
from hwsearch.cli.render import err, visible


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn(" {task.description:<26}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[count]}"),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
        refresh_per_second=4,
    )


@contextmanager
def recording(words: str, seconds: float) -> Iterator[Callable[[float], None]]:
    """Show on a terminal what is done, and then how much of a recording is left.

    Parameters
    ----------
    words : str
        What is done before the recording; empty where that has a display of its own.
    seconds : float
        Length of the recording.

    Yields
    ------
    callable
        To be told the recorded seconds.
    """
    with ExitStack() as stack:

        def shown(text: str) -> Status | None:
            return stack.enter_context(err.status(text)) if err.is_terminal else None

        status = shown(words) if words else None

        def tick(done: float) -> None:
            nonlocal status
            end_if_interrupted()
            text = f"recording the host's speed: {done:.0f} of {seconds:.0f} s, {seconds - done:.0f} s left"
            if status is None:
                status = shown(text)
            else:
                status.update(text)

        yield tick


class _ConsoleTask:
    def __init__(self, bars: Progress | None, key: TaskID | None, total: float, unit: str, logged: Task) -> None:
        self.bars, self.key, self.total, self.unit, self.logged = bars, key, total, unit, logged
        self.text = ""

    def update(self, done: float) -> None:
        end_if_interrupted()
        self.logged.update(done)
        if self.bars is not None and self.key is not None:
            self.bars.update(self.key, completed=done, count=f"{int(done)}/{int(self.total)} {self.unit}")

    def note(self, text: str) -> None:
        self.text = text
        self.logged.note(text)


class ConsoleProgress(StepProgress):
    """Progress that draws steps on a console; everything also goes to the log.

    Parameters
    ----------
    console : rich.console.Console
        A bar a step on a terminal, one line a step elsewhere.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._log = LoggedProgress()

    @override
    @contextmanager
    def task(self, name: str, total: float, unit: str) -> Iterator[Task]:
        end_if_interrupted()
        started = time.monotonic()
        bars = _bars(self.console) if self.console.is_terminal else None
        with self._log.task(name, total, unit) as logged:
            if bars is not None:
                with bars:
                    key = bars.add_task(visible(name), total=total or 1, count=f"0/{int(total)} {unit}")
                    task = _ConsoleTask(bars, key, total, unit, logged)
                    yield task
            else:
                task = _ConsoleTask(None, None, total, unit, logged)
                yield task
        seconds = int(time.monotonic() - started)
        note = task.text or f"{int(total)} {unit}"
        self.console.print(
            f" {visible(name):<26} {visible(note)}   {seconds // 60}:{seconds % 60:02d}", highlight=False
        )

    @override
    def warn(self, text: str) -> None:
        self._log.warn(text)
        self.console.print(f" [yellow]note:[/yellow] {visible(text)}", highlight=False)


class TrainingBar:
    """Progress of a training: steps, images a second, losses, and the accuracies of the last epoch.

    Parameters
    ----------
    console : rich.console.Console
        Where it is drawn.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bars = _bars(console) if console.is_terminal else None
        self.key: TaskID | None = None
        self.epochs = 0

    def __enter__(self) -> Self:
        if self.bars is not None:
            self.bars.start()
            self.key = self.bars.add_task("train", total=1, count="")
        return self

    def __exit__(self, *_: object) -> None:
        if self.bars is not None:
            self.bars.stop()

    def update(self, status: dict[str, Any]) -> None:
        """Draw where a training is.

        Parameters
        ----------
        status : dict
            ``step``, ``steps``, ``images_per_s``, ``losses`` and ``history``, a row a finished epoch.
        """
        if self.bars is not None and self.key is not None:
            loss = " ".join(f"{k} {v:.2f}" for k, v in status["losses"].items())
            self.bars.update(
                self.key,
                completed=status["step"],
                total=status["steps"],
                count=f"{status['examples_per_s']:.0f} {status['examples']}/s · {loss}",
            )
        if len(status["history"]) > self.epochs:
            self.epochs = len(status["history"])
            row = status["history"][-1]
            self.console.print(" " + " · ".join(f"{k} {v}" for k, v in row.items()), highlight=False)
