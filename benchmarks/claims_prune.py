"""Claims about pruning by consensus."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import prune_arms
from benchmarks.claim import Figure, claim
from benchmarks.frame import Run


@claim(
    "prune.disagreement",
    "prune.freeze_drop",
    "prune.freeze_drop_plain",
    "prune.over_magnitude",
    "prune.over_random",
    "prune.over_plain",
    "prune.over_torch_pruning",
)
def pruning(given: Run) -> dict[str, Figure]:
    """Prune noisy digits' network to half of its MACs: gates with and without polarization, and their rivals, at equal passes."""
    passes, seeds = (320, 3) if given.quick else (1280, 5)
    kept = prune_arms.Kept(given.folder / "prune" / "arms.json")
    arms: dict[str, Callable[[int, int], dict[str, Any]]] = {
        "polarization": prune_arms.by_gates,
        "without": partial(prune_arms.by_gates, polarization=0.0),
        **prune_arms.rivals(),
    }
    rows = []
    for seed in range(seeds):
        for name, arm in arms.items():
            found = kept.of(f"{name} {seed} {passes}", partial(arm, passes, seed))
            given.say(f"{name}, seed {seed}: {found['accuracy']:.2f} % at {100 * found['share']:.1f} % of the MACs")
            rows.append({"arm": name, "seed": seed, **{k: v for k, v in found.items() if k != "genes"}})
    frame = pd.DataFrame(rows).set_index("seed")
    by = {name: frame[frame["arm"] == name] for name in arms}
    ours = by["polarization"]

    def mean(values: pd.Series, aim: str = "", note: str = "", rows: pd.DataFrame | None = None) -> Figure:
        return Figure(float(values.mean()), float(values.std(ddof=1)), len(values), aim, note, rows)

    each = ", ".join(f"{n} {f['accuracy'].mean():.1f} ± {f['accuracy'].std(ddof=1):.1f}" for n, f in by.items())
    bars_of = pd.DataFrame({"arm": list(by), "top-1 in %": [f["accuracy"].mean() for f in by.values()]})
    plain = f"without polarization {by['without']['disagreement'].mean():.4f}"
    found = {
        "prune.disagreement": mean(ours["disagreement"], "<= 0.01", plain),
        "prune.freeze_drop": mean(ours["drop"], "<= 0.3"),
        "prune.freeze_drop_plain": mean(by["without"]["drop"]),
        "prune.over_magnitude": mean(
            ours["accuracy"] - by["magnitude"]["accuracy"], ">= 0", f"{passes} passes: {each}", bars_of
        ),
        "prune.over_random": mean(ours["accuracy"] - by["random"]["accuracy"]),
        "prune.over_plain": mean(ours["accuracy"] - by["without"]["accuracy"]),
    }
    if "torch-pruning" in by:
        version = by["torch-pruning"]["version"].iloc[0]
        difference = ours["accuracy"] - by["torch-pruning"]["accuracy"]
        found["prune.over_torch_pruning"] = mean(difference, note=f"torch-pruning {version}")
    return found


@claim("prune.limit_error_pct")
def limits(given: Run) -> dict[str, Figure]:
    """Prune to limits in milliseconds by an operator table, and time the pruned networks."""
    passes = 320 if given.quick else 1280
    found = prune_arms.latency_errors(given.folder / "prune", passes, range(3), quick=given.quick)
    errors = [one["error_pct"] for one in found]
    told = "; ".join(
        f"{one['limit']:.4f} ms asked, {one['table']:.4f} by the table, {one['measured']:.4f} measured" for one in found
    )
    given.say(told)
    return {"prune.limit_error_pct": Figure(float(np.mean(errors)), float(np.std(errors, ddof=1)), 3, "<= 3", told)}
