"""From the store to the report: gathers what was measured into `ReportData` and writes page, plots and tables."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.frames import archs_of
from hwsearch.campaigns.steps.export import export
from hwsearch.campaigns.steps.fronts import write_front
from hwsearch.campaigns.steps.report_data import report_data
from hwsearch.campaigns.steps.search import how_it_ended
from hwsearch.campaigns.view import views
from hwsearch.exporters import write_atomic
from hwsearch.reporting import save_all, write_page


def build_report(campaign: Campaign, cards: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Write ``front.csv|json``, ``measurements.csv``, ``plots/`` and ``report.html``; returns their paths and the headline.

    cards : what `export` returned for this campaign; without them the picks are exported first
    """
    cards = export(campaign) if cards is None else cards
    with campaign.progress.task("report", 3, "parts") as task:
        tables = write_front(campaign)
        task.update(1)
        data = report_data(campaign, cards)
        write_atomic(campaign.folder / "report.json", data.to_json().encode())
        plots = save_all(data, campaign.folder / "plots")
        task.update(2)
        page = campaign.folder / "report.html"
        write_page(data, page)
        task.update(3)
    summary = []
    for device in data.devices:
        f = device.front
        summary.append(
            {
                "device": device.name,
                "front_points": len(f),
                "latency_span": float(f["latency_ms"].max() / f["latency_ms"].min()) if len(f) else math.nan,
                "picks": [
                    {
                        k: p[k]
                        for k in (
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
                    }
                    for p in device.picks
                ],
            }
        )
    return {
        "report": str(page),
        "front": str(tables[0]),
        "score": campaign.loaded.task.score_name,
        "score_unit": campaign.loaded.task.score_unit,
        "confidence": campaign.final_protocol.confidence,
        "models": [c["path"] for c in cards],
        "plots": [str(p) for p in plots],
        "devices": summary,
        "serving": data.serving,
        "search": how_it_ended(campaign),
    }


def write_studies(campaign: Campaign, storage: str) -> dict[str, int]:
    """Add what the search measured, each front's to a study of its own, to an Optuna storage; trials added, by study."""
    from hwsearch.searchers.optuna.storage import write_measured

    added = {}
    for view in views(campaign):
        frame = view.frame()
        whole = frame[[o.name for o in view.objectives]].notna().all(axis=1).to_numpy()
        archs = [arch for arch, keep in zip(archs_of(frame), whole, strict=True) if keep]
        values = frame.loc[whole, [o.name for o in view.objectives]].to_numpy(dtype=np.float64)
        study = f"{campaign.folder.name}/{view.key}"
        added[study] = write_measured(campaign.space, view.objectives, archs, values, storage, study)
    return added
