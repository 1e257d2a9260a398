"""The first steps of a campaign: check → profile → evaluate → fit. Each can be repeated; none measures twice."""

from __future__ import annotations

import pandas as pd

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.jobs.accuracy import doubts, measure_accuracy
from hwsearch.campaigns.jobs.latency import measure_latencies
from hwsearch.spaces import Architecture


# ---------------------------------------------------------------------- which subnets
def profile_set(campaign: Campaign) -> tuple[list[Architecture], list[Architecture], list[Architecture]]:
    """(all to be timed, those also evaluated, those drawn at random); the same at every call."""
    c = campaign.config.profile
    space, rng = campaign.space, campaign.rng("profile")
    n_random = min(c.random, max(0, space.cardinality - 2))
    balanced = space.sample_balanced(c.latency - n_random, rng, campaign.loaded.balanced_cost)
    random = space.sample(n_random, rng, exclude=balanced)
    return balanced + random, balanced[: c.accuracy - len(random)] + random, random


def profile(campaign: Campaign) -> pd.DataFrame:
    """Time the profile's subnets on every device. Returns one row a subnet and device."""
    every, _, _ = profile_set(campaign)
    frames = []
    for name, found in measure_latencies(campaign, campaign.targets.values(), every).items():
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


def evaluate(campaign: Campaign) -> pd.DataFrame:
    """The score of the profile's evaluated subnets on the validation data; warns where there is nothing in it."""
    _, evaluated, _ = profile_set(campaign)
    found = measure_accuracy(campaign, evaluated)
    for text in doubts(campaign, found.values()):
        campaign.progress.warn(text)
    return pd.DataFrame([{"arch_id": k, "accuracy": m.value, "low": m.low, "high": m.high} for k, m in found.items()])
