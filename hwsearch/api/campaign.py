"""The verbs, as functions: the same names and meanings as the commands of `hwsearch`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from hwsearch import campaigns
from hwsearch.campaigns import Campaign, Progress
from hwsearch.campaigns.steps.report import build_report
from hwsearch.devices import host_facts
from hwsearch.errors import HwsearchError, TrainingError
from hwsearch.objectives.front import Front
from hwsearch.training.finetune import FinetuneConfig

Source = Campaign | Path | str


STEPS: dict[str, Callable[..., Any]] = {
    "check": campaigns.check,
    "profile": campaigns.profile,
    "evaluate": campaigns.evaluate,
    "fit": campaigns.fit,
    "search": campaigns.search,
    "validate": campaigns.validate,
    "export": campaigns.export,
    "report": build_report,
}


def open_campaign(source: Source, *, folder: Path | str | None = None, progress: Progress | None = None) -> Campaign:
    """The campaign of a configuration file or folder."""
    return source if isinstance(source, Campaign) else Campaign.open(source, folder=folder, progress=progress)


@contextmanager
def _step(campaign: Campaign, name: str) -> Iterator[None]:
    """Note a step in the store, in ``log.txt`` and, with its seconds, in the campaign's state."""
    handler = campaign.log_to_file()
    started = time.monotonic()
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
            campaign.note_seconds(name, time.monotonic() - started)
        except HwsearchError:
            if status == "done":
                raise


def _do(source: Source, name: str, *arguments: Any) -> Any:
    campaign = open_campaign(source)
    with _step(campaign, name):
        return STEPS[name](campaign, *arguments)


def check(source: Source) -> None:
    """Run a model on every device; an execution provider that is not the one asked for is an error."""
    _do(source, "check")


def profile(source: Source) -> pd.DataFrame:
    """Time the profile's subnets on every device: one row a subnet and device."""
    return _do(source, "profile")  # type: ignore[no-any-return]


def operators(source: Source, device: str | None = None) -> dict[str, Any]:
    """The operator table of one device for the campaign's space, completed, and set against the measured latencies.

    Frames ``operators`` (a row a signature, costliest first), ``wholes`` (a row a measured subnet: latency, sum of
    operators, corrected sum) and ``kinds`` (milliseconds by kind of operator); ``coverage``, ``agreement``, ``plots``.
    """
    from hwsearch.campaigns.steps.operators import operators as table

    campaign = open_campaign(source)
    with _step(campaign, "operators"):
        return table(campaign, device)


def evaluate(source: Source) -> pd.DataFrame:
    """Top-1 of the profile's evaluated subnets: one row a subnet."""
    return _do(source, "evaluate")  # type: ignore[no-any-return]


def fit(source: Source) -> pd.DataFrame:
    """Fit the predictors: one row a metric, scored on measurements not used for fitting."""
    return _do(source, "fit")  # type: ignore[no-any-return]


def search(source: Source) -> pd.DataFrame:
    """Rounds of proposing and measuring: one row a round and device."""
    return _do(source, "search")  # type: ignore[no-any-return]


def validate(source: Source) -> pd.DataFrame:
    """Measure the candidates for the fronts afresh: one row a subnet and device."""
    return _do(source, "validate")  # type: ignore[no-any-return]


def front(source: Source, device: str | None = None, *, serve: str | None = None) -> Front:
    """The measured Pareto front of one device, or of one subnet for all of them.

    serve : ``worst`` or ``weighted``: judged by the latency on the worst device, or by the weighted mean, each as a share of
        that device's limit, or else of the largest subnet's latency there
    """
    return campaigns.front(open_campaign(source), device, serve=serve)


def pick(
    source: Source,
    limit: str | Sequence[str] = (),
    device: str | None = None,
    *,
    probability: float | None = None,
    serve: str | None = None,
    export: Path | str | None = None,
) -> dict[str, Any]:
    """The best measured subnet under limits such as ``latency_ms<=2``; written as ONNX when `export` is given.

    probability : with which the limits must be met, by the measured intervals; None: as configured
    serve : one subnet for all devices, see `front`
    """
    limits = [limit] if isinstance(limit, str) else list(limit)
    return campaigns.pick(
        open_campaign(source),
        limits,
        device,
        probability=probability,
        serve=serve,
        export=Path(export) if export else None,
    )


def export(
    source: Source,
    arch: str | None = None,
    device: str | None = None,
    *,
    output: Path | str | None = None,
    batch: int | None = None,
) -> list[dict[str, Any]]:
    """ONNX files and cards of one subnet (by id) or of every pick."""
    campaign = open_campaign(source)
    with _step(campaign, "export"):
        return campaigns.export(campaign, arch, device, output=Path(output) if output else None, batch=batch)


def finetune(
    source: Source,
    arch: str,
    *,
    data: Path | str | None = None,
    output: Path | str | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Train one subnet (by id, ``smallest`` or ``largest``) for some steps, measure it again, export it.

    data : what it learns from, as in a configuration (default: the calibration data)
    settings : of `hwsearch.training.FinetuneConfig`: steps, batch, lr, label_smoothing, seed, …
    """
    try:
        config = FinetuneConfig(**settings)
    except TypeError as error:
        raise TrainingError(f"fine-tuning has no such setting: {error}.") from error
    campaign = open_campaign(source)
    with _step(campaign, "finetune"):
        return campaigns.finetune_subnet(
            campaign, arch, config, data=str(data) if data else None, output=Path(output) if output else None
        )


def report(source: Source, *, optuna: str | None = None) -> dict[str, Any]:
    """``front.csv|json``, ``measurements.csv``, plots and ``report.html``; returns their paths.

    optuna : an Optuna storage such as "sqlite:///optuna.db"; what was measured for each front is added to a study of it,
        named FOLDER/FRONT, for Optuna's dashboard. The result then has `optuna`: trials added, by study
    """
    if optuna is None:
        return _do(source, "report")  # type: ignore[no-any-return]
    from hwsearch.campaigns.steps.report import write_studies

    campaign = open_campaign(source)
    paths: dict[str, Any] = dict(_do(campaign, "report"))
    with _step(campaign, "report"):
        return {**paths, "optuna": write_studies(campaign, optuna)}


def run(source: Source, *, folder: Path | str | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """The whole line: check → profile → evaluate → fit → search → validate → export → report."""
    campaign = open_campaign(source, folder=folder, progress=progress)
    before = campaign.measured()
    started = time.monotonic()
    result: dict[str, Any] = {}
    for name in STEPS:
        # the report shows the models that the step before it wrote
        result[name] = _do(campaign, name, *([result["export"]] if name == "report" else []))
    seconds = time.monotonic() - started
    summary = dict(result["report"])
    return {
        "folder": str(campaign.folder),
        "seconds": round(seconds, 1),
        "measured": campaign.measured() - before,
        **summary,
    }


def demo(*, folder: Path | str | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """The whole line on the embedded supernet and this machine's CPU, as two devices."""
    return run(Path(str(files("hwsearch") / "demo.toml")), folder=folder or "runs/demo", progress=progress)
