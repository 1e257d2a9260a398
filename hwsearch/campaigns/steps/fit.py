"""The first steps of a campaign: check → profile → evaluate → fit. Each can be repeated; none measures twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from hwsearch._typing import FloatArray, IntArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import find_accuracy, find_metric
from hwsearch.campaigns.steps.profile import profile_set
from hwsearch.errors import CampaignError, PredictorError
from hwsearch.registry import entry_points
from hwsearch.reporting.words import number
from hwsearch.spaces import Architecture
from predictors import BasePredictor, CrossValidatedPredictor, default_candidates, scores
from predictors import PredictorError as PredictorRefusal
from predictors import load as load_predictor
from predictors import save as save_predictor


def feature_matrix(campaign: Campaign, rows: IntArray) -> FloatArray:
    """Features (n, columns) of rows (n, genes) for the predictors."""
    return campaign.loaded.net.features_array(rows)[0]


def candidates(positive: bool, seed: int) -> dict[str, BasePredictor]:
    """Return the predictors that cross-validation chooses from, by name.

    Those of `predictors.default_candidates`, then those of installed plug-ins: an entry point of the group
    ``hwsearch.predictors`` is a function of `positive` and `seed` that returns a fresh, registered predictor.

    Parameters
    ----------
    positive : bool
        Whether all targets are positive, so that their logarithm can be learnt.
    seed : int
        The seed of predictors that are random.

    Returns
    -------
    dict of str to BasePredictor
        Unfitted predictors.

    Raises
    ------
    PredictorError
        If a name is taken twice.
    """
    found: dict[str, BasePredictor] = dict(default_candidates(positive, seed))
    for point in entry_points(group="hwsearch.predictors"):
        if point.name in found:
            raise PredictorError(f"two predictors are named {point.name!r}: rename the entry point {point.value!r}.")
        found[point.name] = point.load()(positive, seed)
    return found


@contextmanager
def _predictor_errors(what: str, hint: str | None = None) -> Iterator[None]:
    """Refusals of the `predictors` package, which knows no `HwsearchError`, as one that names `what` was asked."""
    try:
        yield
    except PredictorRefusal as error:
        raise PredictorError(f"{what}: {error.message}", hint=hint or error.hint) from error


def fit(campaign: Campaign) -> pd.DataFrame:
    """Fit one predictor for accuracy and one a device on the profile's measurements; scored by cross-validation.

    Returns one row a metric with mae, mape, spearman, kendall on measurements that were not used for fitting.
    """
    every, _, _ = profile_set(campaign)
    wanted = {a.id: a for a in every}
    jobs: list[tuple[str, str | None, dict[str, float]]] = []
    known = find_accuracy(campaign, "validation", "search")
    jobs.append(
        ("accuracy", None, {k: float(m.value) for k, m in known.items() if k in wanted and m.value is not None})
    )
    for target in campaign.targets.values():
        for metric in campaign.device_metrics(target.name):
            found = find_metric(campaign, target, metric, "search")
            values = {k: float(m.value) for k, m in found.items() if k in wanted and m.value is not None}
            jobs.append((metric, target.name, values))
    out = []
    judge = campaign.loaded.task
    with campaign.progress.task("fit", len(jobs), "predictors") as task:
        notes = []
        for i, (metric, device, values) in enumerate(jobs):
            if len(values) < 8:
                raise CampaignError(
                    f"only {len(values)} measurements of {metric}{f' on {device}' if device else ''} are there; a predictor needs 8.",
                    hint="Run 'hwsearch profile' and 'hwsearch evaluate' first.",
                )
            ids = [k for k in wanted if k in values]
            X = feature_matrix(campaign, campaign.space.to_array([wanted[k] for k in ids]))
            y = np.array([values[k] for k in ids])
            with _predictor_errors(f"the predictor of {metric}{f' on {device}' if device else ''} cannot be fitted"):
                seed = campaign.config.search.seed
                predictor = CrossValidatedPredictor(candidates(bool(y.min() > 0), seed), seed=seed).fit(X, y)
                save_predictor(predictor, predictor_path(campaign, metric, device))
            row = {
                "metric": metric,
                "device": device,
                "n": len(y),
                "model": predictor.best_,
                **scores(y, predictor.oof_predictions_),
            }
            out.append(row)
            notes.append(
                f"{judge.score_name} τ {number(row['kendall'], 2)} ±{row['mae']:.1f} {judge.difference_unit}"
                if metric == "accuracy"
                else f"{device}{'' if metric == 'latency_ms' else f' {metric}'} MAPE {row['mape']:.1f} %"
            )
            task.update(i + 1)
        task.note(" · ".join(notes))
    campaign.store.put_state("fit", {"scores": out})
    return pd.DataFrame(out)


def predictor_path(campaign: Campaign, metric: str, device: str | None) -> Any:
    folder = campaign.folder / "predictors"
    folder.mkdir(exist_ok=True)
    return folder / (f"{metric}@{device}.zip" if device else f"{metric}.zip")


def predict(
    campaign: Campaign, metric: str, device: str | None, archs: Sequence[Architecture], coverage: float = 0.9
) -> pd.DataFrame:
    """Predictions with intervals (columns value, low, high) of a fitted predictor."""
    path = predictor_path(campaign, metric, device)
    if not path.exists():
        raise CampaignError(f"there is no fitted predictor of {metric}.", hint="Run 'hwsearch fit' first.")
    X = feature_matrix(campaign, campaign.space.to_array(archs))
    for point in entry_points(group="hwsearch.predictors"):
        point.load()  # registers the classes that the file may name
    with _predictor_errors(f"the predictor of {metric} cannot be used", hint="Run 'hwsearch fit' to fit it anew."):
        predictor = load_predictor(path)
        low, high = predictor.predict_interval(X, coverage)
        return pd.DataFrame({"value": predictor.predict(X), "low": low, "high": high})
