"""The log of a run as figures: a CSV file, and TensorBoard's events where that package is installed."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hwsearch.errors import TrainingError

#: columns that every row has
COLUMNS = ("step", "epoch", "seconds", "lr", "passes")


class MetricsLog:
    """Rows of figures by step, written as they come.

    A run that is taken up again drops the rows after its checkpoint. New columns are appended on the right.

    Parameters
    ----------
    folder : Path
        Gets ``metrics.csv``, and ``tensorboard`` where that package can be imported.
    step : int
        Steps that are done; rows of later ones are dropped.

    Raises
    ------
    TrainingError
        If the file cannot be read or written.
    """

    def __init__(self, folder: Path, step: int = 0) -> None:
        self.path = folder / "metrics.csv"
        self._rows: list[dict[str, Any]] = []
        if self.path.exists():
            with _errors(self.path, "read"), self.path.open(newline="", encoding="utf-8") as file:
                self._rows = [row for row in csv.DictReader(file, restkey="") if _number(row.get("step")) <= step]
        for row in self._rows:
            row.pop("", None)  # values without a column
        self._columns = list(dict.fromkeys([*COLUMNS, *(name for row in self._rows for name in row)]))
        self._rewrite()
        self._board: Any = None
        if importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter  # late: it may be missing, and takes a second

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Append one row.

        Parameters
        ----------
        step : int
            Steps that are done.
        figures : mapping of str to float
            Values by column.

        Raises
        ------
        TrainingError
            If the row cannot be written, for example because the disk is full.
        """
        row = {"step": step, **{name: f"{value:.6g}" for name, value in figures.items()}}
        self._rows.append(row)
        if new := [name for name in row if name not in self._columns]:
            self._columns += new
            self._rewrite()
        else:
            with _errors(self.path), self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self._columns, restval="").writerow(row)
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Write what is still in memory."""
        if self._board is not None:
            self._board.close()

    def _rewrite(self) -> None:
        beside = self.path.with_suffix(".partial")
        with _errors(self.path):
            with beside.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, self._columns, restval="")
                writer.writeheader()
                writer.writerows(self._rows)
            beside.replace(self.path)


@contextmanager
def _errors(path: Path, what: str = "written") -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        cause = getattr(error, "strerror", None) or error
        hint = "Remove or rename it" if what == "read" else "Make room on the disk"
        raise TrainingError(
            f"the figures {str(path)!r} cannot be {what} ({cause}); the last checkpoint is kept.",
            hint=f"{hint}; the same call then goes on.",
        ) from error


def _number(text: object) -> float:
    try:
        return float(str(text))
    except ValueError:
        return float("inf")
