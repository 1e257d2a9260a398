"""Running coverage of a campaign's predictors: what was measured after the fit against their intervals, which it may widen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special

import predictors
from hwsearch._typing import FloatArray, IntArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.predictions import (
    AGAIN,
    feature_matrix,
    load_predictor,
    predict_rows,
    predictor_errors,
    predictor_path,
)
from hwsearch.campaigns.purpose import VALIDATE
from hwsearch.campaigns.score_table import encoded, numbers
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.states import FIT
from hwsearch.spaces import Architecture
from predictors.coverage import RunningCoverage, running_coverage
from predictors.diagnosis import ASKED, share_held

#: coverage of the intervals that cards tell of
COVERAGE = 0.95
#: latest measurements that are compared, at most
MOST = 5000
#: the same for intervals of several coverages
MOST_COUNTED = 1000


def later_measurements(
    campaign: Campaign, known: Known, metric: str, device: str | None
) -> tuple[list[str], FloatArray]:
    """Return what a fit had not seen: each architecture that was measured after it, once.

    Latencies of candidates that only `validate` measured count, too. Their accuracies on the test data do not: these are another
    quantity than the score on the validation data, which is predicted.

    Parameters
    ----------
    campaign : Campaign
        Whose predictor.
    known : Known
        What the store holds.
    metric : str
        What is predicted.
    device : str or None
        Where it is measured.

    Returns
    -------
    ids : list of str
        Architecture ids, oldest first; the latest `MOST`.
    values : numpy.ndarray
        Shape (ids,), in the metric's unit.
    """
    card = predictor_card(campaign, metric, device) or {}
    rows = card.get("ids")
    seen = set(map(str, rows)) if isinstance(rows, list) else {a.id for a in campaign.profile_set.timed}
    if device is None:
        tables = [known.accuracy(Split.VALIDATION)]
    else:
        tables = [known.metric(device, metric), known.metric(device, metric, VALIDATE)]
    ids: list[str] = []
    values: list[FloatArray] = []
    for table in tables:
        new = [i for i in table if i not in seen and i in known.architectures]
        seen.update(new)
        ids += new
        values.append(numbers(table, "value", new))
    y = np.concatenate(values)
    kept = np.flatnonzero(np.isfinite(y))[-MOST:]
    return [ids[i] for i in kept], y[kept]


def running(
    campaign: Campaign, known: Known, metric: str, device: str | None, coverage: float = COVERAGE
) -> RunningCoverage | None:
    """Compare what was measured after a fit with the intervals that the fit gave for it.

    Parameters
    ----------
    campaign : Campaign
        Whose predictor.
    known : Known
        What the store holds.
    metric : str
        What is predicted.
    device : str or None
        Where it is measured.
    coverage : float
        That the intervals are made for, in (0, 1).

    Returns
    -------
    RunningCoverage or None
        None where nothing was measured after the fit, or where it had too few rows for an interval of this coverage.

    Raises
    ------
    CampaignError
        If no predictor has been fitted.
    PredictorError
        If its file is damaged.
    """
    ids, y = later_measurements(campaign, known, metric, device)
    if not ids:
        return None
    told = predict_rows(campaign, metric, device, encoded(known.architectures, campaign.space, ids), coverage)
    if not np.isfinite(told["high"] - told["low"]).all():
        return None
    value = told["value"].clip(told["low"], told["high"])  # a plug-in's prediction may lie beside its interval
    with predictor_errors(f"the intervals of {metric} cannot be compared", hint=AGAIN):
        return running_coverage(y, value, told["low"], told["high"], asked=coverage)


def predict_widened(
    campaign: Campaign, known: Known, metric: str, device: str | None, rows: IntArray, coverage: float
) -> tuple[pd.DataFrame, RunningCoverage | None]:
    """Predict a metric of encoded subnets, with intervals as wide as the running coverage says.

    Parameters
    ----------
    campaign : Campaign
        Whose predictor.
    known : Known
        What the store holds.
    metric : str
        What is predicted.
    device : str or None
        Where it is measured.
    rows : numpy.ndarray
        Shape (n, genes).
    coverage : float
        Share of new measurements that the intervals are to contain.

    Returns
    -------
    frame : pandas.DataFrame
        As of `hwsearch.campaigns.predictions.predict`.
    found : RunningCoverage or None
        As of `running`.

    Raises
    ------
    CampaignError
        If no predictor has been fitted.
    PredictorError
        If its file is damaged.
    """
    told, found = (
        predict_rows(campaign, metric, device, rows, coverage),
        running(campaign, known, metric, device, coverage),
    )
    if found is not None:
        told["low"], told["high"] = found.widen(told["value"], told["low"], told["high"])
    return told, found


def predicted_interval(
    campaign: Campaign, metric: str, device: str | None, archs: Sequence[Architecture], coverage: float
) -> tuple[FloatArray, FloatArray] | None:
    """Predict a metric with an interval of any coverage, as wide as the running coverage says.

    Where the fit had too few rows for an interval of that coverage, a narrower one is scaled as the interval of a normal
    distribution is.

    Parameters
    ----------
    campaign : Campaign
        Whose predictor.
    metric : str
        What is predicted.
    device : str or None
        Where it is measured.
    archs : sequence of Architecture
        The subnets.
    coverage : float
        Share of true values that the intervals are to contain.

    Returns
    -------
    tuple of FloatArray, or None
        (n,) predictions and (n,) half widths of their intervals; None where no predictor has been fitted.
    """
    if not predictor_path(campaign, metric, device).exists():
        return None
    known, rows = Known.read(campaign), campaign.space.to_array(archs)
    for asked in (coverage, 0.9, 0.68):
        if asked > coverage:
            continue
        found = predict_widened(campaign, known, metric, device, rows, asked)[0]
        half = ((found["high"] - found["low"]) / 2).to_numpy(dtype=np.float64)
        if np.isfinite(half).all():
            scale = special.ndtri((1 + coverage) / 2) / special.ndtri((1 + asked) / 2)
            return found["value"].to_numpy(dtype=np.float64), half * float(scale)
    return None


def record_coverage(campaign: Campaign) -> None:
    """Write the running coverage into the cards of the campaign's predictors, where it has changed.

    Parameters
    ----------
    campaign : Campaign
        Whose predictors; those that have not been fitted are left out.

    Raises
    ------
    PredictorError
        If the file of one is damaged.
    """
    fitted = (campaign.store.get_state(FIT) or {}).get("scores", [])
    known = Known.read(campaign) if fitted else Known()
    for row in fitted:
        metric, device = row["metric"], row["device"]
        path = predictor_path(campaign, metric, device)
        card = predictor_card(campaign, metric, device) if path.exists() else None
        if card is None or (device is not None and device not in campaign.targets):
            continue
        found = running(campaign, known, metric, device)
        told = None if found is None else found.to_dict()
        if told != card.get("coverage"):
            with predictor_errors(f"the card of {metric} cannot be written"):
                predictors.replace_card(path, card | {"coverage": told})


def later_coverage(
    campaign: Campaign, known: Known, metric: str, device: str | None
) -> dict[str, list[float] | int] | None:
    """Compute which share of what was measured after a fit its intervals hold, for several shares that are asked for.

    Parameters
    ----------
    campaign : Campaign
        Whose predictor.
    known : Known
        What the store holds.
    metric : str
        What is predicted.
    device : str or None
        Where it is measured.

    Returns
    -------
    dict or None
        Lists ``asked`` and ``held``, and ``n``, the latest `MOST_COUNTED` measurements at most. Intervals are those of the fit, not
        widened. None where nothing was measured after it, or no interval is finite.

    Raises
    ------
    CampaignError
        If no predictor has been fitted.
    PredictorError
        If its file is damaged.
    """
    ids, y = later_measurements(campaign, known, metric, device)
    ids, y = ids[-MOST_COUNTED:], y[-MOST_COUNTED:]
    if not ids:
        return None
    predictor = load_predictor(campaign, metric, device)
    asked: list[float] = []
    held: list[float] = []
    with predictor_errors(f"the intervals of {metric} cannot be compared", hint=AGAIN):
        X = feature_matrix(campaign, encoded(known.architectures, campaign.space, ids))
        for share in ASKED:
            low, high = predictor.predict_interval(X, share)
            if np.isfinite(high - low).all():
                asked.append(share)
                held.append(share_held(y, low, high))
    return {"asked": asked, "held": held, "n": len(ids)} if asked else None


def predictor_card(campaign: Campaign, metric: str, device: str | None) -> dict[str, object] | None:
    """Read the card of a campaign's predictor.

    Parameters
    ----------
    campaign : Campaign
        Whose predictor.
    metric : str
        What is predicted.
    device : str or None
        Where it is measured.

    Returns
    -------
    dict or None
        None where no predictor has been fitted, or it has no card.

    Raises
    ------
    PredictorError
        If its file is damaged.
    """
    with predictor_errors(f"the predictor of {metric} cannot be used", hint=AGAIN):
        path = predictor_path(campaign, metric, device)
        return predictors.read_card(path) if path.exists() else None
