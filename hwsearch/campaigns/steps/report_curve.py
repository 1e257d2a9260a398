"""The hypervolume of a search after each evaluation, against a random baseline."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from hwsearch._typing import FloatArray, IntArray
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import hypervolume, non_dominated, reference_point

#: orders in which the random baseline could have been drawn
SHUFFLES = 100
#: most numbers of evaluations at which it is told
MOST_STEPS = 500
COLUMNS = ["evaluations", "search", "random_median", "random_low", "random_high"]


def hypervolume_curve(points: pd.DataFrame) -> pd.DataFrame:
    """Return the hypervolume of the search's measurements after each evaluation, as share of the last.

    The profile is measured as one batch, in no order of merit, so the search's curve starts at its end (NaN before). The
    random band holds the median and 95 % of the orders of the random subnets that were measured.

    Parameters
    ----------
    points : pandas.DataFrame
        Of `hwsearch.campaigns.steps.report_points.searched_points`.

    Returns
    -------
    pandas.DataFrame
        A row a number of evaluations, columns `COLUMNS`: each, or evenly spread ones where there are more than
        `MOST_STEPS`; empty for fewer than three complete points.
    """
    full = points.dropna(subset=["accuracy", "latency_ms"]).sort_values("evaluation")
    two = [Objective("accuracy"), Objective("latency_ms")]
    values = full[["accuracy", "latency_ms"]].to_numpy(dtype=np.float64)
    if len(values) < 3:
        return pd.DataFrame(columns=COLUMNS)
    reference = reference_point(values, two)
    best = hypervolume(values, two, reference)
    start = int((full["role"] == "profile").sum())
    guided = np.concatenate([values[(full["role"] == role).to_numpy()] for role in ("profile", "search")])
    random = values[(full["role"] == "random").to_numpy()]
    rng = np.random.default_rng(0)
    orders = [random[rng.permutation(len(random))] for _ in range(SHUFFLES)]
    steps = np.unique(np.linspace(1, len(guided), min(len(guided), MOST_STEPS)).round().astype(np.int64))
    volumes = _volumes(guided, steps, reference)
    drawn = steps[steps <= len(random)]
    baselines = np.array([_volumes(o, drawn, reference) for o in orders])
    rows = []
    for k, n in enumerate(map(int, steps)):
        row = {"evaluations": n, "search": volumes[k] / best if n >= start else math.nan}
        if k < len(drawn):
            shares = baselines[:, k] / best
            low, high = map(float, np.quantile(shares, [0.025, 0.975]))
            row |= dict(zip(COLUMNS[2:], (float(np.median(shares)), low, high), strict=True))
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def _volumes(values: FloatArray, steps: IntArray, reference: FloatArray) -> FloatArray:
    """Return the hypervolumes of the first rows (n, 2), for each of some growing numbers of rows."""
    two = [Objective("accuracy"), Objective("latency_ms")]
    front, done, found = values[:0], 0, []
    for n in map(int, steps):
        front, done = np.concatenate([front, values[done:n]]), n
        front = front[non_dominated(front, two)]
        found.append(hypervolume(front, two, reference))
    return np.array(found)
