"""Time the subnets that are measured before the search."""

from __future__ import annotations

import pandas as pd

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.latency import measure_latencies


def profile(campaign: Campaign) -> pd.DataFrame:
    """Time the profile's subnets on every device.

    Parameters
    ----------
    campaign : Campaign
        Whose devices.

    Returns
    -------
    pandas.DataFrame
        A row a subnet and device: ``device``, ``arch_id``, ``latency_ms``, ``low``, ``high``, ``repeats``.

    Raises
    ------
    DeviceError
        If a device is lost.
    """
    frames = []
    for name, found in measure_latencies(campaign, campaign.targets.values(), campaign.profile_set.timed).items():
        rows = [
            {
                "device": name,
                "arch_id": k,
                "latency_ms": m.value,
                "low": m.low,
                "high": m.high,
                "repeats": m.repeats,
            }
            for k, m in found.items()
        ]
        frames.append(pd.DataFrame(rows))
    return pd.concat(frames, ignore_index=True)
