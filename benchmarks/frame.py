"""The frame of all benchmarks: one command line, one JSON object, one folder of results.

A benchmark is a module ``benchmarks.NAME`` with a `Benchmark` named ``BENCHMARK``. It runs as

    python -m benchmarks.NAME [--quick] [--json] [--folder runs/bench/NAME] [its own options]

and writes into the folder ``result.json``, ``table.csv``, its plots, and ``command.txt``, the line that runs it again.
Progress goes to stderr; stdout gets the JSON object (``--json``), or the table and the summary as text. The object has
``summary`` (the figures that the documentation names), ``benchmark``, ``quick``, ``seed``, ``seconds``, ``command``,
``host``, ``versions`` and ``files``, and whatever else a benchmark reports.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from hwsearch._json import shown_as_json

#: packages whose versions can change a figure
PACKAGES = (
    "hwsearch",
    "numpy",
    "scipy",
    "torch",
    "onnx",
    "onnxruntime",
    "scikit-learn",
    "xgboost",
    "optuna",
    "moocore",
)
#: keys of the object that the frame fills itself
OWN_KEYS = ("benchmark", "summary", "quick", "seed", "seconds", "command", "host", "versions", "files")

Plot = Callable[[Path], Iterable[Path]]


@dataclass(frozen=True)
class Run:
    """One run of a benchmark, as its function sees it.

    Attributes
    ----------
    args : argparse.Namespace
        The benchmark's own options.
    quick : bool
        Whether a small version is asked for, at most three minutes on an idle machine.
    folder : Path
        Existing folder for results.
    parser : argparse.ArgumentParser
        The command line, for `refuse`.
    """

    args: argparse.Namespace
    quick: bool
    folder: Path
    parser: argparse.ArgumentParser

    def say(self, text: str) -> None:
        """Report progress on stderr.

        Parameters
        ----------
        text : str
            One line.
        """
        print(text, file=sys.stderr, flush=True)

    def refuse(self, message: str) -> NoReturn:
        """End the program because an option is wrong.

        Parameters
        ----------
        message : str
            What is wrong with which option.
        """
        self.parser.error(message)


@dataclass
class Result:
    """Result of a benchmark.

    Attributes
    ----------
    summary : mapping of str to float, int, bool, str or None
        The figures that the documentation names.
    table : pandas.DataFrame
        The rows that a reader compares; written as CSV.
    details : mapping
        Everything else worth keeping, beside the summary in the JSON object.
    plot : callable, optional
        Draws into a folder and returns the files; by default `bars` of the first number column of the table.
    text : str
        What to print instead of the table.
    ok : bool
        Whether the program ends with exit code 0.
    """

    summary: Mapping[str, Any]
    table: pd.DataFrame
    details: Mapping[str, Any] = field(default_factory=dict)
    plot: Plot | None = None
    text: str = ""
    ok: bool = True


@dataclass(frozen=True)
class Benchmark:
    """A benchmark with its command line.

    Attributes
    ----------
    name : str
        Name of the module in ``benchmarks``.
    title : str
        One line that says what is measured.
    quick : str
        What ``--quick`` makes smaller.
    run : callable
        Maps a `Run` to its `Result`.
    options : callable, optional
        Adds the benchmark's own options to the parser.
    seed : int
        The seed of all randomness, unless there is an option ``--seed``.
    """

    name: str
    title: str
    quick: str
    run: Callable[[Run], Result]
    options: Callable[[argparse.ArgumentParser], None] | None = None
    seed: int = 0

    def parser(self) -> argparse.ArgumentParser:
        """Make the command line: the options of all benchmarks, and this one's own.

        Returns
        -------
        argparse.ArgumentParser
            The parser.
        """
        parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{self.name}", description=self.title)
        parser.add_argument("--quick", action="store_true", help=f"at most three minutes: {self.quick}")
        parser.add_argument("--json", action="store_true", help="print one JSON object")
        parser.add_argument(
            "--folder", type=Path, default=Path("runs/bench") / self.name, help="results (default: %(default)s)"
        )
        if self.options is not None:
            self.options(parser)
        return parser

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Run the benchmark, write its folder, and print the result.

        Parameters
        ----------
        arguments : sequence of str, optional
            The command line; that of the process by default.

        Returns
        -------
        int
            Exit code: 0, or 1 where the benchmark checks something and it does not hold.
        """
        arguments = list(sys.argv[1:] if arguments is None else arguments)
        parser = self.parser()
        args = parser.parse_args(arguments)
        args.folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        result = self.run(Run(args, args.quick, args.folder, parser))
        seconds = time.monotonic() - started
        taken = sorted(set(result.details) & set(OWN_KEYS))
        if taken:
            raise ValueError(f"details of benchmark {self.name!r} use the frame's key {taken[0]!r}.")
        command = shlex.join(["python", "-m", f"benchmarks.{self.name}", *arguments])
        found: dict[str, Any] = {
            "benchmark": self.name,
            "summary": dict(result.summary),
            **result.details,
            "quick": args.quick,
            "seed": getattr(args, "seed", self.seed),
            "seconds": round(seconds, 1),
            "command": command,
            "host": host(),
            "versions": versions(),
        }
        found = shown_as_json(found | {"files": [str(p) for p in self._write(args.folder, result, command)]})
        text = json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False)
        (args.folder / "result.json").write_text(text + "\n", encoding="utf-8")
        print(text if args.json else self._text(result, found))
        return 0 if result.ok else 1

    def _write(self, folder: Path, result: Result, command: str) -> list[Path]:
        """Write table, plots and command; the files, with that of the object itself."""
        table, line = folder / "table.csv", folder / "command.txt"
        result.table.to_csv(table, index=False)
        line.write_text(command + "\n", encoding="utf-8")
        plots = list((result.plot or (lambda place: bars(result.table, place, self.name, self.title)))(folder))
        return [folder / "result.json", table, *plots, line]

    def _text(self, result: Result, found: Mapping[str, Any]) -> str:
        lines = [result.text or result.table.to_string(index=False), ""]
        width = max((len(name) for name in found["summary"]), default=0)
        lines += [f"{name:<{width}}  {_short(value)}" for name, value in found["summary"].items()]
        return "\n".join([*lines, "", f"files: {', '.join(found['files'])}", f"again: {found['command']}"])


def bars(table: pd.DataFrame, folder: Path, name: str, title: str, column: str | None = None) -> list[Path]:
    """Draw one number column of a table as horizontal bars, named by its text columns.

    Parameters
    ----------
    table : pandas.DataFrame
        The rows.
    folder : Path
        Where to write.
    name : str
        Stem of the files.
    title : str
        Title of the plot.
    column : str, optional
        The column; the first one of numbers by default.

    Returns
    -------
    list of Path
        SVG and PNG.
    """
    from hwsearch.reporting.style import BLUE, new_figure, save, style  # late: matplotlib takes memory

    numbers = [c for c in table.columns if pd.api.types.is_numeric_dtype(table[c])]
    texts = [c for c in table.columns if c not in numbers]
    chosen = column or next(iter(numbers), None)
    with style():
        figure = new_figure(7.2, 0.9 + 0.26 * max(len(table), 2))
        ax = figure.subplots()
        ax.set_title(title)
        if chosen is not None and len(table):
            ax.barh(range(len(table)), table[chosen].astype(float), color=BLUE)
            labels = [" ".join(map(str, row)) for row in table[texts].itertuples(index=False)]
            ax.set_yticks(range(len(table)), labels if texts else [str(i) for i in range(len(table))])
            ax.invert_yaxis()
            ax.set_xlabel(str(chosen))
        return save(figure, folder, name)


def curves(
    table: pd.DataFrame, folder: Path, name: str, title: str, *, x: str, y: str, by: str, log: bool = False
) -> list[Path]:
    """Draw one line for each value of a column.

    Parameters
    ----------
    table : pandas.DataFrame
        The rows, in the order of `x`.
    folder : Path
        Where to write.
    name : str
        Stem of the files.
    title : str
        Title of the plot.
    x, y, by : str
        Columns of the axes, and the one that tells lines apart.
    log : bool
        Whether the horizontal axis is logarithmic.

    Returns
    -------
    list of Path
        SVG and PNG.
    """
    from hwsearch.reporting.style import DEVICE_COLOURS, DEVICE_MARKERS, new_figure, save, style  # late, as above

    with style():
        figure = new_figure(7.2, 3.8)
        ax = figure.subplots()
        for k, (label, rows) in enumerate(table.groupby(by, sort=False)):
            look = {"color": DEVICE_COLOURS[k % len(DEVICE_COLOURS)], "marker": DEVICE_MARKERS[k % len(DEVICE_MARKERS)]}
            ax.plot(rows[x].astype(float), rows[y].astype(float), label=str(label), markersize=4, **look)
        ax.set(xlabel=x, ylabel=y, title=title, **({"xscale": "log"} if log else {}))
        if len(table):
            ax.legend()
        return save(figure, folder, name)


def host() -> dict[str, Any]:
    """Describe the machine.

    Returns
    -------
    dict
        ``system``, ``cpu``, ``cores`` that this process may use, and ``memory_gib``.
    """
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return {"system": platform.platform(), "cpu": cpu, "cores": usable, "memory_gib": round(memory / 2**30, 1)}


def versions() -> dict[str, str]:
    """Collect the versions of Python and of the installed packages that can change a figure.

    Returns
    -------
    dict of str to str
        Versions by package.
    """
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _short(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
