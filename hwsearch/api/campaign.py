"""The verbs that work on a campaign, as functions: the same names and meanings as the commands of `hwsearch`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from hwsearch import campaigns
from hwsearch._json import JsonObject
from hwsearch.api.host_speed import host_speed
from hwsearch.api.opening import Source, do_step, noted_step, open_campaign, read_campaign
from hwsearch.campaigns import Campaign, Progress
from hwsearch.campaigns.steps.plan import budgeted
from hwsearch.campaigns.steps.work import work as help_out
from hwsearch.objectives.front import Front
from hwsearch.training.finetune import finetune_config

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


def front(source: Source, device: str | None = None, *, deployment: str | None = None, trust: bool = False) -> Front:
    """Return the measured Pareto front of one device, or of one subnet for all of them.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    device : str, optional
        The device's name; the only one by default.
    deployment : {"worst-case", "weighted"}, optional
        One subnet for all devices: judged by the latency on the worst device, or by the weighted mean, each as a share of
        that device's limit, or else of the largest subnet's latency there.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.

    Returns
    -------
    Front
        Its ``to_frame()`` has a row a subnet: values, intervals, and the probability of being on the front.

    Raises
    ------
    CampaignError
        If nothing has been validated.
    """
    return campaigns.front(read_campaign(source, trust=trust), device, deployment=deployment)


def pick(
    source: Source,
    limit: str | Sequence[str] = (),
    device: str | None = None,
    *,
    probability: float | None = None,
    deployment: str | None = None,
    export: Path | str | None = None,
    trust: bool = False,
) -> JsonObject:
    """Pick the best measured subnet under limits, and write it as ONNX if asked.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    limit : str or sequence of str
        Such as ``latency_ms<=2`` or ``latency_ms<=60 %``.
    device : str, optional
        The device's name; the only one by default.
    probability : float, optional
        With which the limits must be met, by the measured intervals; None: as configured.
    deployment : {"worst-case", "weighted"}, optional
        One subnet for all devices, see `front`.
    export : path, optional
        The ONNX file to write.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.

    Returns
    -------
    dict
        Id, genes, values with intervals, and the probability with which each limit is met.

    Raises
    ------
    LimitError
        When no subnet meets the limits; names the nearest value that can be reached.
    """
    limits = [limit] if isinstance(limit, str) else list(limit)
    return campaigns.pick(
        read_campaign(source, trust=trust),
        limits,
        device,
        probability=probability,
        deployment=deployment,
        export=Path(export) if export else None,
    )


def export(
    source: Source,
    arch: str | None = None,
    device: str | None = None,
    *,
    output: Path | str | None = None,
    batch: int | None = None,
    trust: bool = False,
) -> list[JsonObject]:
    """Write ONNX files and cards of one subnet or of every pick.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    arch : str, optional
        An id, ``smallest`` or ``largest``; by default every pick.
    device : str, optional
        Picks of this device only.
    output : path, optional
        With `arch`: the ONNX file.
    batch : int, optional
        A fixed batch size; dynamic by default.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.

    Returns
    -------
    list of dict
        The cards, with their ``path``.

    Raises
    ------
    ExportError
        If a subnet cannot be lowered, or a model disagrees with torch.
    """
    campaign = read_campaign(source, trust=trust)
    with noted_step(campaign, "export"):
        return campaigns.export(campaign, arch, device, output=Path(output) if output else None, batch=batch)


def finetune(
    source: Source,
    arch: str,
    *,
    data: Path | str | None = None,
    output: Path | str | None = None,
    trust: bool = False,
    **settings: float | bool | None,
) -> JsonObject:
    """Train one subnet for some steps, measure it again, export it.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    arch : str
        An id, ``smallest`` or ``largest``.
    data : path or str, optional
        What it learns from, as in a configuration; the calibration data by default.
    output : path, optional
        The ONNX file.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.
    **settings
        Of `hwsearch.training.FinetuneConfig`: ``steps``, ``batch``, ``lr``, ``label_smoothing``, ``seed``, and so on.

    Returns
    -------
    dict
        Scores before and after, their difference with its 95 % interval, and the files.

    Raises
    ------
    TrainingError
        If there is no such setting.
    CampaignError
        If there is nothing to learn from.
    """
    config = finetune_config(settings)
    campaign = open_campaign(source, trust=trust)
    with noted_step(campaign, "finetune"):
        return campaigns.finetune_subnet(
            campaign, arch, config, data=str(data) if data else None, output=Path(output) if output else None
        )


def report(source: Source, *, optuna: str | None = None, trust: bool = False) -> JsonObject:
    """Write ``front.csv``, ``front.json``, ``measurements.csv``, plots and ``report.html``.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    optuna : str, optional
        An Optuna storage such as ``sqlite:///optuna.db``; what was measured for each front is added to a study of it, named
        FOLDER/FRONT, for Optuna's dashboard.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.

    Returns
    -------
    dict
        Paths, picks by device, and with `optuna` the trials added, by study.

    Raises
    ------
    CampaignError
        If nothing has been validated, or the predictors have not been fitted.
    """
    campaign = read_campaign(source, trust=trust)
    if optuna is None:
        return do_step(campaign, "report", campaigns.build_report)
    from hwsearch.searchers.optuna.storage import check_storage  # needs the extra

    with noted_step(campaign, "report"):
        check_storage(optuna)
    paths = do_step(campaign, "report", campaigns.build_report)
    with noted_step(campaign, "report"):
        return {**paths, "optuna": campaigns.write_studies(campaign, optuna)}


def run(
    source: Source,
    *,
    folder: Path | str | None = None,
    progress: Progress | None = None,
    trust: bool = False,
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

    Returns
    -------
    dict
        As `report`, with the ``folder``, how many values were ``measured``, and the ``seconds`` it took.

    Raises
    ------
    HwsearchError
        Of any step; what was measured is kept, and the same call goes on from there.
    """
    campaign = open_campaign(source, folder=folder, progress=progress, trust=trust)
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
