"""The predictors that a campaign has fitted: where they lie, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

import predictors
from hwsearch._typing import FloatArray, IntArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.errors import CampaignError, PluginError, PredictorError, describe, foreign_code
from hwsearch.registry import Registry
from hwsearch.spaces import Architecture
from predictors import BasePredictor, Schema, ShiftReport
from predictors.conformal import joined_shift
from predictors.select import process_of

#: functions of (positive, seed) that make a candidate of a plug-in
PREDICTORS: Registry[Callable[[bool, int], BasePredictor]] = Registry(
    "hwsearch.predictors", "predictor", PredictorError, callable, "a function that makes a predictor"
)

#: what to do about a predictor that cannot be used
AGAIN = "Run 'hwsearch fit' to fit it anew."
#: subnets whose features are made together
TOGETHER = 20_000


def candidates(positive: bool, seed: int, schema: Schema | None = None) -> dict[str, BasePredictor]:
    """Return the predictors that cross-validation chooses from, by name.

    Those of `predictors.default_candidates`, then those of installed plug-ins: an entry point of the group
    ``hwsearch.predictors`` is a function of `positive` and `seed` that returns a fresh, registered predictor.

    Parameters
    ----------
    positive : bool
        Whether all targets are positive, so that their logarithm can be learnt.
    seed : int
        The seed of predictors that are random.
    schema : Schema, optional
        What the columns of features say; by default, each is a fact.

    Returns
    -------
    dict of str to BasePredictor
        Unfitted predictors.

    Raises
    ------
    PredictorError
        If a plug-in takes the name of a built-in candidate.
    PluginError
        If a plug-in cannot be imported, or its function raises or returns something else than a `BasePredictor`.
    """
    built_in: dict[str, BasePredictor] = dict(predictors.default_candidates(positive, seed, schema))
    names = PREDICTORS.names()
    for name in names:
        if name in built_in:
            raise PredictorError(f"two predictors are named {name!r}: a built-in one and one of a plug-in.")
    return {**built_in, **{name: _candidate(name, positive, seed) for name in names}}


def _candidate(name: str, positive: bool, seed: int) -> BasePredictor:
    """Return a plug-in's predictor; whatever else its function does is an error that names the plug-in."""
    function = PREDICTORS.load(name)

    def failed(error: BaseException) -> PluginError:
        return PluginError(
            f"predictor {name!r} cannot be made: {describe(error)}.",
            hint="The entry point is a function of positive and seed that returns a fresh predictor.",
        )

    with foreign_code(failed):
        found = function(positive, seed)
    if not isinstance(found, BasePredictor):
        raise PluginError(f"predictor {name!r} must be a BasePredictor, got {type(found).__name__}.")
    return found


@contextmanager
def predictor_errors(what: str, hint: str | None = None) -> Iterator[None]:
    """Turn errors of the `predictors` package, which knows no `HwsearchError`, into one.

    Parameters
    ----------
    what : str
        What was asked of a predictor; the error's message begins with it.
    hint : str, optional
        What to do about it; by default what the predictor's error says.

    Yields
    ------
    None

    Raises
    ------
    PredictorError
        In place of a `predictors.PredictorError`.
    """
    try:
        yield
    except predictors.PredictorError as error:
        raise PredictorError(f"{what}: {error.message}", hint=hint or error.hint) from error


def feature_matrix(campaign: Campaign, rows: IntArray) -> FloatArray:
    """Return the features of subnets for predictors.

    Parameters
    ----------
    campaign : Campaign
        Whose supernet.
    rows : IntArray
        (n, genes) encoded architectures.

    Returns
    -------
    FloatArray
        (n, columns) features.
    """
    return campaign.loaded.net.features_array(rows)[0]


def predictor_path(campaign: Campaign, metric: str, device: str | None) -> Path:
    """Return the file of a fitted predictor, whether or not it exists.

    Parameters
    ----------
    campaign : Campaign
        In whose folder it lies.
    metric : str
        What is predicted.
    device : str or None
        Where it was measured; None for what is no matter of a device.

    Returns
    -------
    pathlib.Path
        ``predictors/METRIC@DEVICE.zip`` or ``predictors/METRIC.zip``.
    """
    folder = campaign.folder / "predictors"
    return folder / (f"{metric}@{device}.zip" if device else f"{metric}.zip")


def predict(
    campaign: Campaign, metric: str, device: str | None, archs: Sequence[Architecture], coverage: float = 0.95
) -> pd.DataFrame:
    """Predict a metric of subnets by the campaign's fitted predictor.

    Parameters
    ----------
    campaign : Campaign
        Whose predictor.
    metric : str
        Such as ``accuracy`` or ``latency_ms``.
    device : str or None
        Where it is measured; None for what is no matter of a device.
    archs : sequence of Architecture
        The subnets.
    coverage : float
        Share of true values that the intervals are to contain.

    Returns
    -------
    pandas.DataFrame
        A row a subnet with columns ``value``, ``low`` and ``high``, in the metric's unit.

    Raises
    ------
    CampaignError
        If no predictor has been fitted.
    PredictorError
        If its file is damaged, or does not fit the features.
    """
    return predict_rows(campaign, metric, device, campaign.space.to_array(archs), coverage)


def predict_rows(
    campaign: Campaign, metric: str, device: str | None, rows: IntArray, coverage: float = 0.95
) -> pd.DataFrame:
    """Predict a metric of encoded subnets by the campaign's fitted predictor.

    Parameters
    ----------
    campaign, metric, device, coverage
        As in `predict`.
    rows : numpy.ndarray
        Shape (n, genes), as `SearchSpace.to_array` gives it; any number: features are made of some thousand at a time.

    Returns
    -------
    pandas.DataFrame
        As of `predict`.

    Raises
    ------
    CampaignError
        If no predictor has been fitted.
    PredictorError
        If its file is damaged, or does not fit the features.
    """
    predictor = load_predictor(campaign, metric, device)
    with predictor_errors(f"the predictor of {metric} cannot be used", hint=AGAIN):
        parts = []
        for start in range(0, max(1, len(rows)), TOGETHER):
            X = feature_matrix(campaign, rows[start : start + TOGETHER])
            low, high = predictor.predict_interval(X, coverage)
            parts.append(pd.DataFrame({"value": predictor.predict(X), "low": low, "high": high}))
        return pd.concat(parts, ignore_index=True)


def load_predictor(campaign: Campaign, metric: str, device: str | None) -> BasePredictor:
    """Load the campaign's fitted predictor of a metric.

    Parameters
    ----------
    campaign, metric, device
        As in `predict`.

    Returns
    -------
    BasePredictor
        Fitted.

    Raises
    ------
    CampaignError
        If no predictor has been fitted.
    PredictorError
        If its file is damaged.
    """
    path = predictor_path(campaign, metric, device)
    if not path.exists():
        raise CampaignError(f"there is no fitted predictor of {metric}.", hint="Run 'hwsearch fit' first.")
    for name in PREDICTORS.names():
        PREDICTORS.load(name)  # registers the classes that the file may name
    with predictor_errors(f"the predictor of {metric} cannot be used", hint=AGAIN):
        return predictors.load(path)


def shift_of(campaign: Campaign, metric: str, device: str | None, rows: IntArray) -> ShiftReport | None:
    """Tell how far encoded subnets lie from those that a predictor was fitted on.

    Parameters
    ----------
    campaign, metric, device
        As in `predict`.
    rows : numpy.ndarray
        Shape (n, genes).

    Returns
    -------
    ShiftReport or None
        None for a predictor that is no Gaussian process, and for no rows.

    Raises
    ------
    CampaignError
        If no predictor has been fitted.
    PredictorError
        If its file is damaged.
    """
    process = process_of(load_predictor(campaign, metric, device))
    if process is None or not len(rows):
        return None
    parts = [rows[k : k + TOGETHER] for k in range(0, len(rows), TOGETHER)]
    with predictor_errors(f"the predictor of {metric} cannot be used", hint=AGAIN):
        return joined_shift([process.shift(feature_matrix(campaign, part)) for part in parts], [len(p) for p in parts])
