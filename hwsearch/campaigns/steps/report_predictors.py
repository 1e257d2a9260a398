"""Errors and coverage of the profile's predictors on subnets measured later."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.predictions import TOGETHER, predict_rows, shift_of
from hwsearch.campaigns.running import COVERAGE, later_coverage, later_measurements, predictor_card, running
from hwsearch.campaigns.score_table import encoded
from hwsearch.campaigns.states import FIT
from predictors import scores

#: columns of the coverage, which later measurements tell, and their names in its report
ENDS = {"": "coverage", "_low": "low", "_high": "high"}
#: what the page shows of a predictor's card
KEPT = ("left_out", "left_out_coverage", "learning_curve", "parts")


def predictor_scores(campaign: Campaign, known: Known) -> list[dict[str, Any]]:
    """Score the profile's predictors on subnets measured later, which they never saw.

    Parameters
    ----------
    campaign : Campaign
        Whose predictors.
    known : Known
        What the store holds.

    Returns
    -------
    list of dict
        One a fitted predictor: errors, rank correlations, and the coverage with its exact interval; those of
        cross-validation where fewer than three subnets were measured later.
    """
    out = []
    for row in fitted_scores(campaign):
        metric, device = row["metric"], row["device"]
        ids, y = later_measurements(campaign, known, metric, device)
        entry = {
            "metric": metric,
            "device": device,
            "model": row["model"],
            "n_train": row["n"],
            "nominal_coverage": COVERAGE,
        }
        card = predictor_card(campaign, metric, device) or {}
        entry |= {name: card[name] for name in KEPT if card.get(name)}
        if len(ids) >= 3:
            parts = (
                encoded(known.architectures, campaign.space, ids[k : k + TOGETHER])
                for k in range(0, len(ids), TOGETHER)
            )
            value = np.concatenate([predict_rows(campaign, metric, device, rows, COVERAGE)["value"] for rows in parts])
            entry |= {"n_test": len(ids), "coverage": None, **scores(y, value)}
            found = running(campaign, known, metric, device, COVERAGE)
            if found is not None:  # a small fit has no interval of this coverage
                entry |= {f"coverage{end}": getattr(found.report, of) for end, of in ENDS.items()}
                entry["widened"] = found.factor
            held = later_coverage(campaign, known, metric, device)
            entry |= {"later_coverage": held} if held else {}
        else:
            entry |= {"n_test": f"{row['n']} (5-fold)", **{k: row[k] for k in ("mae", "mape", "spearman", "kendall")}}
        out.append(entry)
    return out


def predictor_warnings(campaign: Campaign, known: Known) -> list[str]:
    """Return what is to be known of predictions: intervals that held too little, and subnets unlike those of the fit.

    Parameters
    ----------
    campaign : Campaign
        Whose predictors.
    known : Known
        What the store holds.

    Returns
    -------
    list of str
        Sentences.
    """
    said = []
    for row in fitted_scores(campaign):
        metric, device = row["metric"], row["device"]
        where = f"Predictor of {metric}{f' on {device}' if device else ''}"
        found = running(campaign, known, metric, device, COVERAGE)
        said += [f"{where}: {found.warning}"] if found is not None and found.warning else []
        ids = later_measurements(campaign, known, metric, device)[0]
        shift = shift_of(campaign, metric, device, encoded(known.architectures, campaign.space, ids)) if ids else None
        if shift is not None and shift.warning:
            said.append(f"{where}, of {len(ids)} subnets measured after the fit: {shift.warning}")
    return said


def fitted_scores(campaign: Campaign) -> list[dict[str, Any]]:
    """Return the kept rows of `fit`, of predictors that can be asked here.

    Parameters
    ----------
    campaign : Campaign
        Whose predictors.

    Returns
    -------
    list of dict
        As `fit` returned them.
    """
    rows = (campaign.store.get_state(FIT) or {}).get("scores", [])
    return [row for row in rows if row["device"] is None or row["device"] in campaign.targets]
