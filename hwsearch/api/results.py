"""The verbs that show, export, fine-tune and report what a campaign found, as functions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from hwsearch import campaigns
from hwsearch._files import overwriting
from hwsearch._json import JsonObject
from hwsearch.api.opening import Source, do_step, noted_step, open_campaign, read_campaign
from hwsearch.campaigns.steps.new_device import DevicePlan, plan_device
from hwsearch.campaigns.steps.predict import Predictions, asked_subnets, predict_subnets
from hwsearch.objectives.front import Front
from hwsearch.training.finetune import finetune_config

log = logging.getLogger("hwsearch")


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


def predict(
    source: Source,
    arch: str | Sequence[str] = (),
    device: str | None = None,
    *,
    archs: Path | str | None = None,
    random: int | None = None,
    coverage: float = 0.95,
    trust: bool = False,
) -> pd.DataFrame:
    """Predict accuracy and latency of any subnets by the campaign's fitted predictors; nothing is measured.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    arch : str or sequence of str
        Ids of subnets that the campaign has seen, ``smallest``, ``largest``, or JSON objects of genes (others at their largest).
    device : str, optional
        The device's name; all of the campaign by default.
    archs : path, optional
        A file of architectures: JSON, or a table with a column a gene.
    random : int, optional
        So many more subnets, drawn uniformly; the same at every call.
    coverage : float
        Share of new measurements that the intervals are to hold, in (0, 1).
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.

    Returns
    -------
    pandas.DataFrame
        A row a device and subnet: ``genes``, and of each metric the prediction, ``METRIC_low``, ``METRIC_high``, and
        ``METRIC_measured``, NaN where it has not been measured.

    Raises
    ------
    CampaignError
        If no subnet is named, or no predictor has been fitted.
    StoreError
        If the campaign has not seen an id.
    SpaceError
        If the file's architectures are not of the campaign's space.
    DeviceError
        If there is no such device.
    """
    found = predictions(source, arch, device, archs=archs, random=random, coverage=coverage, trust=trust)
    for said in found.warnings:
        log.warning(said)
    return found.frame


def predictions(
    source: Source,
    arch: str | Sequence[str] = (),
    device: str | None = None,
    *,
    archs: Path | str | None = None,
    random: int | None = None,
    coverage: float = 0.95,
    trust: bool = False,
) -> Predictions:
    """Predict as `predict` does, and tell how far that can be trusted.

    Parameters
    ----------
    source, arch, device, archs, random, coverage, trust
        As of `predict`.

    Returns
    -------
    Predictions
        The frame of `predict`; the running coverage, the predicted fronts, and the warnings that `predict` logs.

    Raises
    ------
    CampaignError, StoreError, SpaceError, DeviceError
        As of `predict`.
    """
    campaign = open_campaign(source, trust=trust)
    named = [arch] if isinstance(arch, str) else list(arch)
    wanted = asked_subnets(campaign, named, None if archs is None else Path(archs), random)
    targets = list(campaign.targets.values()) if device is None else [campaign.target(device)]
    return predict_subnets(campaign, wanted, targets, coverage)


def plan(
    source: Source,
    device: str | None = None,
    *,
    samples: int = 10,
    measure: bool = False,
    coverage: float = 0.95,
    trust: bool = False,
) -> DevicePlan:
    """Choose the subnets whose latencies tell most about a new device, and predict those of all others from other devices.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder. The new device is one of its ``[[device]]``; latencies of the others,
        and shipped tables of the search space, are what is learnt from.
    device : str, optional
        The device's name; the only one by default.
    samples : int
        How many subnets.
    measure : bool
        Whether to time them, each chosen by what the former ones told. No accuracy is measured.
    coverage : float
        Share of new measurements that the predicted intervals are to hold, in (0, 1).
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.

    Returns
    -------
    DevicePlan
        What to time, what the prediction rests on, and the predicted front of the subnets that have been scored.

    Raises
    ------
    CampaignError
        If `samples` or `coverage` is out of range.
    DeviceError
        If there is no such device, or it is lost; what has been timed is kept.
    """
    campaign = open_campaign(source, trust=trust)
    target = campaign.target(device)
    if not measure:
        return plan_device(campaign, target, samples, coverage=coverage)
    with noted_step(campaign, "plan"):
        return plan_device(campaign, target, samples, measure=True, coverage=coverage)


def pick(
    source: Source,
    limit: str | Sequence[str] = (),
    device: str | None = None,
    *,
    probability: float | None = None,
    deployment: str | None = None,
    chain: int | None = None,
    export: Path | str | None = None,
    trust: bool = False,
    force: bool = False,
) -> JsonObject:
    """Pick the best measured subnet under limits, or a chain of nested ones, and write it as ONNX if asked.

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
    chain : int, optional
        At most so many subnets of which each lies within the next, to switch between at run time with one copy of the weights.
    export : path, optional
        The ONNX file to write; of a chain the folder.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.
    force : bool
        Replace files that hwsearch did not write; links are never written through.

    Returns
    -------
    dict
        Id, genes, values with intervals, and the probability with which each limit is met; of a chain these of all
        ``members``, the smallest first, with the weights' sizes shared and apart.

    Raises
    ------
    LimitError
        When no subnet meets the limits; names the nearest value that can be reached.
    CampaignError
        When no two subnets are nested.
    """
    limits = [limit] if isinstance(limit, str) else list(limit)
    if chain is not None:
        from hwsearch.campaigns.steps.chain import pick_chain

        with overwriting(force):
            return pick_chain(
                read_campaign(source, trust=trust),
                chain,
                limits,
                device,
                probability=probability,
                deployment=deployment,
                export=Path(export) if export else None,
            )
    with overwriting(force):
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
    force: bool = False,
) -> list[JsonObject]:
    """Write ONNX files and cards of one subnet or of every pick.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    arch : str, optional
        An id, ``smallest``, ``largest``, or a JSON object of genes (others at their largest); by default every pick.
    device : str, optional
        Picks of this device only.
    output : path, optional
        With `arch`: the ONNX file.
    batch : int, optional
        A fixed batch size; dynamic by default.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.
    force : bool
        Replace files that hwsearch did not write; links are never written through.

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
    with overwriting(force), noted_step(campaign, "export"):
        return campaigns.export(campaign, arch, device, output=Path(output) if output else None, batch=batch)


def finetune(
    source: Source,
    arch: str,
    *,
    data: Path | str | None = None,
    output: Path | str | None = None,
    trust: bool = False,
    force: bool = False,
    **settings: float | bool | None,
) -> JsonObject:
    """Train one subnet for some steps, measure it again, export it.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    arch : str
        An id, ``smallest``, ``largest``, or a JSON object of genes (others at their largest).
    data : path or str, optional
        What it learns from, as in a configuration; the calibration data by default.
    output : path, optional
        The ONNX file.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.
    force : bool
        Replace files that hwsearch did not write; links are never written through.
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
    with overwriting(force), noted_step(campaign, "finetune"):
        return campaigns.finetune_subnet(
            campaign, arch, config, data=str(data) if data else None, output=Path(output) if output else None
        )


def ensemble(
    source: Source,
    limit: str | Sequence[str],
    device: str | None = None,
    *,
    arch: str | Sequence[str] = (),
    fusion: str = "probabilities",
    members: int = 4,
    parallel: bool = False,
    measure: bool = False,
    output: Path | str | None = None,
    trust: bool = False,
    force: bool = False,
) -> JsonObject:
    """Choose measured subnets whose mean answer beats the best one's in the same time, and write them as one ONNX file.

    Chosen on the validation data, judged on the test data.

    Parameters
    ----------
    source : Campaign, path or str
        A campaign, its configuration file or its folder.
    limit : str or sequence of str
        One upper limit on the latency of all members together, such as ``latency_ms<=2`` or ``latency_ms<=60 %``.
    device : str, optional
        The device's name; the only one by default.
    arch : str or sequence of str
        Choose from these subnets only: ids, ``smallest`` or ``largest``; by default from all that were validated.
    fusion : {"probabilities", "logits"}
        What is averaged.
    members : int
        Most members, from 2 to 16.
    parallel : bool
        Members run at the same time, each on processors of its own: the slowest counts; else the sum.
    measure : bool
        Time the file on the device, beside the best single member.
    output : path, optional
        The ONNX file; ``models/ensembles/ID.onnx`` of the campaign by default.
    trust : bool
        Execute what the configuration names even if another user wrote it, see SECURITY.md.
    force : bool
        Replace files that hwsearch did not write; links are never written through.

    Returns
    -------
    dict
        ``rows`` (best single member and ensemble), ``gain`` on the test data with its 95 % interval and ``verdict``, ``members``,
        ``disagreement``, ``measured``, ``path``.

    Raises
    ------
    CampaignError
        If nothing has been validated, a subnet was measured on another device only, or the task has no classes.
    LimitError
        If no subnet meets the limit.
    DeviceError
        If `measure` is asked for on a device that runs no model files.
    """
    campaign = open_campaign(source, trust=trust)
    limits = [limit] if isinstance(limit, str) else list(limit)
    with overwriting(force), noted_step(campaign, "ensemble"):
        return campaigns.build_ensemble(
            campaign,
            limits,
            device,
            arch=[arch] if isinstance(arch, str) else list(arch),
            fusion=fusion,
            members=members,
            parallel=parallel,
            measure=measure,
            output=Path(output) if output else None,
        )


def report(source: Source, *, optuna: str | None = None, trust: bool = False, force: bool = False) -> JsonObject:
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
    force : bool
        Replace files that hwsearch did not write; links are never written through.

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
    if optuna is not None:
        from hwsearch.searchers.optuna.storage import check_storage  # needs the extra

        with noted_step(campaign, "report"):
            check_storage(optuna)
    with overwriting(force):
        paths = do_step(campaign, "report", campaigns.build_report)
    if optuna is None:
        return paths
    with noted_step(campaign, "report"):
        return {**paths, "optuna": campaigns.write_studies(campaign, optuna)}
