"""Report: write the fronts, tables, plots and the page of a campaign."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hwsearch._files import containing, own_folder, write_file
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.steps.export import export
from hwsearch.campaigns.steps.report_data import report_data
from hwsearch.campaigns.steps.search import how_it_ended
from hwsearch.campaigns.steps.tables import write_front
from hwsearch.campaigns.views import views
from hwsearch.reporting import DeviceReport, make_all, save_all, write_page
from hwsearch.reporting.deploy import RUNNER, runner_source, runs_on_photos
from hwsearch.searchers.threads import one_blas_thread

#: what the summary tells of a pick
PICK_KEYS = (
    "label",
    "arch_id",
    "accuracy",
    "accuracy_se",
    "latency_ms",
    "latency_low",
    "latency_high",
    "macs",
    "file",
    "further_files",
)


@one_blas_thread()
def build_report(campaign: Campaign, cards: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Write ``front.csv``, ``front.json``, ``measurements.csv``, ``plots/``, ``report.json`` and ``report.html``.

    Parameters
    ----------
    campaign : Campaign
        Whose candidates have been validated.
    cards : list of dict, optional
        What `export` returned for this campaign; without them the picks are exported first.

    Returns
    -------
    dict
        Paths of what was written, and per device the picks.

    Raises
    ------
    CampaignError
        If nothing has been validated, or the predictors have not been fitted.
    """
    known = Known.read(campaign)
    cards = export(campaign, known=known) if cards is None else cards
    ended = how_it_ended(campaign)
    with campaign.progress.task("report", 3, "parts") as task:
        tables = write_front(campaign, known)
        task.update(1)
        data = report_data(campaign, known, cards, ended)
        data.save(campaign.folder / "report.json")
        figures = make_all(data)
        plots = save_all(data, own_folder(campaign.folder / "plots"), figures)
        task.update(2)
        if runs_on_photos(data.supernet) and any(device.picks for device in data.devices):
            write_file(
                own_folder(campaign.folder / "models") / RUNNER, runner_source(), containing(b"Classify a photo")
            )
        page = campaign.folder / "report.html"
        write_page(data, page, figures)
        task.update(3)
    return {
        "report": str(page),
        "front": str(tables[0]),
        "score": campaign.loaded.task.score_name,
        "score_unit": campaign.loaded.task.score_unit,
        "confidence": campaign.final_protocol.confidence,
        "models": [c["path"] for c in cards],
        "plots": [str(p) for p in plots],
        "devices": [_summary(device) for device in data.devices],
        "serving": data.serving,
        "search": ended,
    }


def _summary(device: DeviceReport) -> dict[str, Any]:
    latency = device.front["latency_ms"]
    return {
        "device": device.name,
        "front_points": len(latency),
        "latency_span": float(latency.max() / latency.min()) if len(latency) else math.nan,
        "picks": [{k: p[k] for k in PICK_KEYS} for p in device.picks],
    }


def write_studies(campaign: Campaign, storage: str) -> dict[str, int]:
    """Add what the search measured to an Optuna storage, each front's to a study of its own.

    Parameters
    ----------
    campaign : Campaign
        Whose measurements.
    storage : str
        An Optuna storage such as ``sqlite:///optuna.db``.

    Returns
    -------
    dict of str to int
        Trials added, by study; trials that are there are not added again.
    """
    from hwsearch.searchers.optuna.storage import write_measured  # needs the extra

    known, added = Known.read(campaign), {}
    for view in views(campaign):
        names = [o.name for o in view.objectives]
        whole = view.measured(known).complete(names)
        values = whole.frame[names].to_numpy(dtype=np.float64)
        study = f"{campaign.folder.name}/{view.key}"
        added[study] = write_measured(campaign.space, view.objectives, whole.archs, values, storage, study)
    return added
