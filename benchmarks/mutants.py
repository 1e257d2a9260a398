"""Which faults the tests see: small changes of the statistics and safety margins, each against the tests of its own file.

    python -m benchmarks.mutants [--quick] [--json] [--folder DIR] [--only NAME ...] [--sample N]

A mutation tool (cosmic-ray) changes one operator, comparison, number or branch at a time in a copy of the tree, and runs the tests
that are named for the file. Changes inside annotations are left out: nothing runs them. ``caught_pct``: of all changes, those
that a test noticed. Survivors are listed with their change, so that each can be judged: a test is missing, or nothing that a
caller sees has changed.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import tomli_w

from benchmarks.frame import Benchmark, Result, Run

if TYPE_CHECKING:
    from cosmic_ray.work_item import MutationSpec

ROOT = Path(__file__).parent.parent
#: source file → tests that must see a fault in it
TARGETS = tomllib.loads((Path(__file__).parent / "mutants.toml").read_text(encoding="utf-8"))
#: longest run of one target's tests, seconds; a change that makes a loop endless is caught by it
TIMEOUT_S = 120.0
#: changes of each file with ``--quick``
QUICK_SAMPLE = 8


@dataclass
class Survivor:
    """A change that no test noticed."""

    line: int
    operator: str
    change: str


@dataclass
class FileResult:
    """Outcome of the changes of one file."""

    file: str
    mutants: int = 0
    caught: int = 0
    survivors: list[Survivor] = field(default_factory=list)

    @property
    def caught_pct(self) -> float:
        return round(100 * self.caught / max(1, self.mutants), 1)


def annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Find the places (line, column) of what is never run: annotations."""
    found: list[ast.expr] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.returns is not None:
            found.append(node.returns)
        elif isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation is not None:
            found.append(node.annotation)
    return [((n.lineno, n.col_offset), (n.end_lineno or 0, n.end_col_offset or 0)) for n in found]


def left_out(spec: MutationSpec, places: Iterable[tuple[tuple[int, int], tuple[int, int]]]) -> bool:
    """Tell whether a change lies in an annotation."""
    return any(start <= tuple(spec.start_pos) and tuple(spec.end_pos) <= end for start, end in places)


def copied(folder: Path) -> Path:
    """Copy the tracked and new files of this tree."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for name in names:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def _survivors(session: Path, file: str) -> Iterator[tuple[bool, Survivor]]:
    from cosmic_ray.work_db import WorkDB, use_db
    from cosmic_ray.work_item import WorkerOutcome

    with use_db(session, WorkDB.Mode.open) as db:
        results = dict(db.results)
        for item in db.work_items:
            result = results.get(item.job_id)
            if result is None or result.worker_outcome == WorkerOutcome.SKIPPED:
                continue
            (spec,) = item.mutations
            lines = [x for x in (result.diff or "").splitlines() if x[:1] in "+-" and x[:3] not in ("+++", "---")]
            survivor = Survivor(spec.start_pos[0], spec.operator_name.rpartition("/")[2], "\n".join(lines))
            yield bool(result.is_killed), survivor


def mutate(file: str, tests: list[str], tree: Path, sample: int | None, seed: int = 0) -> FileResult:
    """Run a file's changes, all or a random `sample` of them, in a copy of the tree."""
    try:
        from cosmic_ray.work_db import WorkDB, use_db
        from cosmic_ray.work_item import WorkerOutcome, WorkResult
    except ImportError as e:
        raise SystemExit("the mutation tool is not installed: pip install 'hwsearch[mutants]'") from e

    python, door = shlex_safe(sys.executable), shlex_safe(str(tree / "door"))
    command = f"{python} -I -S benchmarks/_warm_tests.py --ask {door}"
    config = {
        "cosmic-ray": {
            "module-path": file,
            "timeout": TIMEOUT_S,
            "excluded-modules": [],
            "test-command": command,
            "distributor": {"name": "local"},
        }
    }
    name = file.replace("/", "-")
    settings, session = tree / f"{name}.toml", tree / f"{name}.sqlite"
    settings.write_text(tomli_w.dumps(config), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    ray = [sys.executable, "-m", "cosmic_ray.cli"]

    def run(*arguments: str) -> None:
        subprocess.run([*ray, *arguments], cwd=tree, env=environment, check=True, capture_output=True)

    warm = subprocess.Popen([sys.executable, "-m", "benchmarks._warm_tests", door, *tests], cwd=tree, env=environment)
    try:
        while not Path(door).exists():
            if warm.poll() is not None:
                raise SystemExit("the process that runs the tests has ended")
            time.sleep(0.05)
        if subprocess.run(command.split(), cwd=tree, env=environment, check=False).returncode:
            raise SystemExit(f"the tests of {file} fail without any change: pytest {' '.join(tests)}")
        run("init", str(settings), str(session))
        places = annotations((tree / file).read_text(encoding="utf-8"))
        with use_db(session, WorkDB.Mode.open) as db:
            items = list(db.work_items)
            skipped = [i for i in items if left_out(i.mutations[0], places)]
            kept = [i for i in items if i not in skipped]
            if sample is not None and sample < len(kept):
                chosen = set(random.Random(seed).sample([i.job_id for i in kept], sample))
                skipped += [i for i in kept if i.job_id not in chosen]
            for item in skipped:
                db.set_result(item.job_id, WorkResult(worker_outcome=WorkerOutcome.SKIPPED))
        run("exec", str(settings), str(session))
    finally:
        warm.kill()
        warm.wait()
    result = FileResult(file)
    for killed, survivor in _survivors(session, file):
        result.mutants += 1
        result.caught += killed
        if not killed:
            result.survivors.append(survivor)
    return result


def shlex_safe(text: str) -> str:
    """Quote a text that goes into a command that is split at blanks."""
    if " " in text:
        raise SystemExit(f"{text!r} has a blank, which the mutation tool cannot take.")
    return text


def measure(only: list[str], sample: int | None, processes: int) -> list[FileResult]:
    """Return the results of all targets, in the order of the list."""
    wanted = {f: t for f, t in TARGETS["targets"].items() if not only or any(o in f for o in only)}
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(processes) as pool:

        def one(entry: tuple[str, list[str]]) -> FileResult:
            file, tests = entry
            result = mutate(file, tests, copied(Path(place) / file.replace("/", "-")), sample)
            print(f"{file}: {result.caught} of {result.mutants} caught", file=sys.stderr, flush=True)
            return result

        return list(pool.map(one, wanted.items()))


def text_of(results: list[FileResult]) -> str:
    """List the changes that no test noticed, file by file."""
    lines = []
    for r in results:
        lines.append(f"{r.file}: {r.caught} of {r.mutants} ({r.caught_pct} %)")
        for s in r.survivors:
            lines.append(f"  line {s.line}, {s.operator}")
            lines.append("    " + s.change.replace("\n", "\n    "))
    return "\n".join(lines)


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument("--only", nargs="*", default=[], help="parts of file names")
    parser.add_argument("--sample", type=int, help="changes a file, drawn at random; all without it")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))


def run(given: Run) -> Result:
    """Change the files one place at a time and run their tests."""
    results = measure(given.args.only, QUICK_SAMPLE if given.quick else given.args.sample, given.args.processes)
    caught, every = sum(r.caught for r in results), sum(r.mutants for r in results)
    summary = {
        "caught_pct": round(100 * caught / max(1, every), 1),
        "mutants": every,
        "survivors": every - caught,
    }
    table = pd.DataFrame(
        [{"file": r.file, "caught_pct": r.caught_pct, "mutants": r.mutants, "caught": r.caught} for r in results],
        columns=["file", "caught_pct", "mutants", "caught"],
    )
    rows = [asdict(r) | {"caught_pct": r.caught_pct} for r in results]
    return Result(summary, table, {"by_file": rows}, text=text_of(results))


BENCHMARK = Benchmark(
    "mutants", "Faults that the tests of statistics and safety margins see", "8 changes a file", run, options
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
