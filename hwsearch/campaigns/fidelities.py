"""Cheaper measurements of a campaign, which its predictors learn from, too."""

from __future__ import annotations

import numpy as np

from hwsearch._typing import FloatArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.predictions import feature_matrix
from hwsearch.campaigns.score_table import encoded, numbers
from hwsearch.campaigns.search_config import FEWEST
from hwsearch.campaigns.split import partial_splits
from predictors import BasePredictor, FidelityPredictor, Schema

#: name of the candidate of `fit`
NAME = "gaussian-process-fidelities"


def screened_candidate(campaign: Campaign, known: Known, seed: int, schema: Schema) -> dict[str, BasePredictor]:
    """Make a candidate that learns the accuracy from scores on few examples, too, where the search has scored some so.

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
    tables: dict[str, tuple[FloatArray, FloatArray]] = {}
    for split in partial_splits(campaign.data):
        scores = known.accuracy(split)
        values = numbers(scores, "value", list(scores))
        ids = [i for i, v in zip(scores, values, strict=True) if np.isfinite(v) and i in known.architectures]
        if len(ids) >= FEWEST:
            X = feature_matrix(campaign, encoded(known.architectures, campaign.space, ids))
            tables[f"accuracy on {len(campaign.data[split])} examples"] = (X, numbers(scores, "value", ids))
    return {NAME: FidelityPredictor(schema, tables, seed=seed)} if tables else {}
