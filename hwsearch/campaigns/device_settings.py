"""Latencies of the same device at other batches and numbers of threads, from which those at one setting are predicted."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsearch._typing import FloatArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.device_sources import features
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.noise import device_noise
from hwsearch.campaigns.score_table import numbers
from hwsearch.campaigns.search_config import FEWEST
from hwsearch.campaigns.target import Target
from predictors import PredictorError
from predictors.settings import Setting, SettingsPredictor
from predictors.sourced import no_worse

#: facts of a device that are settings
SETTINGS = ("batch", "threads")


def other_settings(campaign: Campaign, target: Target) -> dict[str, Setting]:
    """Collect latencies of the campaign's targets that are the same device at other settings.

    Parameters
    ----------
    campaign : Campaign
        Whose targets.
    target : Target
        The one that is predicted.

    Returns
    -------
    dict of str to (X, y, noise, setting)
        By name of the target: features (n, columns), latencies in ms, their standard deviations, batch and threads; of those
        whose facts differ in nothing else, and which were timed on enough subnets.
    """
    known = Known.read(campaign)
    found: dict[str, Setting] = {}
    for other in campaign.targets.values():
        setting = setting_of(other)
        if other.name == target.name or setting is None or not _same_device(other, target):
            continue
        latencies = known.latency(other.name)
        value = numbers(latencies, "value", list(latencies))
        ids = [i for i, ms in zip(latencies, value, strict=True) if np.isfinite(ms) and ms > 0]
        if len(ids) < FEWEST:
            continue
        archs = campaign.store.architectures(campaign.space, ids)
        ids = [a.id for a in archs]
        noise = device_noise(latencies, ids, campaign.protocol.confidence)
        found[other.name] = (features(campaign, archs), numbers(latencies, "value", ids), noise, setting)
    return found


def setting_of(target: Target) -> tuple[float, ...] | None:
    """Return batch and threads of a target.

    Parameters
    ----------
    target : Target
        A device at a setting.

    Returns
    -------
    tuple of float or None
        None where its facts do not tell both.
    """
    found: list[Any] = [target.facts.get(name) for name in SETTINGS]
    known = all(isinstance(v, int | float) and not isinstance(v, bool) and v > 0 for v in found)
    return tuple(float(v) for v in found) if known else None


def _same_device(one: Target, two: Target) -> bool:
    """Tell whether the facts of two targets differ in settings, and in nothing else."""
    rest = [{k: v for k, v in t.facts.items() if k not in SETTINGS} for t in (one, two)]
    return rest[0] == rest[1] and setting_of(one) != setting_of(two)


def fit_with_settings(
    campaign: Campaign,
    target: Target,
    measured: tuple[FloatArray, FloatArray, FloatArray],
    without: FloatArray,
) -> tuple[SettingsPredictor | None, str]:
    """Fit latencies of a device with those that it has at other batches and numbers of threads, where that predicts no worse.

    Parameters
    ----------
    campaign : Campaign
        Whose other targets.
    target : Target
        The device at one setting.
    measured : (X, y, noise)
        Features (n, columns), latencies in ms (n,), and their standard deviations (n,).
    without : ndarray (n,)
        Predictions of rows left out, without other settings.

    Returns
    -------
    predictor : SettingsPredictor or None
        None where there are no other settings, or its left-out error is larger than that of `without`.
    said : str
        What was trusted and why, in a sentence without a full stop; empty where there are no other settings.
    """
    own = setting_of(target)
    others = other_settings(campaign, target) if own is not None else {}
    if not others or own is None:
        return None, ""
    X, y, noise = measured
    found = SettingsPredictor(campaign.loaded.net.schema(), own, others, seed=campaign.config.search.seed)
    try:
        found.fit(X, y, noise)
    except PredictorError as error:
        return None, f"other batches and threads are not used: {error.message}"
    errors = [100 * float(np.abs(p / y - 1.0).mean()) for p in (found.oof_predictions_, without)]
    told = f"left-out error {errors[0]:.1f} % with other batches and threads, {errors[1]:.1f} % without"
    if not no_worse(found.oof_predictions_, without, y):
        return None, f"other batches and threads do not help and are not used: {told}"
    return found, f"shares {100 * found.shared_:.0f} % of the variance with {', '.join(others)}; {told}"
