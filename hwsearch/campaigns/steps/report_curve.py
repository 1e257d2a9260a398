"""The hypervolume of a search after each evaluation, against a random baseline."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import hypervolume, reference_point

#: orders in which the random baseline could have been drawn
SHUFFLES = 100
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
        A row a number of evaluations, columns `COLUMNS`; empty for fewer than three complete points.
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
    rows = []
    for n in range(1, len(guided) + 1):
        row = {"evaluations": n, "search": hypervolume(guided[:n], two, reference) / best if n >= start else math.nan}
        if n <= len(random):
            shares = [hypervolume(o[:n], two, reference) / best for o in orders]
            low, high = map(float, np.quantile(shares, [0.025, 0.975]))
            row |= dict(zip(COLUMNS[2:], (float(np.median(shares)), low, high), strict=True))
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)
