"""Choose and time the subnets that are measured before the search."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.latency import measure_latencies
from hwsearch.spaces import Architecture


class ProfileSet(NamedTuple):
    """The subnets that are measured before the search.

    Attributes
    ----------
    timed : list of Architecture
        All of them; each is timed on every device.
    evaluated : list of Architecture
        Those that are also scored, the smallest and the largest among them.
    random : list of Architecture
        Those of the evaluated that are drawn at random, the baseline in the plots.
    """

    timed: list[Architecture]
    evaluated: list[Architecture]
    random: list[Architecture]


def profile_set(campaign: Campaign) -> ProfileSet:
    """Choose the subnets of the profile: spread evenly over MACs, and some at random.

    Parameters
    ----------
    campaign : Campaign
        Whose space, seed and ``[profile]``.

    Returns
    -------
    ProfileSet
        The same at every call.
    """
    c = campaign.config.profile
    space, rng = campaign.space, campaign.rng("profile")
    n_random = min(c.random, max(0, space.cardinality - 2))
    balanced = space.sample_balanced(c.latency - n_random, rng, campaign.loaded.balanced_cost)
    random = space.sample(n_random, rng, exclude=balanced)
    return ProfileSet(balanced + random, balanced[: c.accuracy - len(random)] + random, random)


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
    for name, found in measure_latencies(campaign, campaign.targets.values(), profile_set(campaign).timed).items():
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
