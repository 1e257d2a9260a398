"""How well the profile's predictors did on subnets measured later."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.predictions import TOGETHER, predict_rows
from hwsearch.campaigns.profile_set import ProfileSet
from hwsearch.campaigns.score_table import encoded, numbers
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.states import FIT
from predictors import coverage_report, scores

#: share of later measurements that the predictors' intervals are to contain
COVERAGE = 0.95
#: columns of the coverage, which later measurements tell, and their names in its report
ENDS = {"": "coverage", "_low": "low", "_high": "high"}


def predictor_scores(campaign: Campaign, known: Known, profiled: ProfileSet) -> list[dict[str, Any]]:
    """Score the profile's predictors on subnets measured later, which they never saw.

    Parameters
    ----------
    campaign : Campaign
        Whose predictors.
    known : Known
        What the store holds.
    profiled : ProfileSet
        What the predictors were fitted on.

    Returns
    -------
    list of dict
        One a fitted predictor: errors, rank correlations, and the coverage with its exact interval; those of
        cross-validation where fewer than three subnets were measured later.
    """
    fitted = (campaign.store.get_state(FIT) or {}).get("scores", [])
    seen = {a.id for a in profiled.timed}
    archs = known.architectures
    out = []
    for row in fitted:
        metric, device = row["metric"], row["device"]
        found = known.accuracy(Split.VALIDATION) if metric == "accuracy" else known.latency(device)
        ids = [i for i in found if i not in seen and i in archs]
        entry = {
            "metric": metric,
            "device": device,
            "model": row["model"],
            "n_train": row["n"],
            "nominal_coverage": COVERAGE,
        }
        if len(ids) >= 3:
            y = numbers(found, "value", ids)
            parts = (encoded(archs, campaign.space, ids[k : k + TOGETHER]) for k in range(0, len(ids), TOGETHER))
            p = pd.concat([predict_rows(campaign, metric, device, rows, COVERAGE) for rows in parts])
            entry |= {"n_test": len(ids), "coverage": None, **scores(y, p["value"].to_numpy())}
            if np.isfinite(p["high"] - p["low"]).all():  # a small fit has no interval of this coverage
                found_inside = coverage_report(y, p["low"], p["high"], asked=COVERAGE)
                entry |= {f"coverage{end}": getattr(found_inside, of) for end, of in ENDS.items()}
        else:
            entry |= {"n_test": f"{row['n']} (5-fold)", **{k: row[k] for k in ("mae", "mape", "spearman", "kendall")}}
        out.append(entry)
    return out
