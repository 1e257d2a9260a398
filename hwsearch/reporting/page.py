"""Render a report as one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from hwsearch._files import containing, write_file
from hwsearch._json import JsonObject
from hwsearch.reporting import words
from hwsearch.reporting.assessment_result import band_lines, figure_pairs
from hwsearch.reporting.chart import build
from hwsearch.reporting.data import MOST_COMPARED, DeviceReport, ReportData
from hwsearch.reporting.deploy import Deployed, deployed, step_unit, worth_compared, worth_words
from hwsearch.reporting.facts import headline
from hwsearch.reporting.figures import make_all, slugs
from hwsearch.reporting.figures.assessment import BANDS_WORDS, bands_figure, score_of
from hwsearch.reporting.genes import layout, legend
from hwsearch.reporting.inline import inline_svg, theme_css
from hwsearch.reporting.marks import Chart
from hwsearch.reporting.snippet import side_of
from hwsearch.reporting.tables import (
    command_lines,
    comparison,
    count_subnets,
    figure_description,
    front_rows,
    pick_rows,
    predictor_row,
    serving_rows,
    side_by_side,
    supernet_line,
    task_rows,
    unbroken,
)

#: devices that the headline names one by one
MOST_HEADLINES = 4
#: recognises pages by their policy and name
IS_PAGE = containing(b"default-src 'none'; style-src 'unsafe-inline'")


@dataclass(frozen=True)
class Drawing:
    """A figure twice.

    Attributes
    ----------
    wide : markupsafe.Markup
        For wide paper.
    narrow : markupsafe.Markup
        For a phone.
    """

    wide: Markup
    narrow: Markup


@dataclass(frozen=True)
class DeviceView:
    """Content of the page for one device, all numbers already words.

    Attributes
    ----------
    slug : str
        Its id on the page.
    name : str
        The device.
    sentence : markupsafe.Markup
        The headline.
    chart, small_chart : Chart
        The front, for wide paper and for a phone.
    picks, front : list of dict
        Rows of the tables.
    sides : bool
        Whether picks have an input side.
    level : str
        Level of the latency intervals.
    together : str or None
        By how much all latencies of the device move with its host's level; None where that is not known.
    measured_latency, measured_accuracy, drawn : int
        How many subnets were measured.
    choices : Drawing or None
        The genes along the front.
    deploy : Deployed or None
        What to deploy.
    worth : str
        Whether the search was worth it.
    legend : str
        What the genes are called.
    """

    slug: str
    name: str
    sentence: Markup
    chart: Chart
    small_chart: Chart
    picks: list[JsonObject]
    front: list[dict[str, str]]
    sides: bool
    level: str
    together: str | None
    measured_latency: int
    measured_accuracy: int
    drawn: int
    choices: Drawing | None
    deploy: Deployed | None
    worth: str
    legend: str


@dataclass(frozen=True)
class WorthView:
    """Content of the page for the assessment of the campaign's supernet.

    Attributes
    ----------
    note : str
        Why one is not shown; the rest is empty then.
    sentence, trained_by, judged, created : str
        The advice; the strategies of the training; on what subnets were judged; when.
    metric : str
        Name of the score.
    drawing : Drawing or None
        Scores over MACs.
    bands : list of dict of str to str
        The table of bands.
    figures : list of tuple of str
        Names and values.
    passes : int
        Passes of each stand-alone training; 0 without any.
    """

    note: str = ""
    sentence: str = ""
    trained_by: str = ""
    judged: str = ""
    created: str = ""
    metric: str = ""
    drawing: Drawing | None = None
    bands: Sequence[Mapping[str, str]] = ()
    figures: Sequence[tuple[str, str]] = ()
    passes: int = 0


def environment() -> Environment:
    """Make the jinja2 environment of the page's templates, in which everything is escaped.

    Returns
    -------
    jinja2.Environment
        The environment.
    """
    env = Environment(
        loader=PackageLoader("hwsearch.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "number": words.number,
        "seconds": words.seconds,
        "percent": words.percent_of,
        "scaled": words.scaled,
        "size": words.size,
    }
    return env


def render(
    report: ReportData, figures: Mapping[str, Figure] | None = None, narrow: Mapping[str, Figure] | None = None
) -> str:
    """Render the page of a report: one HTML file that needs no network and no other file.

    Parameters
    ----------
    report : ReportData
        The report.
    figures, narrow : mapping of str to matplotlib.figure.Figure, optional
        What `make_all` draws, wide and for phones; drawn here by default.

    Returns
    -------
    str
        The page.
    """
    wide = make_all(report, fronts=False) if figures is None else figures
    small = make_all(report, narrow=True, fronts=False) if narrow is None else narrow
    drawings = {
        stem: Drawing(
            inline_svg(wide[stem], f"w-{stem}", figure_description(stem)),
            inline_svg(small[stem], f"n-{stem}", figure_description(stem)),
        )
        for stem in wide
        if stem in small and not stem.startswith("front-")
    }
    views = [_view(d, slug, report, drawings) for d, slug in zip(report.devices, slugs(report), strict=True)]
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            views=views,
            drawings=drawings,
            light=theme_css(dark=False),
            dark=theme_css(dark=True),
            supernet=supernet_line(report),
            comparison=comparison(report.devices, report.metric),
            serving=serving_rows(report),
            tasks=task_rows(report),
            created=words.moment(report.created),
            noise=side_by_side(report.devices, "noise"),
            protocol=side_by_side(report.devices, "protocol"),
            accuracy=words.facts(report.accuracy_protocol, skip=("metric", "unit", "label")),
            unit=f" ({report.metric.unit})" if report.metric.unit else "",
            step_unit=step_unit(report.metric),
            worth_compared=worth_compared(report),
            level=intervals_level(report),
            few=MOST_HEADLINES,
            most=MOST_COMPARED,
            predictors=[predictor_row(p, report) for p in report.predictors],
            commands=command_lines(report.provenance),
            provenance=words.facts(report.provenance, skip=("commands",)),
            card=words.facts(report.supernet, skip=("preprocess",)),
            preprocess=words.facts(report.supernet.get("preprocess") or {}),
            worth=_worth(report.assessment),
        )
    )


def _worth(found: JsonObject) -> WorthView | None:
    """Make what the page shows of an assessment; None where there is none."""
    if not found or "note" in found:
        return WorthView(str(found["note"])) if found else None
    wide, narrow = bands_figure(found), bands_figure(found, narrow=True)
    return WorthView(
        sentence=found["advice"]["sentence"],
        trained_by=", ".join(found["trained_by"]),
        judged=f"{found['examples']:,} {found['examples_name']} of {found['data']}",
        created=words.moment(found["created"]),
        metric=str(score_of(found)),
        drawing=Drawing(inline_svg(wide, "w-worth", BANDS_WORDS), inline_svg(narrow, "n-worth", BANDS_WORDS)),
        bands=band_lines(found),
        figures=figure_pairs(found),
        passes=found["passes"] or 0,
    )


def write_page(report: ReportData, path: Path, figures: Mapping[str, Figure] | None = None) -> Path:
    """Render the page of a report into a file.

    Parameters
    ----------
    report : ReportData
        The report.
    path : Path
        The .html file, UTF-8; its folder is made if missing.
    figures : mapping of str to matplotlib.figure.Figure, optional
        As in `render`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OutputError
        If there is a link, or a file that is no page of this tool.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, render(report, figures).encode(), IS_PAGE)
    return path


def intervals_level(report: ReportData) -> str:
    """Write the level of the page's intervals.

    Parameters
    ----------
    report : ReportData
        The report.

    Returns
    -------
    str
        One level, or that of accuracies and that of latencies where these differ.
    """
    levels = sorted(
        {f"{100 * d.confidence:.0f}\N{NO-BREAK SPACE}%" for d in report.devices} | {"95\N{NO-BREAK SPACE}%"}
    )
    if len(levels) == 1:
        return f"{levels[0]} intervals"
    others = " and ".join(level for level in levels if not level.startswith("95"))
    return f"intervals, of 95\N{NO-BREAK SPACE}% for accuracies and {others} for latencies"


def _together(device: DeviceReport) -> str | None:
    """Say within what another campaign finds the host: one number where both ends are much alike."""
    low, high = device.noise.get("another_campaign_percent") or (None, None)
    if not (words.finite(low) and words.finite(high)):
        return None
    if high < 1.5 * -low and -low < 1.5 * high:
        return f"±{words.number(max(high, -low), 2)}\N{NO-BREAK SPACE}%"
    return f"\N{MINUS SIGN}{words.number(-low, 2)} to +{words.number(high, 2)}\N{NO-BREAK SPACE}%"


def _view(device: DeviceReport, slug: str, report: ReportData, drawings: Mapping[str, Drawing]) -> DeviceView:
    objectives, metric = report.objectives, report.metric
    return DeviceView(
        slug=slug,
        name=device.name,
        sentence=unbroken(headline(device, report), metric),
        chart=build(device, objectives, metric, width=920, height=520, narrow=False),
        small_chart=build(device, objectives, metric, width=360, height=400, narrow=True),
        picks=pick_rows(device, report),
        front=front_rows(device),
        sides=any(side_of(pick, report.supernet) for pick in device.picks),
        level=f"{100 * device.confidence:.0f}\N{NO-BREAK SPACE}%",
        together=_together(device),
        measured_latency=count_subnets(device, "latency_ms"),
        measured_accuracy=count_subnets(device, "accuracy"),
        drawn=int(device.points.loc[device.points["latency_ms"].notna(), "arch_id"].nunique()),
        choices=drawings.get(f"choices-{slug}"),
        deploy=deployed(device, report),
        worth=worth_words(device, report),
        legend=legend(layout([*device.points["genes"], *device.front["genes"]])),
    )
