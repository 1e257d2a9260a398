"""The page: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from hwsearch.reporting import words
from hwsearch.reporting.chart import Chart, build, latency_places
from hwsearch.reporting.data import DeviceReport, ReportData
from hwsearch.reporting.facts import headline, pick_letters, pretty_label
from hwsearch.reporting.figures import make_all, slugs
from hwsearch.reporting.genes import describe, layout
from hwsearch.reporting.inline import inline_svg, theme_css
from hwsearch.reporting.snippet import run_lines, side_of


@dataclass(frozen=True)
class Drawing:
    """A figure twice: for wide paper, and for a phone."""

    wide: Markup
    narrow: Markup


@dataclass(frozen=True)
class DeviceView:
    """One device, all numbers already words."""

    slug: str
    name: str
    sentence: Markup
    chart: Chart
    small_chart: Chart
    picks: list[dict[str, Any]]
    front: list[dict[str, str]]
    sides: bool
    level: str
    measured_latency: int
    measured_accuracy: int
    choices: Drawing | None


def environment() -> Environment:
    """Templates of this package; everything is escaped."""
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
    }
    return env


def render(
    report: ReportData, figures: Mapping[str, Figure] | None = None, narrow: Mapping[str, Figure] | None = None
) -> str:
    """The page of `report`. figures, narrow : of `make_all`, wide and for phones; drawn here when not given."""
    wide = make_all(report) if figures is None else figures
    small = make_all(report, narrow=True) if narrow is None else narrow
    drawings = {
        stem: Drawing(
            inline_svg(wide[stem], f"w-{stem}", _description(stem)),
            inline_svg(small[stem], f"n-{stem}", _description(stem)),
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
            supernet=_supernet_line(report),
            comparison=_comparison(report.devices, report.metric),
            serving=_serving(report),
            created=words.moment(report.created),
            noise=_side_by_side(report.devices, "noise"),
            protocol=_side_by_side(report.devices, "protocol"),
            accuracy=words.facts(report.accuracy_protocol, skip=("metric", "unit", "label")),
            unit=f" ({report.metric.unit})" if report.metric.unit else "",
            predictors=[_predictor(p, report) for p in report.predictors],
            commands=_commands(report.provenance),
            provenance=words.facts(report.provenance, skip=("commands",)),
            card=words.facts(report.supernet, skip=("preprocess",)),
            preprocess=words.facts(report.supernet.get("preprocess") or {}),
        )
    )


def write_page(report: ReportData, path: Path) -> Path:
    """Write the page of `report` to `path` (UTF-8) and return it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render(report), encoding="utf-8")
    return path


def _view(device: DeviceReport, slug: str, report: ReportData, drawings: Mapping[str, Drawing]) -> DeviceView:
    objectives, metric = report.objectives, report.metric
    return DeviceView(
        slug=slug,
        name=device.name,
        sentence=_unbroken(headline(device, report), metric),
        chart=build(device, objectives, metric, width=920, height=520, narrow=False),
        small_chart=build(device, objectives, metric, width=360, height=400, narrow=True),
        picks=_picks(device, report),
        front=_front_rows(device),
        sides=any(side_of(pick, report.supernet) for pick in device.picks),
        level=f"{100 * device.confidence:.0f}\N{NO-BREAK SPACE}%",
        measured_latency=_count(device, "latency_ms"),
        measured_accuracy=_count(device, "accuracy"),
        choices=drawings.get(f"choices-{slug}"),
    )


def _count(device: DeviceReport, column: str) -> int:
    """How many different subnets have a number in `column`."""
    return int(device.points.loc[device.points[column].notna(), "arch_id"].nunique())


def _unbroken(sentence: str, word: str) -> Markup:
    """The sentence, escaped, with `word` (``top-1``) never broken at its hyphen."""
    return Markup('<span class="whole">{}</span>').format(word).join(escape(part) for part in sentence.split(word))


def _numbers(row: Mapping[str, Any], places: int) -> dict[str, str]:
    get = row.get
    return {
        "accuracy": words.plus_minus(get("accuracy"), get("accuracy_se")),
        "latency": words.with_interval(get("latency_ms"), get("latency_low"), get("latency_high"), places),
        "macs": words.scaled(get("macs")),
        "params": words.scaled(get("params")),
    }


def _picks(device: DeviceReport, report: ReportData) -> list[dict[str, Any]]:
    places = latency_places(device)
    plan = layout([*device.points["genes"], *device.front["genes"], *(p.get("genes") or {} for p in device.picks)])
    provider = str(device.description.get("provider") or "CPUExecutionProvider")
    return [
        _numbers(pick, places)
        | {
            "letter": letter,
            "label": pretty_label(str(pick.get("label", ""))),
            "arch_id": str(pick.get("arch_id", "")),
            "file": str(pick.get("file") or ""),
            "sha256": str(pick.get("sha256") or ""),
            "size": words.size(pick.get("size_bytes")),
            "further": pick.get("further_files") or [],
            "side": str(side_of(pick, report.supernet) or words.MISSING),
            "genes": describe(pick.get("genes") or {}, plan),
            "code": run_lines(pick, report.supernet, provider),
        }
        for letter, pick in zip(pick_letters(device), device.picks, strict=True)
    ]


def _front_rows(device: DeviceReport) -> list[dict[str, str]]:
    places = latency_places(device)
    plan = layout([*device.points["genes"], *device.front["genes"]])
    letters: dict[str, list[str]] = {}
    for letter, pick in zip(pick_letters(device), device.picks, strict=True):
        letters.setdefault(str(pick.get("arch_id")), []).append(letter)
    return [
        _numbers(row, places)
        | {
            "place": str(i),
            "arch_id": row["arch_id"],
            "letters": ", ".join(letters.get(row["arch_id"], [])),
            "sure": _sure(row.get("front_probability")),
            "genes": describe(row["genes"], plan),
        }
        for i, row in enumerate(device.front.to_dict("records"), 1)
    ]


def _sure(probability: Any) -> str:
    """With which probability a subnet is on the front; nothing where that is unknown."""
    if not words.finite(probability):
        return ""
    return f"on the front with probability {'> 0.999' if probability > 0.999 else words.number(probability, 3)}"


def _supernet_line(report: ReportData) -> str:
    """``cifar10-mbv3: 3.2 × 10¹¹ subnets, 1–10.4 M MACs, 10 classes``."""
    card = report.supernet
    parts = []
    if words.finite(card.get("subnets")):
        parts.append(f"{words.number(card['subnets'], 2)} subnets")
    low, high = (card.get("macs_range") or (None, None))[:2]
    if words.finite(low) and words.finite(high):
        parts.append(f"{words.scaled(low)} to {words.scaled(high)} MACs")
    classes = card.get("classes")
    if classes is not None:
        parts.append(f"{classes if isinstance(classes, int) else len(classes)} classes")
    return (
        f"{card.get('name', report.campaign)}: {', '.join(parts)}" if parts else str(card.get("name", report.campaign))
    )


def _serving(report: ReportData) -> list[dict[str, Any]]:
    """The subnets that serve all devices, in words; ``latency`` has a cell a device of the report."""
    places = {d.name: latency_places(d) for d in report.devices}

    def cell(found: Mapping[str, Any] | None, device: str) -> str:
        if not found:
            return words.MISSING
        return words.with_interval(found.get("latency_ms"), found.get("low"), found.get("high"), places[device])

    return [
        {
            "label": pretty_label(str(row.get("label", ""))),
            "arch_id": str(row.get("arch_id", "")),
            "accuracy": words.plus_minus(row.get("accuracy"), row.get("accuracy_se")),
            "share": words.number(row.get("share"), 3),
            "latency": [cell((row.get("latency") or {}).get(d.name), d.name) for d in report.devices],
        }
        for row in report.serving
    ]


Table = list[tuple[str, list[str]]]


def _comparison(devices: list[DeviceReport], metric: str) -> Table:
    """(label, a cell a device) of the descriptions, and the ends of each front."""
    rows: Table = _side_by_side(devices, "description")
    ends: dict[str, list[str]] = {"Fastest point": [], "Most accurate point": []}
    for d in devices:
        for name, position in (("Fastest point", 0), ("Most accurate point", -1)):
            ends[name].append(
                _point_text(d.front.iloc[position], latency_places(d), metric) if len(d.front) else words.MISSING
            )
    return [
        ("Pareto-optimal, measured", [f"{len(d.front)} subnet{'' if len(d.front) == 1 else 's'}" for d in devices]),
        *ends.items(),
        *rows,
    ]


def _point_text(row: pd.Series, places: int, metric: str) -> str:
    latency = words.with_interval(row["latency_ms"], row["latency_low"], row["latency_high"], places)
    return f"{words.plus_minus(row['accuracy'], row['accuracy_se'])}{words.percent(metric)} at {latency} ms"


def _side_by_side(devices: list[DeviceReport], part: str) -> Table:
    keys = list(dict.fromkeys(k for d in devices for k in getattr(d, part)))
    return [(words.label(k), [words.cell(k, getattr(d, part).get(k)) for d in devices]) for k in keys]


def _predictor(p: Mapping[str, Any], report: ReportData) -> dict[str, str]:
    metric = str(p.get("metric", ""))
    unit = {"accuracy": "points", "latency_ms": "ms"}.get(metric, "")
    name = report.metric if metric == "accuracy" else words.label(metric)
    return {
        "metric": name.replace(" (ms)", ""),
        "device": str(p.get("device") or words.MISSING),
        "model": str(p.get("model", words.MISSING)),
        "n": f"{words.value_text(p.get('n_train'))} / {words.value_text(p.get('n_test'))}",
        "mae": f"{words.number(p.get('mae'), 2)} {unit}".strip() if words.finite(p.get("mae")) else words.MISSING,
        "mape": f"{words.number(p.get('mape'), 2)} %" if words.finite(p.get("mape")) else words.MISSING,
        "spearman": words.plus_minus(p.get("spearman"), None, 2),
        "kendall": words.plus_minus(p.get("kendall"), None, 2),
        "coverage": words.percent_of(p.get("coverage")),
        "nominal": words.percent_of(p.get("nominal_coverage")),
    }


def _commands(provenance: Mapping[str, Any]) -> str:
    commands = provenance.get("commands") or []
    return commands if isinstance(commands, str) else "\n".join(str(c) for c in commands)


def _description(stem: str) -> str:
    return {
        "predicted": "Predicted against measured accuracy and latency; the scores stand in the table.",
        "hypervolume": "Share of the best hypervolume over measured subnets, search against random sampling.",
        "devices": "Fronts of all devices, and the share of hypervolume that another device's picks keep.",
    }.get(
        stem, "Genes of the front's subnets, from the fastest to the most accurate; the table of the front lists them."
    )
