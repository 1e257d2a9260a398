"""Memory and time of a million told architectures.

    python -m benchmarks.search_memory [--quick] [--json] [--folder DIR] [--tactic NAME …] [--evaluations 1000000]
                                       [--batch 10000] [--arrays|--told]

Each tactic asks and is told in a process of its own, on a space of 45 genes like Once-for-All's MobileNetV3; with --arrays
by `ask_array` and `tell_array`; with --told it is told random architectures, for tactics that predict, which are made for
few and weigh each of a batch against all others. Then the state goes to a file and another process takes it up and asks
again. `*_mib` are peaks of the resident memory of the whole process, imports included; `*_seconds` are wall time.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.frame import Benchmark, Result, Run
from hwsearch.searchers import create
from hwsearch.spaces import Choice, SearchSpace, When

OBJECTIVES = ("max accuracy", "min latency_ms")
#: what a process of its own runs, with the arguments of `part`
PART = "import sys; from benchmarks.search_memory import part; part(*sys.argv[1:])"
#: more than the default of 50, which would be twenty thousand generations
OPTIONS = {"nsga2": {"population": 1000}}


def space() -> SearchSpace:
    """Make five stages of two to four layers, each with a kernel size and an expansion: 2e19 architectures."""
    choices = [Choice(f"d[{stage}]", (2, 3, 4)) for stage in range(5)]
    for layer in range(20):
        stage, place = divmod(layer, 4)
        when = When(f"d[{stage}]", tuple(range(place + 1, 5))) if place > 1 else None
        choices += [Choice(f"ks[{layer}]", (3, 5, 7), when=when), Choice(f"e[{layer}]", (3, 4, 6), when=when)]
    return SearchSpace("ofa-like", choices)


def values_of(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return two objectives with a trade-off (n, 2)."""
    weight = np.cos(np.arange(rows.shape[1])) ** 2 + 0.2
    size = ((rows + 1) @ weight, ((rows + 1) ** 2) @ weight[::-1])
    return np.stack([90 - 30 * np.exp(-size[0] / 40), 1 + size[1]], axis=1)


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def fill(tactic: str, evaluations: int, batch: int, form: str, path: Path) -> dict[str, float]:
    """Ask and tell, then keep the state and what is asked next."""
    figures = {"imports_mib": peak_mib()}
    searcher = create(tactic, space(), OBJECTIVES, seed=0, **OPTIONS.get(tactic, {}))
    ask = tell = 0.0
    rng = np.random.default_rng(7)
    while len(searcher.values) < evaluations:
        begin = time.perf_counter()
        if form == "told":
            rows = searcher.space.sample_array(batch, rng)
        elif form == "arrays":
            rows = searcher.ask_array(batch)
        else:
            archs = searcher.ask(batch)
            rows = searcher.space.to_array(archs)
        ask += time.perf_counter() - begin
        values = values_of(rows)
        begin = time.perf_counter()
        if form == "objects":
            searcher.tell(archs, values)
        else:
            searcher.tell_array(rows, values)
        tell += time.perf_counter() - begin
    begin = time.perf_counter()
    searcher.front()
    figures |= {"ask_seconds": ask, "tell_seconds": tell, "front_seconds": time.perf_counter() - begin}
    figures["filled_mib"] = peak_mib()
    begin = time.perf_counter()
    with path.open("w", encoding="utf-8") as file:
        json.dump(searcher.state_dict(), file)
    figures |= {"save_seconds": time.perf_counter() - begin, "saved_mib": peak_mib()}
    figures["state_mib"] = path.stat().st_size / 2**20
    begin = time.perf_counter()
    np.save(path.with_suffix(".npy"), searcher.ask_array(100))
    return figures | {"last_ask_seconds": time.perf_counter() - begin, "asked_mib": peak_mib()}


def take_up(tactic: str, path: Path) -> dict[str, float]:
    """Load the state; what is asked next must be the same."""
    searcher = create(tactic, space(), OBJECTIVES, seed=1, **OPTIONS.get(tactic, {}))
    begin = time.perf_counter()
    with path.open(encoding="utf-8") as file:
        searcher.load_state_dict(json.load(file))
    seconds = time.perf_counter() - begin
    same = np.array_equal(searcher.ask_array(100), np.load(path.with_suffix(".npy")))
    return {"load_seconds": seconds, "loaded_mib": peak_mib(), "resumed_alike": float(same)}


def measured(tactic: str, evaluations: int, batch: int, form: str) -> dict[str, float]:
    """Return the figures of both processes."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="hwsearch-bench-") as folder:
        rest = [tactic, str(evaluations), str(batch), form, f"{folder}/state.json"]
        for name in ("fill", "take-up"):
            done = subprocess.run([sys.executable, "-c", PART, name, *rest], stdout=subprocess.PIPE, check=True)
            figures |= json.loads(done.stdout)
    return {
        "peak_mib": max(v for k, v in figures.items() if k.endswith("_mib") and k != "state_mib"),
        **figures,
    }


def part(name: str, tactic: str, evaluations: str, batch: str, form: str, state: str) -> None:
    """Do one half in a process of its own, and print its figures as JSON."""
    found = (
        fill(tactic, int(evaluations), int(batch), form, Path(state))
        if name == "fill"
        else take_up(tactic, Path(state))
    )
    print(json.dumps(found))


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument("--tactic", action="append", help="default: random and nsga2")
    parser.add_argument("--evaluations", type=int, help="default: 1,000,000; quick: 20,000")
    parser.add_argument("--batch", type=int, help="default: 10,000; quick: 2,000")
    forms = parser.add_mutually_exclusive_group()
    for form in ("arrays", "told"):
        forms.add_argument(f"--{form}", action="store_const", const=form, dest="form", default="objects")


def run(given: Run) -> Result:
    """Fill and take up each tactic."""
    args = given.args
    evaluations = args.evaluations or (20_000 if given.quick else 1_000_000)
    batch = args.batch or (2_000 if given.quick else 10_000)
    found = {}
    for name in args.tactic or ("random", "nsga2"):
        found[name] = {k: round(v, 2) for k, v in measured(name, evaluations, batch, args.form).items()}
        given.say(f"{name}: {found[name]['peak_mib']:.0f} MiB")
    return Result(
        {f"{name}_peak_mib": figures["peak_mib"] for name, figures in found.items()},
        pd.DataFrame([{"tactic": name} | figures for name, figures in found.items()]),
        {"evaluations": evaluations, "batch": batch, "form": args.form, "tactics": found},
    )


BENCHMARK = Benchmark(
    "search_memory", "Memory and time of a million told architectures", "20,000 told architectures", run, options
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
