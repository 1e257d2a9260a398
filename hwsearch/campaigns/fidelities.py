"""Cheaper measurements of a campaign, which its predictors learn from, too."""

from __future__ import annotations

import numpy as np

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.predictions import feature_matrix
from hwsearch.campaigns.score_table import encoded, numbers
from hwsearch.campaigns.search_config import FEWEST
from hwsearch.campaigns.split import Split
from predictors import BasePredictor, FidelityPredictor, Schema

#: name of the candidate of `fit`
NAME = "gaussian-process-fidelities"


def screened_candidate(campaign: Campaign, known: Known, seed: int, schema: Schema) -> dict[str, BasePredictor]:
    """Make a candidate that learns the accuracy from scores on few examples, too, where the search has screened.

    It is taken where it predicts better than the process without them, by more than chance.

    Parameters
    ----------
    campaign : Campaign
        Whose store and supernet.
    known : Known
        What the store holds.
    seed : int
        Of the candidate.
    schema : Schema
        What the columns of features say.

    Returns
    -------
    dict of str to BasePredictor
        By its name; empty where fewer than `FEWEST` subnets were scored on few examples.
    """
    scores = known.accuracy(Split.SCREEN)
    values = numbers(scores, "value", list(scores))
    ids = [i for i, v in zip(scores, values, strict=True) if np.isfinite(v) and i in known.architectures]
    if len(ids) < FEWEST:
        return {}
    X = feature_matrix(campaign, encoded(known.architectures, campaign.space, ids))
    few = f"accuracy on {campaign.config.search.screening_images or 'few'} examples"
    return {NAME: FidelityPredictor(schema, {few: (X, numbers(scores, "value", ids))}, seed=seed)}
