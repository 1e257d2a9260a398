"""Claims about growing a network."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.claim import Figure, claim, spread
from benchmarks.frame import Run
from benchmarks.training_growth import table as growth


@claim(
    "grow.over_random",
    "grow.over_scratch",
    "grow.default_over_random",
    "grow.default_over_scratch",
    "grow.members_over_scratch",
)
def growing(given: Run) -> dict[str, Figure]:
    """A network grown to twice its widths, against random new blocks and against training from scratch at equal MACs."""
    seeds = 3 if given.quick else 5
    rows = growth(150 if given.quick else 600, seeds, given.say)
    mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    note = ", ".join(f"{name} {value:.1f}" for name, value in mean.items())
    arms = [name.removesuffix(", trained on") for name in mean if name.endswith(", trained on")]
    shown = pd.DataFrame({"arm": arms, "accuracy after 10 % more, %": [mean[f"{name}, trained on"] for name in arms]})

    def over(first: str, second: str) -> tuple[float, float]:
        return spread([row[first] - row[second] for row in rows])

    on = ", trained on"
    return {
        "grow.over_random": Figure(*over("orthogonal", "random"), seeds, "> 0", note),
        "grow.over_scratch": Figure(*over("orthogonal" + on, "scratch" + on), seeds, ">= 0", rows=shown),
        "grow.default_over_random": Figure(*over("wider", "random"), seeds),
        "grow.default_over_scratch": Figure(*over("wider" + on, "scratch" + on), seeds),
        "grow.members_over_scratch": Figure(*over("zero" + on, "scratch" + on), seeds),
    }
