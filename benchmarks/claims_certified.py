"""Claims about certified training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from benchmarks.certified_ground import (
    BATCH,
    EPSILON,
    PixelDigits,
    beaten,
    bound_ratio,
    clean_digits,
    pixel_supernet,
    scores,
    trainer,
)
from benchmarks.claim import Figure, claim
from benchmarks.frame import Run
from hwsearch.training import Run as Training
from hwsearch.training import TrainingConfig
from hwsearch.training.parts.intervals import initialise_for_intervals
from hwsearch.training.strategies.certified import Certified


@claim("certified.bound_ratio", "certified.plain_bound_ratio", "certified.over_vanilla", "certified.unsound")
def certified(given: Run) -> dict[str, Figure]:
    """Bounds at initialisation, verified accuracy of four arms of equal passes, and an attack on what is verified."""
    seeds, steps = (range(1), 120) if given.quick else (range(3), 600)
    same: dict[str, Any] = {"epsilon": EPSILON, "ramp": 0.3, "random": 0}
    arms = {
        "vanilla": (False, Certified(**same, initialisation="keep", regularisation=0.0)),
        "vanilla, norms": (True, Certified(**same, initialisation="keep", regularisation=0.0)),
        "initialisation": (False, Certified(**same, initialisation="intervals", regularisation=0.0)),
        "all": (True, Certified(**same, initialisation="intervals")),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    ratios: dict[str, list[float]] = {"plain": [], "drawn": []}
    verified = unsound = wrong = 0
    for seed in seeds:
        for name, (norm, strategy) in arms.items():
            net = pixel_supernet(seed, norm=norm)
            if name == "initialisation":
                ratios["plain"].append(bound_ratio(net))
                config = TrainingConfig(steps=steps, batch=BATCH, seed=seed)
                initialise_for_intervals(Training(net, PixelDigits(), clean_digits()[0], config))
                ratios["drawn"].append(bound_ratio(net))
            done = trainer(strategy, net, steps, seed)
            found[name].append(scores(done.supernet))
            given.say(f"seed {seed}, {name}: {found[name][-1]} after {done.passes} passes")
            if name == "all":
                counts = beaten(done.supernet)
                verified, unsound, wrong = verified + counts[0], unsound + counts[1], wrong + counts[2]
    means = {name: np.mean(values, axis=0) for name, values in found.items()}
    gains = [a[1] - b[1] for a, b in zip(found["all"], found["vanilla"], strict=True)]
    told = "; ".join(f"{n}: verified error {100 - m[1]:.1f} %, error {100 - m[0]:.1f} %" for n, m in means.items())
    rows = pd.DataFrame({"arm": list(means), "verified error in %": [100 - m[1] for m in means.values()]})

    def over(values: list[float], aim: str = "", note: str = "", rows: pd.DataFrame | None = None) -> Figure:
        std = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
        return Figure(float(np.mean(values)), std, len(values), aim, note, rows)

    return {
        "certified.bound_ratio": over(ratios["drawn"], "<= 10"),
        "certified.plain_bound_ratio": over(ratios["plain"]),
        "certified.over_vanilla": over(gains, "> 0", told, rows),
        "certified.unsound": Figure(
            float(unsound), n=verified, aim="= 0", note=f"of {verified} verified; {wrong} others beaten"
        ),
    }
