"""The verbs that work on a campaign, as functions: the same names and meanings as the commands of `hwsearch`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pandas as pd

from hwsearch import campaigns
from hwsearch._json import JsonObject
from hwsearch.api.host_speed import host_speed
from hwsearch.campaigns import Campaign, Progress
from hwsearch.devices import host_facts
from hwsearch.errors import HwsearchError
from hwsearch.objectives.front import Front
from hwsearch.training.finetune import finetune_config

#: a campaign, its configuration file or its folder
Source = Campaign | Path | str

#: the steps of a whole run before the models are exported, in order
STEPS: dict[str, Callable[[Campaign], object]] = {
    "check": campaigns.check,
    "profile": campaigns.profile,
    "evaluate": campaigns.evaluate,
    "fit": campaigns.fit,
    "search": campaigns.search,
    "validate": campaigns.validate,
}

T = TypeVar("T")


def open_campaign(source: Source, *, folder: Path | str | None = None, progress: Progress | None = None) -> Campaign:
    """Open the campaign of a configuration file or folder.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    folder : path or str, optional
        Where the campaign lies; by default what the configuration says, or ``runs/NAME``.
    progress : Progress, optional
        Receives the steps of long work; by default the logger ``hwsearch``.

    Returns
    -------
    Campaign
        `source` itself, where it is one.

    Raises
    ------
    CampaignError
        If there is no such file or campaign.
    ConfigError
        If the configuration is wrong.
    """
    return source if isinstance(source, Campaign) else Campaign.open(source, folder=folder, progress=progress)


@contextmanager
def _step(campaign: Campaign, name: str) -> Iterator[None]:
    """Note a step in the store, in ``log.txt`` and, with its seconds, in the campaign's state."""
    handler = campaign.log_to_file()
    started, measured = time.monotonic(), campaign.measured()
    status = "failed"
    run = campaign.store.begin_run(name, host_facts())
    try:
        yield
        status = "done"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    finally:
        handler.close()
        logging.getLogger("hwsearch").removeHandler(handler)
        try:
            campaign.store.end_run(run, status)
            went_on = status != "done" or campaign.measured() > measured
            campaign.note_seconds(name, time.monotonic() - started, went_on=went_on)
        except HwsearchError:
            if status == "done":
                raise


def _do(source: Source, name: str, step: Callable[[Campaign], T]) -> T:
    campaign = open_campaign(source)
    with _step(campaign, name):
        return step(campaign)


def check(source: Source, seconds: float = 0.0, tick: Callable[[float], None] | None = None) -> pd.DataFrame:
    """Check data, devices, tactic and limits; every device loads the reference subnet once.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    seconds : float
        How long to record the speed of this host as well, as `doctor` does; 0 for not at all.
    tick : callable, optional
        Told the recorded seconds.

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
    frame = _do(source, "check", campaigns.check)
    if seconds:
        frame.attrs["host_speed"] = host_speed(seconds, tick=tick)
    return frame


def profile(source: Source) -> pd.DataFrame:
    """Time the profile's subnets on every device.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.

    Returns
    -------
    pandas.DataFrame
        A row a subnet and device: ``device``, ``arch_id``, ``latency_ms``, ``low``, ``high``, ``repeats``.

    Raises
    ------
    DeviceError
        If a device is lost; what was measured is kept.
    """
    return _do(source, "profile", campaigns.profile)


def operators(source: Source, device: str | None = None) -> JsonObject:
    """Complete the operator table of one device for the campaign's space, and compare it with the measured latencies.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    device : str, optional
        The device's name; the only one by default.

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

    campaign = open_campaign(source)
    with _step(campaign, "operators"):
        return table(campaign, device)


def evaluate(source: Source) -> pd.DataFrame:
    """Measure the score of the profile's evaluated subnets on the validation data.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.

    Returns
    -------
    pandas.DataFrame
        A row a subnet: ``arch_id``, ``accuracy`` in the score's unit, ``low`` and ``high`` of its 95 % interval.

    Raises
    ------
    DataError
        If data are missing or do not fit the supernet.
    """
    return _do(source, "evaluate", campaigns.evaluate)


def fit(source: Source) -> pd.DataFrame:
    """Fit the predictors of accuracy and latency on what the profile measured.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.

    Returns
    -------
    pandas.DataFrame
        A row a metric: errors and rank correlations on measurements not used for fitting.

    Raises
    ------
    CampaignError
        If a metric has been measured on too few subnets.
    """
    return _do(source, "fit", campaigns.fit)


def search(source: Source) -> pd.DataFrame:
    """Search in rounds of proposing and measuring.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.

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
    return _do(source, "search", campaigns.search)


def validate(source: Source) -> pd.DataFrame:
    """Measure the candidates for the fronts afresh.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.

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
    return _do(source, "validate", campaigns.validate)


def front(source: Source, device: str | None = None, *, deployment: str | None = None) -> Front:
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

    Returns
    -------
    Front
        Its ``to_frame()`` has a row a subnet: values, intervals, and the probability of being on the front.

    Raises
    ------
    CampaignError
        If nothing has been validated.
    """
    return campaigns.front(open_campaign(source), device, deployment=deployment)


def pick(
    source: Source,
    limit: str | Sequence[str] = (),
    device: str | None = None,
    *,
    probability: float | None = None,
    deployment: str | None = None,
    export: Path | str | None = None,
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
        open_campaign(source),
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

    Returns
    -------
    list of dict
        The cards, with their ``path``.

    Raises
    ------
    ExportError
        If a subnet cannot be lowered, or a model disagrees with torch.
    """
    campaign = open_campaign(source)
    with _step(campaign, "export"):
        return campaigns.export(campaign, arch, device, output=Path(output) if output else None, batch=batch)


def finetune(
    source: Source,
    arch: str,
    *,
    data: Path | str | None = None,
    output: Path | str | None = None,
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
    campaign = open_campaign(source)
    with _step(campaign, "finetune"):
        return campaigns.finetune_subnet(
            campaign, arch, config, data=str(data) if data else None, output=Path(output) if output else None
        )


def report(source: Source, *, optuna: str | None = None) -> JsonObject:
    """Write ``front.csv``, ``front.json``, ``measurements.csv``, plots and ``report.html``.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    optuna : str, optional
        An Optuna storage such as ``sqlite:///optuna.db``; what was measured for each front is added to a study of it, named
        FOLDER/FRONT, for Optuna's dashboard.

    Returns
    -------
    dict
        Paths, picks by device, and with `optuna` the trials added, by study.

    Raises
    ------
    CampaignError
        If nothing has been validated, or the predictors have not been fitted.
    """
    if optuna is None:
        return _do(source, "report", campaigns.build_report)
    from hwsearch.searchers.optuna.storage import check_storage  # needs the extra

    campaign = open_campaign(source)
    with _step(campaign, "report"):
        check_storage(optuna)
    paths = _do(campaign, "report", campaigns.build_report)
    with _step(campaign, "report"):
        return {**paths, "optuna": campaigns.write_studies(campaign, optuna)}


def run(source: Source, *, folder: Path | str | None = None, progress: Progress | None = None) -> JsonObject:
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

    Returns
    -------
    dict
        As `report`, with the ``folder``, how many values were ``measured``, and the ``seconds`` it took.

    Raises
    ------
    HwsearchError
        Of any step; what was measured is kept, and the same call goes on from there.
    """
    campaign = open_campaign(source, folder=folder, progress=progress)
    before, started = campaign.measured(), time.monotonic()
    for name, step in STEPS.items():
        _do(campaign, name, step)
    cards = _do(campaign, "export", campaigns.export)
    summary = _do(campaign, "report", lambda c: campaigns.build_report(c, cards))  # it shows the models just written
    return {
        "folder": str(campaign.folder),
        "seconds": round(time.monotonic() - started, 1),
        "measured": campaign.measured() - before,
        **summary,
    }
