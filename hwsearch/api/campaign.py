"""The verbs that measure for a campaign, as functions: the same names and meanings as the commands of `hwsearch`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from hwsearch import campaigns
from hwsearch._files import overwriting
from hwsearch._json import JsonObject
from hwsearch.api.campaign_tasks import check_tasks, train_tasks
from hwsearch.api.host_speed import host_speed
from hwsearch.api.opening import Source, do_step, noted_step, open_campaign
from hwsearch.campaigns import Campaign, Progress
from hwsearch.campaigns.reuse import open_for_device, reuse_measurements
from hwsearch.campaigns.steps.device_run import check_numbers, run_device
from hwsearch.campaigns.steps.plan import budgeted
from hwsearch.campaigns.steps.work import work as help_out
from hwsearch.errors import CampaignError


def _check(campaign: Campaign) -> pd.DataFrame:
    """Check the campaign, and its further tasks before anything is trained."""
    frame = campaigns.check(campaign)
    check_tasks(campaign)
    return frame


#: the steps of a whole run before the models are exported, in order
STEPS: dict[str, Callable[[Campaign], object]] = {
    "check": _check,
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
    frame = do_step(source, "check", _check, trust)
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
    device: str | None = None,
    reuse: Path | str | None = None,
    latencies: int | None = None,
    evaluations: int | None = None,
) -> JsonObject:
    """Run all steps: check, profile, evaluate, fit, search, validate, export, report; or name the front of a new device.

    A run that was interrupted, or whose configuration has changed, measures only what is missing. Where the campaign has
    ``[[task]]``, its largest subnet learns those that it has not learnt yet, after the export.

    With `reuse` it is the campaign of a new device: accuracies are those of a former campaign on the same supernet, some
    subnets are timed, and the front over the whole space is predicted from both. The former campaign is only read.

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
    device : str, optional
        With `reuse`: the new device, which is the only one of `source`; tables that `source` lacks are as in the former
        campaign.
    reuse : path or str, optional
        Folder of the former campaign.
    latencies : int, optional
        With `reuse`: subnets to be timed on the new device, 20 at least; default 30.
    evaluations : int, optional
        With `reuse`: members of the predicted front that are then measured in full; default 0: no accuracy is measured.

    Returns
    -------
    dict
        As `report`, with the ``folder``, how many values were ``measured``, the ``seconds`` it took, and a row a ``[[task]]`` in
        ``tasks``. With `reuse`, in place
        of the report, the ``front`` that was measured and the ``named`` one, which is predicted; see
        `hwsearch.campaigns.steps.device_run.DeviceRun`.

    Raises
    ------
    HwsearchError
        Of any step; what was measured is kept, and the same call goes on from there.
    """
    if reuse is None:
        given = {"device": device, "latencies": latencies, "evaluations": evaluations}
        alone = [name for name, value in given.items() if value is not None]
        if alone:
            raise CampaignError(
                f"{alone[0]} is of a new device's campaign, which needs the folder of a former one.",
                hint="Give reuse, such as --reuse runs/old, or leave it out.",
            )
        with overwriting(force):
            return _run(open_campaign(source, folder=folder, progress=progress, trust=trust))
    latencies, evaluations = 30 if latencies is None else latencies, 0 if evaluations is None else evaluations
    check_numbers(latencies, evaluations)
    with overwriting(force):
        campaign = open_for_device(source, reuse, device, folder=folder, progress=progress, trust=trust)
        return _run_device(campaign, reuse, latencies, evaluations)


def _run_device(campaign: Campaign, reuse: Path | str, latencies: int, evaluations: int) -> JsonObject:
    started = time.monotonic()
    target = campaign.target(None)
    reused = do_step(campaign, "reuse", lambda c: reuse_measurements(c, target, reuse))
    before = campaign.measured()
    do_step(campaign, "check", campaigns.check)
    found = do_step(campaign, "new device", lambda c: run_device(c, target, reused, latencies, evaluations))
    return {
        **found.to_dict(),
        "seconds": round(time.monotonic() - started, 1),
        "measured": campaign.measured() - before,
    }


def _run(campaign: Campaign) -> JsonObject:
    before, started = campaign.measured(), time.monotonic()
    for name, step in STEPS.items():
        with budgeted(campaign, name):
            do_step(campaign, name, step)
    with budgeted(campaign, "export"):
        cards = do_step(campaign, "export", campaigns.export)
    rows = do_step(campaign, "tasks", train_tasks) if campaign.asked.task else []
    with budgeted(campaign, "report"):  # it shows the models just written
        summary = do_step(campaign, "report", lambda c: campaigns.build_report(c, cards))
    return {
        "folder": str(campaign.folder),
        "seconds": round(time.monotonic() - started, 1),
        "measured": campaign.measured() - before,
        "tasks": rows,
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
