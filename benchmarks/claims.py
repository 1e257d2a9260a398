"""Claims of the papers that the package is made of, one function each, in one table.

    python -m benchmarks.claims [--quick] [--json] [--folder DIR] [--only NAME …]

``--only`` takes a claim (``planning.mape_pct``) or the group before the point (``planning``). A claim of yours is one function
in a module `claims_GROUP` with `benchmarks.claim.claim`, which names its figures; it returns them by name, as `Figure`. In ``summary``:

- ``planning.split_over_spray``: load of the busiest spine when single paths are split, over ideal spraying's n / s, at worst over
  all n ≤ 200 flows and s ≤ 64 spines, in whole numbers (asked: 1.000)
- ``planning.ecmp_over_spray``: the same of random ECMP for 8 flows over 8 spines, mean over draws (no aim; 2 to 2.6 at few flows)
- ``planning.mape_pct``: mean absolute error of predicted times of exchanges between 2, 3 and 4 local processes, at sizes over a decade that
  the fit has not seen, in % (asked: 15 or less)
- ``ensemble.gain``: points of the chosen ensemble over the best single member in the same measured time, on test images, mean over limits of
  60, 80, 100 and 150 % of the largest subnet's latency; ``ensemble.gains_shown``: at how many of them its interval is above 0 (no aim: said either way)
- ``skeleton.gain``: points of four fused branches of ``skeleton-1d`` over the best single one, chosen on validation data, mean over seeds, on synthetic
  sequences (asked: above 0); ``skeleton.over_copies``: over four networks of the best branch from other seeds, fused alike (no aim)
- ``skeleton.groups_won``: of three groups of classes, how many the branch made for them answers best (no aim: said either way);
  ``skeleton.disagreement``: % of test sequences that two branches answer differently, mean over pairs (no aim)
- ``prune.disagreement``: mean of share × (1 - share) over the gates, right before they are frozen (asked: .01 or less)
- ``prune.freeze_drop``: points lost when gates are frozen, on test images with one set of statistics (asked: .3 or less);
  ``prune.freeze_drop_plain`` is the same without polarization (no aim)
- ``prune.over_magnitude``: points over L1 pruning with fine-tuning at half the MACs and equal passes (asked: 0 or more);
  ``prune.over_random`` over random architectures from scratch, ``prune.over_plain`` over gates without polarization, and
  ``prune.over_torch_pruning`` over PyPI's ``torch-pruning``, where it is installed (no aims)
- ``prune.limit_error_pct``: measured milliseconds on ONNX Runtime against the limit asked for, mean absolute difference in % (asked: 3 or less)
- ``assemble.at_assembly``: points of modules that were incubated in a meta network over the better of two ways to train them apart without
  one, right after assembly, mean over three seeds on the testbench of strategies, equal passes (asked: 5 or more)
- ``assemble.gradient_bytes``: bytes of gradients that the modules' processes sent to each other (asked: 0)
- ``assemble.tuned_over_end_to_end``: points over training all together, both fine-tuned alike (no aim: said either way)
- ``grow.over_random``: points of a network grown by orthogonal blocks over one with random new blocks right after growth, largest subnet, mean over
  five seeds on the testbench (asked: above 0); ``grow.over_scratch``: its points after 10 % more training over training from scratch for
  as many MACs (asked: 0 or more); ``grow.default_over_random`` and ``grow.default_over_scratch``: the same of the default, repeated channels;
  ``grow.members_over_scratch``: of two members that do not see each other (no aims)
- ``certified.bound_ratio``: mean half width of the bounds in front of the last activation over that of the inputs, with weights drawn for intervals
  (asked: 10 or less); ``certified.plain_bound_ratio``: the same with torch's own initialisation (no aim)
- ``certified.over_vanilla``: points of verified accuracy by initialisation, batch norms and regularisers over plain interval training with the
  same ramp and as many passes, mean over subnets and seeds (asked: above 0)
- ``certified.unsound``: verified images that projected gradient descent with three restarts makes wrong (asked: 0 of 1,000 or more)
- ``tasks.forgetting``: points that earlier tasks lost by later ones, infinite if any logit of any earlier task changed by a bit (asked: 0)
- ``tasks.over_supsup``: points of exclusive weights over masks alone at densities of 5 and 10 %, mean over five tasks at equal passes (asked: above 0);
  ``tasks.over_supsup_25`` at 25 %, and ``tasks.plain_forgetting`` of one network trained on all tasks in turn (no aims)
- ``tasks.storage_ratio``: bytes of 100 tasks' folder over 4 a weight and one bit a weight a task (asked: 1.05 or less)
- ``mip.converging``: at how many of six learning rates from 1e-4 to 3e-2 a generator with constant-norm encoding and residual output gets to 90 % of the
  best accuracy of any arm and rate at equal passes (asked: more than ``mip.plain_converging``, of one without both)
- ``mip.norm_correlation``: size of the mean, over first weights, of the correlation between the norms of generated weights and of their conditions (asked: .1 or
  less); ``mip.plain_norm_correlation``: the same mean without encoding and residual (asked: .9 or more)
- ``generator.over_slicing``: points of generated weights over slices of a wider network with as many stored parameters, at widths that neither was trained at,
  equal passes; ``generator.over_theta0``: over its own weights without what is generated; ``generator.over_slicing_trained``: over slices at
  trained widths (no aims: said either way)
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from benchmarks import (
    claims_assemble,
    claims_certified,
    claims_ensemble,
    claims_generator,
    claims_grow,
    claims_planning,
    claims_prune,
    claims_skeleton,
    claims_tasks,
)
from benchmarks.claim import CLAIMS, Figure
from benchmarks.frame import Benchmark, Result, Run, bars

#: importing these registers their claims
MODULES = (
    claims_planning,
    claims_ensemble,
    claims_skeleton,
    claims_prune,
    claims_assemble,
    claims_grow,
    claims_certified,
    claims_tasks,
    claims_generator,
)


def chosen(only: list[str] | None) -> list[Callable[[Run], dict[str, Figure]]]:
    """Select the claims that are asked for; all where nothing is."""
    wanted = set(only or ())
    return [
        f
        for names, f in CLAIMS.items()
        if not wanted or wanted & {part for n in names for part in (n, n.split(".")[0])}
    ]


def names() -> list[str]:
    """List what `--only` takes."""
    every = [name for known in CLAIMS for name in known]
    return [*dict.fromkeys(name.split(".")[0] for name in every), *every]


def options(parser: argparse.ArgumentParser) -> None:
    """Add this benchmark's own options."""
    parser.add_argument(
        "--only", action="append", choices=names(), metavar="NAME", help=f"default: all of {', '.join(names())}"
    )


def run(given: Run) -> Result:
    """Test the claims, one after the other."""
    rows, summary, plotted = [], {}, {}
    for function in chosen(given.args.only):
        began = time.monotonic()
        found = function(given)
        for name, figure in found.items():
            given.say(f"{name}: {figure.value:.4g} {figure.note}")
            summary[name] = figure.value
            if figure.rows is not None:
                plotted[name] = figure.rows
            rows.append(
                {
                    "claim": name,
                    "value": round(figure.value, 6),
                    "std": figure.std,
                    "n": figure.n,
                    "aim": figure.aim,
                    "met": {None: "", True: "yes", False: "no"}[figure.met],
                    "seconds": round(time.monotonic() - began, 1),
                    "note": figure.note,
                }
            )

    def plot(folder: Path) -> list[Path]:
        return [file for name, found in plotted.items() for file in bars(found, folder, name.replace(".", "_"), name)]

    exact = [row for row in rows if row["aim"].startswith("=")]
    # times and accuracies are reported; only what must hold exactly decides the exit code
    return Result(summary, pd.DataFrame(rows), plot=plot, ok=all(row["met"] == "yes" for row in exact))


BENCHMARK = Benchmark("claims", "Claims of the papers", "fewer flows and draws, a smaller campaign", run, options)

if __name__ == "__main__":
    sys.exit(BENCHMARK.main())
