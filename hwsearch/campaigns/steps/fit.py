"""Fit the predictors of a campaign on what its profile measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from hwsearch._files import anything, check_place, own_folder
from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.device_settings import fit_with_settings
from hwsearch.campaigns.device_sources import OWN, fit_with_sources
from hwsearch.campaigns.fidelities import screened_candidate
from hwsearch.campaigns.known import Known, Scores
from hwsearch.campaigns.noise import device_noise
from hwsearch.campaigns.operator_costs import fit_with_operators
from hwsearch.campaigns.predictions import candidates, feature_matrix, predictor_errors, predictor_path
from hwsearch.campaigns.search_config import FEWEST
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.states import FIT
from hwsearch.errors import CampaignError
from hwsearch.objectives.names import SCORE_METRICS
from hwsearch.reporting.figures.learnt import learnt_figure
from hwsearch.reporting.style import save as save_figure
from hwsearch.reporting.words import label, number
from hwsearch.searchers.threads import one_blas_thread
from predictors import CrossValidatedPredictor, Schema, card_of
from predictors import save as save_predictor
from predictors.diagnosis import diagnose
from predictors.operators import OperatorPredictor
from predictors.select import process_of
from predictors.settings import SettingsPredictor
from predictors.sourced import SourcedPredictor

#: the model of a device whose latencies are predicted from those of others as well
SOURCED = "other devices"
#: that of a device whose operators are known
OPERATORS = "operators"
#: that of a device that was also measured at other batches or numbers of threads
SETTINGS = "other batches and threads"


class _Fit(NamedTuple):
    """One predictor to be fitted: its metric, the device where that is measured, values by architecture id, and their noise."""

    metric: str
    device: str | None
    values: dict[str, float]
    noise: Callable[[list[str]], FloatArray]

    @property
    def what(self) -> str:
        return f"{self.metric}{f' on {self.device}' if self.device else ''}"


class _Chosen(NamedTuple):
    """A fitted predictor, the name of its model, and in a sentence what it trusted beside the rows."""

    predictor: CrossValidatedPredictor | OperatorPredictor | SettingsPredictor | SourcedPredictor
    model: str
    said: str = ""


@one_blas_thread()
def fit(campaign: Campaign) -> pd.DataFrame:
    """Fit one predictor for accuracy, one for verified accuracy where that is an objective, and one a device on the profile's measurements.

    Where the store has an operator table of a device, the sums of operators are the first guess of its latencies. Where another
    target is the same device at another batch or number of threads, its latencies are learnt from as well, and below 50 latencies those
    of other devices; each only where the error of rows left out is no larger. What was trusted is said in a sentence. Beside each
    predictor's file lies a figure of how it learns, as SVG and PNG.

    Parameters
    ----------
    campaign : Campaign
        Whose profile has been measured.

    Returns
    -------
    pandas.DataFrame
        A row a metric with ``mae``, ``mape``, ``spearman`` and ``kendall`` on measurements that were not used for fitting
        (cross-validation), and ``sources``, what was trusted of operators, other settings and other devices.

    Raises
    ------
    CampaignError
        If a metric has been measured on too few subnets.
    PredictorError
        If a predictor cannot be fitted.
    """
    known, schema = Known.read(campaign), campaign.loaded.net.schema()
    jobs, rows = _jobs(campaign, known), []
    with campaign.progress.task("fit", len(jobs), "predictors") as task:
        notes = []
        for i, job in enumerate(jobs):
            row = _fit_one(campaign, known, schema, job)
            rows.append(row)
            notes += [_note(campaign, row), *([str(row["sources"])] if "sources" in row else [])]
            task.update(i + 1)
        task.note(" · ".join(notes))
    campaign.store.put_state(FIT, {"scores": rows})
    return pd.DataFrame(rows)


def _jobs(campaign: Campaign, known: Known) -> list[_Fit]:
    """List the predictors to be fitted on what the profile measured."""
    wanted = {a.id for a in campaign.profile_set.timed}

    def values(rows: Scores) -> dict[str, float]:
        return {k: float(rows[k].value or 0.0) for k in rows if k in wanted}

    def on_device(metric: str, name: str) -> _Fit:
        found = known.metric(name, metric)
        return _Fit(metric, name, values(found), lambda ids: device_noise(found, ids, campaign.protocol.confidence))

    # scores are of the same examples for all subnets, so that their intervals say little of how two of them compare
    jobs = [
        _Fit(m, None, values(known.score(m, Split.VALIDATION)), lambda ids: np.full(len(ids), np.nan))
        for m in campaign.score_metrics
    ]
    for name in campaign.targets:
        jobs += [on_device(m, name) for m in campaign.device_metrics(name)]
    return jobs


def _fit_one(campaign: Campaign, known: Known, schema: Schema, job: _Fit) -> JsonObject:
    """Fit one predictor, write its file with its card and figure, and return its row."""
    if len(job.values) < FEWEST:
        raise CampaignError(
            f"only {len(job.values)} measurements of {job.what} are there; a predictor needs {FEWEST}.",
            hint="Run 'hwsearch profile' and 'hwsearch evaluate' first.",
        )
    seed = campaign.config.search.seed
    wanted = {a.id: a for a in campaign.profile_set.timed}
    ids = [k for k in wanted if k in job.values]
    X = feature_matrix(campaign, campaign.space.to_array([wanted[k] for k in ids]))
    y, noise = np.array([job.values[k] for k in ids]), job.noise(ids)
    with predictor_errors(f"the predictor of {job.what} cannot be fitted"):
        made = candidates(bool(y.min() > 0), seed, schema)
        if job.device is None:
            made |= screened_candidate(campaign, known, seed, schema)
        chosen = CrossValidatedPredictor(made, seed=seed).fit(X, y, noise)
        predictor, model, said = _with_more(campaign, job, (X, y, noise), chosen)
        path = predictor_path(campaign, job.metric, job.device)
        own_folder(path.parent)
        check_place(path, anything)  # the folder is the campaign's own; a damaged file is replaced
        card = card_of(
            predictor,
            metric=job.metric,
            unit=_unit(job.metric, campaign.loaded.task.difference_unit),
            device=campaign.targets[job.device].fingerprint if job.device else None,
            space=campaign.space.name,
            schema=schema,
            rows=list(zip(ids, y.tolist(), noise.tolist(), strict=True)),
        )
        if said:
            card["sources"] = {"trusted": said, "hypotheses": getattr(predictor, "shares_", {})}
        scores = predictor.procedure_scores_
        if predictor is not chosen:
            card |= {"model": model, "scores": scores, "candidates": chosen.scores_ | {model: scores}}
        card |= diagnose(predictor, X, y, noise, seed)
        save_predictor(predictor, path, card)
    _draw(campaign, job, card | {"model": model}, path)
    row = {"metric": job.metric, "device": job.device, "n": len(y), "model": model, **scores}
    return row | ({"sources": said} if said else {})


def _with_more(
    campaign: Campaign, job: _Fit, rows: tuple[FloatArray, FloatArray, FloatArray], chosen: CrossValidatedPredictor
) -> _Chosen:
    """Learn latencies from operators and other settings of the device, and few of them from other devices, where that is no worse."""
    X, y, noise = rows
    best = _Chosen(chosen, chosen.best_)
    if job.metric != "latency_ms" or job.device is None or y.min() <= 0:
        return best
    target = campaign.targets[job.device]
    with_operators, said = fit_with_operators(campaign, target, rows, chosen)
    best = _Chosen(chosen, chosen.best_, said) if with_operators is None else _Chosen(with_operators, OPERATORS, said)
    with_settings, shared = fit_with_settings(campaign, target, rows, best.predictor.oof_predictions_)
    said = "; ".join(filter(None, (said, shared)))
    best = best._replace(said=said) if with_settings is None else _Chosen(with_settings, SETTINGS, said)
    if len(y) >= OWN:
        return best
    process = process_of(best.predictor)
    told = noise * (process.noise_scale_ if process else 1.0)  # as much of the noise as the rows show
    sourced, trusted = fit_with_sources(campaign, target, (X, y, told), best.predictor.oof_predictions_)
    said = "; ".join(filter(None, (said, trusted)))
    return best._replace(said=said) if sourced is None else _Chosen(sourced, SOURCED, said)


def _draw(campaign: Campaign, job: _Fit, card: JsonObject, path: Path) -> None:
    """Draw how a predictor learns, beside its file."""
    task, accuracy = campaign.loaded.task, job.metric == "accuracy"
    named = {
        "name": task.score_name if accuracy else label(job.metric).split(" (")[0].lower(),
        "unit": task.score_unit if accuracy else card["unit"],
        "where": job.device or "",
    }
    save_figure(learnt_figure(card | named), path.parent, path.name.removesuffix(".zip"))


def _note(campaign: Campaign, row: JsonObject) -> str:
    """Say in a few words how well a predictor does."""
    metric, task = row["metric"], campaign.loaded.task
    if metric in SCORE_METRICS:
        name = task.score_name if metric == "accuracy" else "verified"
        return f"{name} τ {number(row['kendall'], 2)}, mean error {row['mae']:.1f} {task.difference_unit}"
    return f"{row['device']}{'' if metric == 'latency_ms' else f' {metric}'} MAPE {row['mape']:.1f} %"


def _unit(metric: str, points: str) -> str:
    """Return the unit that a metric's name ends with; scores are in points."""
    suffixes = {"_ms": "ms", "_mib": "MiB", "_mj": "mJ"}
    return points if metric in SCORE_METRICS else next((u for s, u in suffixes.items() if metric.endswith(s)), "")
