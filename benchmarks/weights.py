"""Which weights of the embedded supernet give the better fronts: files of weights against each other on the shipped latency tables.

    python -m benchmarks.weights [--quick] [--json] [--folder DIR] [--weights before=OLD --weights after=NEW]

Every subnet of the shipped tables of two devices is scored with every file on the same images, none of which were trained on.
A front is chosen by the 2,000 validation images; what it is worth is its hypervolume with the scores on the 3,000 test
images, so that no file gains by luck in the choice. In ``summary``, for the last file against the first:

- ``hypervolume_ratio``: the smaller of both devices' ratios; with ``hypervolume_ratio_DEVICE`` each
- ``mean_gain``, ``least_gain``: points of top-1 on the test images over all subnets, on average and at worst
- ``smallest_gain``, ``largest_gain``: of the two ends
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.frame import Benchmark, Result, Run
from hwsearch.accuracy import subnet_score
from hwsearch.objectives import Front
from hwsearch.spaces import Architecture
from hwsearch.supernets import catalogue
from latency_tables import load

NAME = "cifar10-mbv3"
DEVICES = ("amd-epyc-vm-t1-b1", "amd-epyc-vm-t2-b16")
#: top-1 in percent; of the latencies the slowest subnet's is taken
REFERENCE = 50.0


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument(
        "--weights",
        action="append",
        metavar="NAME=FILE",
        help="a name and a file of weights; default: the shipped ones",
    )


def run(given: Run) -> Result:
    """Score all subnets with all files, and compare fronts."""
    torch.set_num_threads(1)
    files = dict(_named(given, text) for text in given.args.weights or ["shipped="])
    tables = {device: load(device, NAME) for device in DEVICES}
    entry = catalogue.entry(NAME)
    shape = entry.shape()
    genes = list(shape.space.names)
    archs = {
        device: [
            shape.space.architecture({g: v for g, v in row.items() if not pd.isna(v)})
            for row in table[genes].to_dict("records")
        ]
        for device, table in tables.items()
    }
    ends = shape.space.smallest(), shape.space.largest()
    asked = list({a.id: a for a in (*ends, *(a for found in archs.values() for a in found))}.values())
    if given.quick:
        asked = asked[:20]
    rows = [row for name, file in files.items() for row in _scores(given, name, file, asked)]
    scores = pd.DataFrame(rows)
    latencies = {d: {a.id: ms for a, ms in zip(archs[d], tables[d]["latency_ms"], strict=True)} for d in DEVICES}
    volumes = {d: {n: _volume(scores[scores["weights"] == n], latencies[d]) for n in files} for d in DEVICES}
    return Result(_summary(scores, volumes, list(files), ends), scores, {"hypervolumes": volumes})


def _named(given: Run, text: str) -> tuple[str, Path | None]:
    name, found, file = text.partition("=")
    if not found or (file and not Path(file).is_file()):
        given.refuse(f"--weights {text}: give NAME=FILE with a file that exists.")
    return name, Path(file) if file else None


def _scores(given: Run, name: str, file: Path | None, archs: list[Architecture]) -> list[dict[str, object]]:
    """Score subnets with one file: top-1 in percent on the validation and the test images."""
    loaded = catalogue.entry(NAME).load(file)
    images = loaded.entry.examples()
    rows: list[dict[str, object]] = []
    for number, arch in enumerate(archs, 1):
        found = {
            split: subnet_score(loaded.task, loaded.net, arch, images["calibration"], images[split]).value
            for split in ("validation", "test")
        }
        rows.append({"weights": name, "arch_id": arch.id, "macs": loaded.net.macs(arch), **found})
        if number % 50 == 0:
            given.say(f"{name}: {number} of {len(archs)} subnets")
    return rows


def _volume(scores: pd.DataFrame, latencies: dict[str, float]) -> float:
    """Compute the hypervolume, on test images, of the front that validation images choose."""
    known = scores[scores["arch_id"].isin(latencies)]
    ms = np.array([latencies[i] for i in known["arch_id"]])
    sides = ["max top1", "min latency_ms"]
    front = Front.from_values(list(known["arch_id"]), np.stack([known["validation"], ms], axis=1), sides)
    chosen = known["arch_id"].isin(front.to_frame()["arch_id"]).to_numpy()
    tested = Front.from_values(
        list(known["arch_id"][chosen]), np.stack([known["test"][chosen], ms[chosen]], axis=1), sides
    )
    return tested.hypervolume([REFERENCE, max(latencies.values())])


def _summary(
    scores: pd.DataFrame,
    volumes: dict[str, dict[str, float]],
    names: list[str],
    ends: tuple[Architecture, Architecture],
) -> dict[str, float]:
    first, last = names[0], names[-1]
    ratios = {device: found[last] / found[first] for device, found in volumes.items()}
    wide = scores.pivot(index="arch_id", columns="weights", values="test")
    gains = wide[last] - wide[first]
    return {
        "hypervolume_ratio": min(ratios.values()),
        **{f"hypervolume_ratio_{device}": ratio for device, ratio in ratios.items()},
        "mean_gain": float(gains.mean()),
        "least_gain": float(gains.min()),
        "smallest_gain": float(gains[ends[0].id]),
        "largest_gain": float(gains[ends[1].id]),
    }


BENCHMARK = Benchmark(
    "weights",
    "Weights of the embedded supernet against each other",
    "20 subnets",
    run,
    options,
)


if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
