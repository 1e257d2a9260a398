"""The verbs that measure for a campaign, as functions: the same names and meanings as the commands of `hwsearch`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from hwsearch import campaigns
from hwsearch._files import overwriting
from hwsearch._json import JsonObject
from hwsearch.api.host_speed import host_speed
from hwsearch.api.opening import Source, do_step, noted_step, open_campaign
from hwsearch.campaigns import Campaign, Progress
from hwsearch.campaigns.steps.plan import budgeted
from hwsearch.campaigns.steps.work import work as help_out

#: the steps of a whole run before the models are exported, in order
STEPS: dict[str, Callable[[Campaign], object]] = {
    "check": campaigns.check,
    "profile": campaigns.profile,
    "evaluate": campaigns.evaluate,
    "fit": campaigns.fit,
    "search": campaigns.search,
    "validate": campaigns.validate,
}


def check(
    source: Source,
    seconds: float = 0.0,
    tick: Callable[[float], None] | None = None,
    *,
    trust: bool = False,
) -> pd.DataFrame:
    """Check data, devices, tactic and limits; every device loads the reference subnet once.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    seconds : float
        How long to record the speed of this host as well, as `doctor` does; 0 for not at all.
    tick : callable, optional
        Told the recorded seconds.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.

    Returns
    -------
    pandas.DataFrame
        A row a device: ``device``, ``nodes`` of the graph, what they ``ran_on``, and the first run, ``run_ms``. With `seconds`
        its ``attrs`` have ``host_speed``.

    Raises
    ------
    DataError
        If data are missing or do not fit the supernet.
    DeviceError
        If a device cannot load the reference subnet, or runs part of it elsewhere; its `rows` tell of each device.
    LimitError
        If no subnet can meet a limit.
    """
    frame = do_step(source, "check", campaigns.check, trust)
    if seconds:
        frame.attrs["host_speed"] = host_speed(seconds, tick=tick)
    return frame


def profile(source: Source, *, trust: bool = False) -> pd.DataFrame:
    """Time the profile's subnets on every device.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.

    Returns
    -------
    pandas.DataFrame
        A row a subnet and device: ``device``, ``arch_id``, ``latency_ms``, ``low``, ``high``, ``repeats``.

    Raises
    ------
    DeviceError
        If a device is lost; what was measured is kept.
    """
    return do_step(source, "profile", campaigns.profile, trust)


def operators(source: Source, device: str | None = None, *, trust: bool = False) -> JsonObject:
    """Complete the operator table of one device for the campaign's space, and compare it with the measured latencies.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    device : str, optional
        The device's name; the only one by default.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.

    Returns
    -------
    dict
        Frames ``operators`` (a row a signature, costliest first), ``wholes`` (a row a measured subnet: latency, sum of
        operators, corrected sum, in ms) and ``kinds`` (milliseconds by kind of operator); ``coverage``, ``agreement``,
        ``plots``.

    Raises
    ------
    DeviceError
        For a device that is not ONNX Runtime on this host.
    """
    from hwsearch.campaigns.steps.operators import operators as table

    campaign = open_campaign(source, trust=trust)
    with noted_step(campaign, "operators"):
        return table(campaign, device)


def evaluate(source: Source, *, trust: bool = False) -> pd.DataFrame:
    """Measure the score of the profile's evaluated subnets on the validation data.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.

    Returns
    -------
    pandas.DataFrame
        A row a subnet: ``arch_id``, ``accuracy`` in the score's unit, ``low`` and ``high`` of its 95 % interval.

    Raises
    ------
    DataError
        If data are missing or do not fit the supernet.
    """
    return do_step(source, "evaluate", campaigns.evaluate, trust)


def fit(source: Source, *, trust: bool = False) -> pd.DataFrame:
    """Fit the predictors of accuracy and latency on what the profile measured.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.

    Returns
    -------
    pandas.DataFrame
        A row a metric: errors and rank correlations on measurements not used for fitting.

    Raises
    ------
    CampaignError
        If a metric has been measured on too few subnets.
    """
    return do_step(source, "fit", campaigns.fit, trust)


def search(source: Source, *, trust: bool = False) -> pd.DataFrame:
    """Search in rounds of proposing and measuring.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.

    Returns
    -------
    pandas.DataFrame
        A row a round and front: subnets screened and proposed, expected gain, and whether they were measured.

    Raises
    ------
    CampaignError
        If nothing has been evaluated yet.
    DeviceError
        If a device is lost; what was measured is kept.
    """
    return do_step(source, "search", campaigns.search, trust)


def validate(source: Source, *, trust: bool = False) -> pd.DataFrame:
    """Measure the candidates for the fronts afresh.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.

    Returns
    -------
    pandas.DataFrame
        A row a subnet and device: latency with its interval, and the probability that it is on the device's front.

    Raises
    ------
    CampaignError
        If nothing has been measured in all objectives.
    LimitError
        If nothing measured meets the limits.
    """
    return do_step(source, "validate", campaigns.validate, trust)


def run(
    source: Source,
    *,
    folder: Path | str | None = None,
    progress: Progress | None = None,
    trust: bool = False,
    force: bool = False,
) -> JsonObject:
    """Run all steps: check, profile, evaluate, fit, search, validate, export, report.

    A run that was interrupted, or whose configuration has changed, measures only what is missing.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    folder : path, optional
        Where the campaign lies; by default what the configuration says, or ``runs/NAME``.
    progress : Progress, optional
        Receives the steps; by default the logger ``hwsearch``.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.
    force : bool
        Replace files that hwsearch did not write; links are never written through.

    Returns
    -------
    dict
        As `report`, with the ``folder``, how many values were ``measured``, and the ``seconds`` it took.

    Raises
    ------
    HwsearchError
        Of any step; what was measured is kept, and the same call goes on from there.
    """
    with overwriting(force):
        return _run(open_campaign(source, folder=folder, progress=progress, trust=trust))


def _run(campaign: Campaign) -> JsonObject:
    before, started = campaign.measured(), time.monotonic()
    for name, step in STEPS.items():
        with budgeted(campaign, name):
            do_step(campaign, name, step)
    with budgeted(campaign, "export"):
        cards = do_step(campaign, "export", campaigns.export)
    with budgeted(campaign, "report"):  # it shows the models just written
        summary = do_step(campaign, "report", lambda c: campaigns.build_report(c, cards))
    return {
        "folder": str(campaign.folder),
        "seconds": round(time.monotonic() - started, 1),
        "measured": campaign.measured() - before,
        **summary,
    }


def work(source: Source, devices: Sequence[str] = (), *, wait: bool = False, trust: bool = False) -> dict[str, int]:
    """Help to measure a campaign: do its queued latency jobs for some devices of this host.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    devices : sequence of str
        Names; by default all of the campaign on this host.
    wait : bool
        Whether to wait for further jobs forever; by default it ends when none is queued.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.

    Returns
    -------
    dict of str to int
        Number of jobs done by device.

    Raises
    ------
    DeviceError
        If there is no such device, or one is lost.
    """
    return help_out(open_campaign(source, trust=trust), devices, wait=wait)
