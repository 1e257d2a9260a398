"""Latencies of a processor from few whole networks, with its operators and without.

    python -m benchmarks.predictors_here FILE [--minutes 5]

measures this host: a covering set and random subnets of the embedded supernet are run once each to see which operators they have,
operators are profiled, and as many whole networks timed as the minutes allow. ``benchmarks.predictors --operators FILE`` reads that file.
Without it there are the shipped tables of the same space, of whole networks on another host.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import latency_tables
from hwsearch._typing import FloatArray, IntArray
from hwsearch.supernets import catalogue
from hwsearch.supernets.base import Supernet
from predictors import GaussianProcessPredictor, OperatorPredictor, coverage_report

#: shipped tables of the embedded supernet's space
TABLES = ("amd-epyc-vm-t1-b1", "amd-epyc-vm-t2-b16")
#: wholes that are learnt from
COUNTS = (30, 100)
#: whole networks that are timed, at most
WHOLES = 200
#: an operator's class is `ms KIND` in the file
PREFIX = "ms "


@cache
def _net() -> Supernet:
    return catalogue.entry("cifar10-mbv3").build().eval()


def here_rows(quick: bool, seeds: int, operators: Path | None = None) -> Iterator[dict[str, Any]]:
    """Predict the whole networks that are not learnt from.

    Parameters
    ----------
    quick : bool
        Whether to leave out the second table.
    seeds : int
        Splits of each case.
    operators : Path, optional
        A file that `measure` wrote.

    Yields
    ------
    dict
        A row a device, number of wholes, split and arm: MAPE, share of predictions within 5 % (both in %), coverage of 90 % intervals.
    """
    for name in TABLES[:1] if quick else TABLES:
        table = latency_tables.load(name, "cifar10-mbv3")
        genes = table[list(_net().space.names)].astype(object)
        space = _net().space
        archs = [
            space.architecture({g: v for g, v in row.items() if not pd.isna(v)}) for row in genes.to_dict("records")
        ]
        rows, y = space.to_array(archs), table["latency_ms"].to_numpy(dtype=np.float64)
        yield from _cases(name, rows, y, None, seeds)
    if operators is not None:
        kept = pd.read_csv(operators)
        rows = kept[list(_net().space.names)].to_numpy(dtype=np.int64)
        times = {c.removeprefix(PREFIX): kept[c].to_numpy(dtype=np.float64) for c in kept if c.startswith(PREFIX)}
        yield from _cases("this host", rows, kept["latency_ms"].to_numpy(dtype=np.float64), times, seeds)


def _cases(device: str, rows: IntArray, y: FloatArray, times: dict[str, FloatArray] | None, seeds: int) -> Iterator[dict[str, Any]]:  # fmt: skip
    X, schema = _net().features_array(rows)[0], _net().schema()
    wholes, rest = np.flatnonzero(np.isfinite(y)), np.flatnonzero(~np.isfinite(y))
    for n in COUNTS:
        for seed in range(seeds):
            order = wholes[np.random.default_rng([seed, 7]).permutation(len(wholes))]
            learn, test = order[:n], order[n:]
            if len(test) < n // 3:
                continue
            models = {"wholes": GaussianProcessPredictor(schema)}
            if times is not None:
                known = np.concatenate([rest, learn])  # the operators of what is predicted are not counted
                models["operators"] = OperatorPredictor(schema, X[known], {k: ms[known] for k, ms in times.items()})
            for arm, model in models.items():
                told = model.fit(X[learn], y[learn])
                error = 100 * np.abs(told.predict(X[test]) / y[test] - 1)
                report = coverage_report(y[test], *told.predict_interval(X[test], 0.9), asked=0.9)
                yield {
                    "device": device,
                    "n": n,
                    "seed": seed,
                    "arm": arm,
                    "mape": float(error.mean()),
                    "within5": float(100 * (error <= 5).mean()),
                    "coverage": report.coverage,
                }


def here_figures(rows: pd.DataFrame) -> dict[str, Any]:
    """Summarise: `mape_here` and `within5`, means over splits, by device, number of wholes and arm."""
    mean = rows.groupby(["device", "arm", "n"])[["mape", "within5"]].mean()
    out: dict[str, Any] = {"mape_here": {}, "within5": {}}
    for (device, arm, n), row in mean.iterrows():
        key = f"{n}" if arm == "wholes" else f"{n} + operators"
        out["mape_here"].setdefault(device, {})[key] = round(float(row["mape"]), 3)
        out["within5"].setdefault(device, {})[key] = round(float(row["within5"]), 2)
    return out


# ---------------------------------------------------------------------- measuring
def count(drawn: int) -> tuple[Any, list[Any], dict[str, dict[str, int]]]:
    """Run a covering set, and as many random subnets once each: space, architectures and their signatures."""
    from benchmarks.latency_operators import Space
    from hwsearch.devices.timing.covering import covering_set

    space, rng = Space(), np.random.default_rng(0)
    covers = covering_set(space.net.space, rng, limit=200)
    archs = [*covers, *space.net.space.sample(drawn, rng, exclude=covers)]
    wholes = space.net.space.sample_balanced(WHOLES, np.random.default_rng(1), space.net.macs_array, exclude=archs)
    return space, [*archs, *wholes], space.counts([*archs, *wholes])


def measure(path: Path, minutes: float, counted: tuple[Any, list[Any], dict[str, dict[str, int]]]) -> None:
    """Profile operators, then time whole networks until the minutes are over; write a row an architecture."""
    from functools import partial

    from hwsearch.devices.timing.covering import choose
    from hwsearch.devices.timing.operator_profile import profile_operators

    began = time.monotonic()
    space, archs, counts = counted
    by_id = {a.id: a for a in archs}
    reference = space.balanced(3, 0)[2]
    asked = {s for own in counts.values() for s in own}
    chosen = choose(counts, asked, times=1)
    works = [partial(space.work, by_id[i]) for i in chosen]
    session = profile_operators(
        space.runtime, works, partial(space.work, reference), np.random.default_rng(2), rounds=2
    )
    print(f"{len(asked)} signatures on {len(chosen)} subnets in {time.monotonic() - began:.0f} s", flush=True)
    frame = pd.DataFrame(space.net.space.to_array(archs), columns=list(space.net.space.names))
    for kind in sorted({o.signature.kind for o in session.operators.values()}):
        ms = {k: o.ms for k, o in session.operators.items() if o.signature.kind == kind}
        frame[f"{PREFIX}{kind}"] = [sum(ms.get(s, 0.0) * n for s, n in counts[a.id].items()) for a in archs]
    covered = np.array([all(s in session.operators for s in counts[a.id]) for a in archs])
    until = began + 60 * minutes
    wholes = space.wholes(archs[-WHOLES:], reference, 0, until)
    frame["latency_ms"] = np.concatenate([np.full(len(archs) - WHOLES, np.nan), wholes])
    frame[covered].round(7).to_csv(path, index=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0)
    options = parser.parse_args()
    measure(options.file, options.minutes, count(100))
    sys.exit()
