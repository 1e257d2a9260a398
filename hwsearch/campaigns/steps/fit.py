"""Fit the predictors of a campaign on what its profile measured."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from hwsearch._files import anything, check_place, own_folder
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import Known, Scores
from hwsearch.campaigns.predictions import candidates, feature_matrix, predictor_errors, predictor_path
from hwsearch.campaigns.search_config import FEWEST
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.states import FIT
from hwsearch.errors import CampaignError
from hwsearch.reporting.words import number
from predictors import CrossValidatedPredictor, scores
from predictors import save as save_predictor


class _Fit(NamedTuple):
    """One predictor to be fitted: its metric, the device where that is measured, values by architecture id."""

    metric: str
    device: str | None
    values: dict[str, float]

    @property
    def what(self) -> str:
        return f"{self.metric}{f' on {self.device}' if self.device else ''}"


def fit(campaign: Campaign) -> pd.DataFrame:
    """Fit one predictor for accuracy and one a device on the profile's measurements.

    Parameters
    ----------
    campaign : Campaign
        Whose profile has been measured.

    Returns
    -------
    pandas.DataFrame
        A row a metric with ``mae``, ``mape``, ``spearman`` and ``kendall`` on measurements that were not used for fitting
        (cross-validation).

    Raises
    ------
    CampaignError
        If a metric has been measured on too few subnets.
    PredictorError
        If a predictor cannot be fitted.
    """
    known = Known.read(campaign)
    wanted = {a.id: a for a in campaign.profile_set.timed}

    def values(rows: Scores) -> dict[str, float]:
        return {k: float(rows[k].value or 0.0) for k in rows if k in wanted}

    jobs = [_Fit("accuracy", None, values(known.accuracy(Split.VALIDATION)))]
    for name in campaign.targets:
        jobs += [_Fit(m, name, values(known.metric(name, m))) for m in campaign.device_metrics(name)]
    out = []
    judge, seed = campaign.loaded.task, campaign.config.search.seed
    with campaign.progress.task("fit", len(jobs), "predictors") as task:
        notes = []
        for i, job in enumerate(jobs):
            if len(job.values) < FEWEST:
                raise CampaignError(
                    f"only {len(job.values)} measurements of {job.what} are there; a predictor needs {FEWEST}.",
                    hint="Run 'hwsearch profile' and 'hwsearch evaluate' first.",
                )
            ids = [k for k in wanted if k in job.values]
            X = feature_matrix(campaign, campaign.space.to_array([wanted[k] for k in ids]))
            y = np.array([job.values[k] for k in ids])
            with predictor_errors(f"the predictor of {job.what} cannot be fitted"):
                predictor = CrossValidatedPredictor(candidates(bool(y.min() > 0), seed), seed=seed).fit(X, y)
                path = predictor_path(campaign, job.metric, job.device)
                own_folder(path.parent)
                check_place(path, anything)  # the folder is the campaign's own; a damaged file is replaced
                save_predictor(predictor, path)
            row = {
                "metric": job.metric,
                "device": job.device,
                "n": len(y),
                "model": predictor.best_,
                **scores(y, predictor.oof_predictions_),
            }
            out.append(row)
            notes.append(
                f"{judge.score_name} τ {number(row['kendall'], 2)}, mean error {row['mae']:.1f} {judge.difference_unit}"
                if job.metric == "accuracy"
                else f"{job.device}{'' if job.metric == 'latency_ms' else f' {job.metric}'} MAPE {row['mape']:.1f} %"
            )
            task.update(i + 1)
        task.note(" · ".join(notes))
    campaign.store.put_state(FIT, {"scores": out})
    return pd.DataFrame(out)
