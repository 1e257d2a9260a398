"""Commands that are killed at random moments lose nothing, store nothing twice, and end as if nobody had killed them.

    python -m benchmarks.kills [--quick] [--json] [--folder DIR] [--kills 1000] [--command train]
                               [--processes N] [--seed 0]

Each of the commands ``run``, ``report``, ``finetune`` and ``train`` (six strategies and schedules of theirs, two of them with
two processes as well) works in a process group of its own, which is killed
(SIGKILL) at a uniformly random moment of the command's usual duration; then the same command is started again in the same
folder. After one to eight kills it is let finish, its result is compared with that of one that was never killed, and
another begins in a fresh folder, until all kills are spent. A kill that comes after the end of its command is none and is
not counted. Two commands are under way at once, each in its own folder.

The processes are forks of one that has imported everything. What takes long and keeps nothing is left out: devices are
simulated, from a latency table and in the same process, a report draws one small figure, and a training's card scores one
random subnet. Trainings write a checkpoint at every step. A fine-tuning writes its checkpoint every 50 ms in place of 15 s, so that kills find some.

- ``lost``: values that the store held just before a kill, or after an earlier one, and does not hold afterwards (or holds
  as measured again); steps by which checkpoints went back; results that are cut or gone;
- ``doubled``: values stored twice for one measurement key, or under two keys for one meaning;
- ``failed``: commands that ended with an error after a kill, or did not say that a process of theirs was killed;
- ``midway``: kills that left a checkpoint of a training or a fine-tuning to go on from;
- ``others``: of the kills those that hit the second process of a training, whose command then had to end with an error;
- ``fronts_equal``: ``front.csv`` is that of the command that nobody killed. A ``run`` that was killed measured at other
  moments, and intervals know of moments (looks of one period are not independent): its front is that of the same command,
  not killed, in a fresh folder with a copy of its store;
- ``stores_equal``: ``run`` has stored the same values for the same keys as the one that nobody killed;
- ``weights_equal``: so are the last weights of ``finetune`` and ``train``, bit for bit.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before any library starts threads: forks must not wait for them

import numpy as np
import pandas as pd
import psutil
import torch

from benchmarks.frame import Benchmark, Result, Run
from benchmarks.kills_seen import Ledger
from benchmarks.kills_works import COMMANDS, Work, copy_store, front, prepare, works_in
from hwsearch.api import training
from hwsearch.campaigns.steps import report as report_step
from hwsearch.cli.main import main as command_line
from hwsearch.reporting import ReportData, page
from hwsearch.reporting.style import new_figure
from hwsearch.training import finetune as finetuning

#: seconds after which a command that nobody kills has hung
PATIENCE = 600.0
#: at most that many kills before a work is let finish
MOST_KILLS = 8
#: the program of a training's other processes, and what the command says of one that was killed
OTHERS, OTHER_KILLED = "hwsearch.api.training_rank", b"rank 1 was ended by signal 9"


def one_figure(report: ReportData, **options: bool) -> dict[str, Any]:
    """Draw one small figure in place of all: drawing is most of a small report's time."""
    figure = new_figure(1.0, 1.0)
    figure.text(0.5, 0.5, str(report.metric))
    return {"small": figure}


def make_cheap() -> None:
    """Leave out in this process, and in its forks, what takes long and keeps nothing."""
    report_step.make_all = one_figure  # type: ignore[attr-defined]
    page.make_all = lambda report, **options: {}  # type: ignore[attr-defined]
    training.CARD_SUBNETS = 1  # type: ignore[attr-defined]
    finetuning.CHECKPOINT_SECONDS = 0.05


def do(words: Sequence[str], log: Path) -> None:
    """Do a command, as the body of a child process that leads a group of its own."""
    os.setsid()
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    sys.argv = ["hwsearch", *words]
    command_line()


# ---------------------------------------------------------------------- killing
def attempt(
    words: Sequence[str],
    log: Path,
    seconds: float,
    before: Callable[[], None] | None = None,
    *,
    other: bool = False,
) -> int | None:
    """Do a command in a child process, for so long at most.

    Parameters
    ----------
    words : sequence of str
        The command.
    log : pathlib.Path
        Gets what it prints.
    seconds : float
        When it is killed, with all that it started.
    before : callable, optional
        Called just before that.
    other : bool
        Kill a process of the training that the command started, if there is one yet, and let the command end by itself.

    Returns
    -------
    int or None
        Its exit code; None where it was killed, or ended because a process of its training was.
    """
    process = multiprocessing.get_context("fork").Process(target=do, args=(words, log))
    process.start()
    process.join(seconds)
    if process.exitcode is None and before is not None:
        before()
    said = len(log.read_bytes()) if log.exists() else 0
    if process.exitcode is None and other and kill_other(process.pid or 0):
        process.join(PATIENCE)
        if process.exitcode == 1 and told_of_other(log.read_bytes()[said:]):
            return None
    try:
        os.killpg(process.pid or 0, signal.SIGKILL)
    except ProcessLookupError:  # it has ended, or has no group yet
        process.kill()
    process.join()
    return None if process.exitcode == -signal.SIGKILL else process.exitcode


def told_of_other(output: bytes) -> bool:
    """Whether the output of a training says that a process of it was killed; lines may be broken anywhere."""
    return OTHER_KILLED in b" ".join(output.split())


def kill_other(pid: int) -> bool:
    """Kill a process of a training that the given one has started; whether there was one."""
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(pid).children():
            if OTHERS in child.cmdline():
                child.kill()
                return True
    return False


def kill_and_compare(
    work: Work, kills: int, rng: np.random.Generator, place: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Do a work with so many kills, and compare its results with those of one that is not killed.

    Parameters
    ----------
    work : Work
        What is killed.
    kills : int
        How often.
    rng : numpy.random.Generator
        Decides the moments.
    place : pathlib.Path
        Gets the folders of the works, which are removed afterwards.
    say : callable
        Reports failures.

    Returns
    -------
    dict of str to object
        A row of the table.
    """
    log, fresh, began = place / f"{work.name}.log", itertools.count(), time.monotonic()

    def begin() -> Path:
        folder = place / f"{work.name}-{next(fresh)}"
        if work.begun is not None:
            shutil.copytree(work.begun, folder)
        return folder

    steady, started = begin(), time.monotonic()
    if attempt(work.command(steady), log, PATIENCE) != 0:
        raise RuntimeError(f"'hwsearch {work.name}' fails without any kill; its output is:\n{log.read_text()[-2000:]}")
    usual = time.monotonic() - started
    expected = work.outcome(steady)
    row: dict[str, Any] = {"work": work.name, "kills": 0, "midway": 0, "others": 0, "finished": 0, "failed": 0}
    row |= {"lost": 0, "doubled": 0} | {f"{what}_equal": True for what in expected}
    while row["kills"] < kills:
        ledger = Ledger(begin())
        ledger.look()
        left = min(int(rng.integers(1, MOST_KILLS + 1)), kills - row["kills"])
        code: int | None = None
        anew = True
        while code is None:
            seconds = float(rng.uniform(0.0, usual)) if left else PATIENCE
            other = work.processes > 1 and bool(rng.integers(2))
            started = time.monotonic()
            code = attempt(
                work.command(ledger.folder), log, seconds, lambda seen=ledger: seen.look(running=True), other=other
            )
            if anew and code == 0:
                usual = min(usual, time.monotonic() - started)
            anew = False
            if code is None and not left:
                raise RuntimeError(f"'hwsearch {work.name}' hung for {PATIENCE:.0f} s after a kill.")
            row["kills"] += code is None
            left -= code is None
            ledger.look()
            row["midway"] += code is None and any(ledger.steps.values())
        if code != 0:
            row["failed"] += 1
            say(
                f"'hwsearch {work.name}' ended with {code} after a kill; its output ends with\n{log.read_text()[-2000:]}"
            )
        row["finished"] += 1
        row["lost"] += ledger.lost
        row["doubled"] += ledger.doubled
        try:
            found = work.outcome(ledger.folder)
        except Exception:  # it failed, and left nothing to compare, or what no library reads
            found = {}
        if work.front_of_store and found:
            again = place / f"{work.name}-again"
            copy_store(ledger.folder, again)
            if attempt(work.command(again), log, PATIENCE) == 0:
                expected["front"] = front(again)
            row["store_equal"] &= work.outcome(again).get("store") == found["store"]  # nothing was left to measure
            shutil.rmtree(again)
        for what, value in expected.items():
            row[f"{what}_equal"] &= found.get(what) == value
        shutil.rmtree(ledger.folder, ignore_errors=True)
    row["others"] = b" ".join(log.read_bytes().split()).count(OTHER_KILLED)
    return row | {"usual_s": round(usual, 2), "seconds": round(time.monotonic() - began, 1)}


def one_work(wanted: tuple[str | None, int | None], number: int, kills: int, seed: int, place: Path) -> dict[str, Any]:
    """Kill one of `works_in`, in a process that does nothing else."""
    work, rng = works_in(place, *wanted)[number], np.random.default_rng([seed, number])
    return kill_and_compare(work, kills, rng, place, lambda text: print(text, file=sys.stderr, flush=True))


def summary_of(table: pd.DataFrame) -> dict[str, Any]:
    """Sum up all works."""
    found = {
        name: int(table[name].sum()) for name in ("kills", "midway", "others", "finished", "failed", "lost", "doubled")
    }
    for what, name in (("front", "fronts_equal"), ("store", "stores_equal"), ("weights", "weights_equal")):
        if f"{what}_equal" in table:
            found[name] = bool(table[f"{what}_equal"].dropna().all())
    return found


def holds(summary: dict[str, Any]) -> bool:
    """Tell whether nothing is lost, doubled, failed or unequal."""
    return not any(summary[n] for n in ("failed", "lost", "doubled")) and all(
        value for name, value in summary.items() if name.endswith("_equal")
    )


def shares_of(works: Sequence[Work], kills: int) -> list[int]:
    """Divide kills evenly over the commands, and those of a command over its works."""
    commands = [work.name.partition("-")[0] for work in works]
    shares = [0] * len(works)
    for k, command in enumerate(dict.fromkeys(commands)):
        count = len(set(commands))
        part = kills // count + (k < kills % count)
        own = [i for i, name in enumerate(commands) if name == command]
        for j, i in enumerate(own):
            shares[i] = part // len(own) + (j < part % len(own))
    return shares


def run(given: Run) -> Result:
    """Kill all works and compare."""
    kills = given.args.kills if given.args.kills is not None else 60 if given.quick else 1000
    wanted = given.args.command, given.args.processes
    works = works_in(Path(), *wanted)
    if not works:
        given.refuse("no work of that command has so many --processes.")
    shares = shares_of(works, kills)
    if min(shares) < 1:
        given.refuse(f"--kills must be larger, so that each of {len(works)} works is killed; got {kills}.")
    torch.set_num_threads(1)
    make_cheap()
    with tempfile.TemporaryDirectory(prefix="hwsearch-kills-") as text:
        os.environ["TMPDIR"] = tempfile.tempdir = text  # campaigns on one host take turns by a lock there
        place = Path(text)
        prepare(place, wanted[0])
        fork = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(max_workers=2, mp_context=fork) as pool:
            waiting = [
                pool.submit(one_work, wanted, k, share, given.args.seed, place) for k, share in enumerate(shares)
            ]
            for done in as_completed(waiting):
                given.say(str(done.result()))
        rows = [done.result() for done in waiting]
    table = pd.DataFrame(rows)
    summary = summary_of(table)
    return Result(summary, table, ok=holds(summary))


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument("--kills", type=int, help="of all works together (default: 1000; quick: 60)")
    parser.add_argument("--command", choices=COMMANDS, help="kill this command only (default: all)")
    parser.add_argument("--processes", type=int, help="kill works of so many processes only (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="decides the moments (default: %(default)s)")


BENCHMARK = Benchmark("kills", "Commands that are killed at random moments lose nothing", "60 kills", run, options)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
