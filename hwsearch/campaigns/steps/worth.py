"""Whether a search was worth it: what it proposed against random subnets, with as many measurements."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from hwsearch._typing import FloatArray
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import hypervolume, reference_point

#: fewest measurements a side that are compared
FEWEST = 8
#: bootstrap samples of the random subnets
RESAMPLES = 2000


def search_worth(points: pd.DataFrame) -> dict[str, Any]:
    """Compare what a search proposed with random subnets of the same campaign, as many of each.

    Both were measured by the same protocol and scored on the same validation data. The search's are its first proposals;
    the profile that it had learnt from is not among them, and is counted beside.

    Parameters
    ----------
    points : pandas.DataFrame
        Of `hwsearch.campaigns.steps.report_points.searched_points`.

    Returns
    -------
    dict
        ``n`` subnets of each side were compared; ``searched``, ``random`` and ``profiled`` (random ones included) were measured
        in all. Where `n` is at least `FEWEST`, also ``search_share`` and ``random_share`` of the best hypervolume known,
        ``dominated`` (how many of the random ones a proposal dominates) and ``gain``: by how much the best proposal that is no
        slower is more accurate than a random one, on the mean over the random ones that have one (``compared`` of them),
        with its 95 % bootstrap interval ``gain_low`` and ``gain_high``, in the score's unit.

    References
    ----------
    B. Efron (1979). "Bootstrap methods: another look at the jackknife." The Annals of Statistics 7, 1.
    """
    full = points.dropna(subset=["accuracy", "latency_ms"]).sort_values("evaluation", kind="stable")
    sides = {
        role: full.loc[full["role"] == role, ["accuracy", "latency_ms"]].to_numpy(np.float64)
        for role in ("search", "random", "profile")
    }
    n = min(len(sides["search"]), len(sides["random"]))
    found: dict[str, Any] = {
        "n": n,
        "searched": len(sides["search"]),
        "random": len(sides["random"]),
        "profiled": len(sides["profile"]) + len(sides["random"]),
    }
    if n < FEWEST:
        return found
    search, random = sides["search"][:n], sides["random"][:n]
    two = [Objective("accuracy"), Objective("latency_ms")]
    every = np.concatenate(list(sides.values()))
    reference = reference_point(every, two)
    best = hypervolume(every, two, reference)
    found |= {
        f"{name}_share": hypervolume(v, two, reference) / best for name, v in (("search", search), ("random", random))
    }
    no_slower = search[None, :, 1] <= random[:, None, 1]
    better = no_slower & (search[None, :, 0] >= random[:, None, 0])
    better &= (search[None, :, 1] < random[:, None, 1]) | (search[None, :, 0] > random[:, None, 0])
    found["dominated"] = int(better.any(axis=1).sum())
    gains = np.where(no_slower, search[None, :, 0], -np.inf).max(axis=1) - random[:, 0]
    return found | _mean_with_interval(gains[np.isfinite(gains)])


def _mean_with_interval(gains: FloatArray) -> dict[str, Any]:
    """Return the mean and its percentile bootstrap interval; nothing where it would rest on too few."""
    if len(gains) < FEWEST:
        return {}
    draws = np.random.default_rng(0).integers(0, len(gains), (RESAMPLES, len(gains)))
    low, high = np.quantile(gains[draws].mean(axis=1), [0.025, 0.975])
    return {"gain": float(gains.mean()), "gain_low": float(low), "gain_high": float(high), "compared": len(gains)}
