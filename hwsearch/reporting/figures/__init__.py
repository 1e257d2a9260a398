"""The figures of a report; each function returns a matplotlib Figure, `narrow` draws it for a phone's width."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from matplotlib.figure import Figure

from hwsearch.reporting.data import MOST_COMPARED, ReportData
from hwsearch.reporting.figures.choices import choices_figure
from hwsearch.reporting.figures.devices import devices_figure
from hwsearch.reporting.figures.front import front_figure
from hwsearch.reporting.figures.hypervolume import hypervolume_figure
from hwsearch.reporting.figures.learnt import drawn_predictors, predictors_figure
from hwsearch.reporting.figures.operators import operators_figure
from hwsearch.reporting.figures.predicted import predicted_figure
from hwsearch.reporting.style import save

__all__ = [
    "choices_figure",
    "devices_figure",
    "front_figure",
    "hypervolume_figure",
    "make_all",
    "operators_figure",
    "predicted_figure",
    "predictors_figure",
    "save_all",
    "slugs",
]


def slugs(report: ReportData) -> list[str]:
    """Make a distinct file name of lower-case letters, digits and dashes for each device.

    Parameters
    ----------
    report : ReportData
        The report.

    Returns
    -------
    list of str
        One name a device, in order.
    """
    names: list[str] = []
    for device in report.devices:
        base = re.sub(r"[^a-z0-9]+", "-", device.name.lower()).strip("-") or "device"
        name, k = base, 2
        while name in names:
            name, k = f"{base}-{k}", k + 1
        names.append(name)
    return names


def make_all(report: ReportData, *, narrow: bool = False, fronts: bool = True) -> dict[str, Figure]:
    """Draw every figure of a report.

    Parameters
    ----------
    report : ReportData
        The report.
    narrow : bool
        Whether to draw for a phone's width.
    fronts : bool
        Whether to draw the fronts, too; the page has charts of its own for them.

    Returns
    -------
    dict of str to matplotlib.figure.Figure
        By file stem: front-DEVICE, choices-DEVICE, predicted, predictors (if `fit` kept how they learn), hypervolume, devices (if several); all but the fronts are of the
        first `MOST_COMPARED` devices.
    """
    figures = {}
    for i, (slug, device) in enumerate(zip(slugs(report), report.devices, strict=True)):
        if fronts:
            figures[f"front-{slug}"] = front_figure(device, report.objectives, metric=report.metric, narrow=narrow)
        if len(device.front) and i < MOST_COMPARED:
            figures[f"choices-{slug}"] = choices_figure(device, narrow=narrow)
    compared = replace(report, devices=report.devices[:MOST_COMPARED])
    figures["predicted"] = predicted_figure(compared, narrow=narrow)
    if drawn_predictors(compared):
        figures["predictors"] = predictors_figure(compared, narrow=narrow)
    figures["hypervolume"] = hypervolume_figure(compared, narrow=narrow)
    if len(report.devices) > 1:
        figures["devices"] = devices_figure(compared, narrow=narrow)
    return figures


def save_all(report: ReportData, folder: Path, figures: Mapping[str, Figure] | None = None) -> list[Path]:
    """Write every figure of a report as SVG and PNG.

    Parameters
    ----------
    report : ReportData
        The report.
    folder : Path
        Where to write; made if missing.
    figures : mapping of str to matplotlib.figure.Figure, optional
        What `make_all` draws; drawn here by default.

    Returns
    -------
    list of Path
        The files.
    """
    drawn = make_all(report) if figures is None else figures
    return [path for stem, figure in drawn.items() for path in save(figure, Path(folder), stem)]
