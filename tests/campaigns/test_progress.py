"""Progress of steps that are parts of one that is shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hwsearch.campaigns.progress import PartProgress, Progress, Task


class Seen(Progress):
    """Keeps what it receives."""

    def __init__(self) -> None:
        self.done: list[float] = []
        self.said: list[str] = []

    @contextmanager
    def task(self, name: str, total: float, unit: str) -> Iterator[Task]:
        seen = self

        class One:
            def update(self, done: float) -> None:
                seen.done.append(done)

            def note(self, text: str) -> None:
                seen.said.append(text)

        yield One()

    def warn(self, text: str) -> None:
        self.said.append(f"warned {text}")

    def wait(self, text: str) -> None:
        self.said.append(f"waits {text}")


def test_parts_add_to_what_was_done_before() -> None:
    seen = Seen()
    with seen.task("whole", 10, "subnets") as whole:
        part = PartProgress(seen, whole, 4)
        with part.task("inner", 3, "subnets") as task:
            task.update(2)
            task.note("not shown")
        part.warn("host is busy")
        part.wait("its turn")
        whole.update(7)
    assert seen.done == [6, 7] and seen.said == ["warned host is busy", "waits its turn"]
