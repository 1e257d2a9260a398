"""Score some of the profiled subnets on the validation data."""

from __future__ import annotations

import pandas as pd

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.accuracy import checkpoint_warnings
from hwsearch.campaigns.jobs.verified import measure_scores


def evaluate(campaign: Campaign) -> pd.DataFrame:
    """Measure the validation score of the profile's evaluated subnets, and their verified accuracy where that is an objective.

    Warns where the scores look as if weights and data did not match.

    Parameters
    ----------
    campaign : Campaign
        Whose supernet and data.

    Returns
    -------
    pandas.DataFrame
        A row a subnet: ``arch_id``, ``accuracy`` in the score's unit, ``low`` and ``high`` of its 95 % interval.
    """
    found = measure_scores(campaign, campaign.profile_set.evaluated)
    for text in checkpoint_warnings(campaign, found):
        campaign.progress.warn(text)
    return pd.DataFrame([{"arch_id": k, "accuracy": m.value, "low": m.low, "high": m.high} for k, m in found.items()])
