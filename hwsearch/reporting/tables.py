"""Rows of the page's tables and its single lines: the numbers of a report as text."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from markupsafe import Markup, escape

from hwsearch._json import JsonObject
from hwsearch.reporting import words
from hwsearch.reporting.chart import latency_places
from hwsearch.reporting.data import DeviceReport, ReportData
from hwsearch.reporting.differences import difference_places, signed
from hwsearch.reporting.facts import pick_letters, pretty_label
from hwsearch.reporting.genes import describe, layout
from hwsearch.reporting.snippet import run_lines, side_of


def count_subnets(device: DeviceReport, column: str) -> int:
    """Count the different subnets that have been measured.

    Parameters
    ----------
    device : DeviceReport
        The device's part of the report.
    column : str
        What of: a column of `DeviceReport.points`.

    Returns
    -------
    int
        The number, of those that are not drawn as well.
    """
    if column in device.measured_subnets:
        return int(device.measured_subnets[column])
    return int(device.points.loc[device.points[column].notna(), "arch_id"].nunique())


def unbroken(sentence: str, word: str) -> Markup:
    """Escape a sentence and keep a word (``top-1``) from being broken at its hyphen.

    Parameters
    ----------
    sentence : str
        The sentence.
    word : str
        The word.

    Returns
    -------
    markupsafe.Markup
        HTML.
    """
    return Markup('<span class="whole">{}</span>').format(word).join(escape(part) for part in sentence.split(word))


def _numbers(row: Mapping[str, object], places: int) -> dict[str, str]:
    get = row.get
    return {
        "accuracy": words.plus_minus(get("accuracy"), get("accuracy_se")),
        "latency": words.with_interval(get("latency_ms"), get("latency_low"), get("latency_high"), places),
        "macs": words.scaled(get("macs")),
        "params": words.scaled(get("params")),
    }


def pick_rows(device: DeviceReport, report: ReportData) -> list[JsonObject]:
    """Make the rows of the table of picks.

    Parameters
    ----------
    device : DeviceReport
        The device's part of the report.
    report : ReportData
        The report.

    Returns
    -------
    list of dict
        Texts by column.
    """
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


def front_rows(device: DeviceReport) -> list[dict[str, str]]:
    """Make the rows of the table of the front.

    Parameters
    ----------
    device : DeviceReport
        The device's part of the report.

    Returns
    -------
    list of dict
        Texts by column.
    """
    places = latency_places(device)
    plan = layout([*device.points["genes"], *device.front["genes"]])
    steps = {t.get("faster"): t for t in device.trade_offs}
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
            **_step(steps.get(row["arch_id"])),
            "genes": describe(row["genes"], plan),
        }
        for i, row in enumerate(device.front.to_dict("records"), 1)
    ]


def _step(step: JsonObject | None) -> dict[str, str]:
    """Write what the next slower subnet has more: accuracy and latency."""
    if step is None:
        return {"gain": words.MISSING, "cost": words.MISSING}
    ends = [step.get("latency_low"), step.get("latency_high")]
    cost = step.get("latency_ms")
    return {
        "gain": signed(step.get("accuracy"), step.get("accuracy_low"), step.get("accuracy_high"), 1),
        "cost": signed(cost, *ends, difference_places(cost, ends)),
    }


def _sure(probability: object) -> str:
    """Write with which probability a subnet is on the front; nothing where that is unknown."""
    if not words.finite(probability):
        return ""
    return f"on the front with probability {'> 0.999' if probability > 0.999 else words.number(probability, 3)}"


def supernet_line(report: ReportData) -> str:
    """Describe the supernet in one line.

    Parameters
    ----------
    report : ReportData
        The report.

    Returns
    -------
    str
        For example ``cifar10-mbv3: 3.2 × 10¹¹ subnets, 1.00 M to 10.4 M MACs, 10 classes``.
    """
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


def serving_rows(report: ReportData) -> list[JsonObject]:
    """Make the rows of the subnets that serve all devices.

    Parameters
    ----------
    report : ReportData
        The report.

    Returns
    -------
    list of dict
        Texts by column; ``latency`` has one text a device of the report.
    """
    places = {d.name: latency_places(d) for d in report.devices}

    def cell(found: Mapping[str, object] | None, device: str) -> str:
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


def task_rows(report: ReportData) -> list[dict[str, str]]:
    """Make the rows of the further tasks of the largest subnet.

    Parameters
    ----------
    report : ReportData
        The report.

    Returns
    -------
    list of dict
        Texts by column.
    """
    return [
        {
            "name": str(row["name"]),
            "classes": str(row["classes"]),
            "score": words.with_interval(row["score"], row["low"], row["high"], 1),
            "examples": f"{row['examples']:,}",
            "density": words.percent_of(row["density"], 1),
            "trained": words.percent_of(row["trained"], 1),
            "free": words.percent_of(row["free"], 1),
            "bytes": words.size(row["bytes"]),
            "forgetting": "0, equal to the bit" if row["forgetting"] == 0 else words.number(row["forgetting"]),
            "file": str(row["file"] or ""),
        }
        for row in report.tasks
    ]


Table = list[tuple[str, list[str]]]


def comparison(devices: list[DeviceReport], metric: str) -> Table:
    """Make the table that compares devices.

    Parameters
    ----------
    devices : list of DeviceReport
        The columns.
    metric : str
        Name of the score.

    Returns
    -------
    list of (str, list of str)
        Label and one text a device: size and ends of the fronts, then the descriptions.
    """
    rows: Table = side_by_side(devices, "description")
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


def side_by_side(devices: list[DeviceReport], part: str) -> Table:
    """Make a table of one dict of each device.

    Parameters
    ----------
    devices : list of DeviceReport
        The columns.
    part : str
        Name of a dict field of `DeviceReport`.

    Returns
    -------
    list of (str, list of str)
        Label and one text a device, a row a key.
    """
    keys = list(dict.fromkeys(k for d in devices for k in getattr(d, part)))
    return [(words.label(k), [words.cell(k, getattr(d, part).get(k)) for d in devices]) for k in keys]


def predictor_row(p: Mapping[str, object], report: ReportData) -> dict[str, str]:
    """Make the row of one predictor.

    Parameters
    ----------
    p : mapping
        One of `ReportData.predictors`.
    report : ReportData
        The report.

    Returns
    -------
    dict of str to str
        Texts by column.
    """
    metric = str(p.get("metric", ""))
    unit = {"accuracy": "points", "latency_ms": "ms"}.get(metric, "")
    name = report.metric if metric == "accuracy" else words.label(metric)
    ends = [words.percent_of(p.get(f"coverage_{end}")) for end in ("low", "high")]
    span = f", {ends[0].removesuffix(' %')} to {ends[1]}" if words.MISSING not in ends else ""
    factor = p.get("widened")
    widened = f"; widened {words.number(factor, 2)} times" if isinstance(factor, float) and factor > 1 else ""
    return {
        "metric": name.replace(" (ms)", ""),
        "device": str(p.get("device") or words.MISSING),
        "model": str(p.get("model", words.MISSING)),
        "n": f"{words.value_text(p.get('n_train'))} / {words.value_text(p.get('n_test'))}",
        "mae": f"{words.number(p.get('mae'), 2)} {unit}".strip() if words.finite(p.get("mae")) else words.MISSING,
        "mape": f"{words.number(p.get('mape'), 2)} %" if words.finite(p.get("mape")) else words.MISSING,
        "spearman": words.plus_minus(p.get("spearman"), None, 2),
        "kendall": words.plus_minus(p.get("kendall"), None, 2),
        "coverage": words.percent_of(p.get("coverage")) + span + widened,
        "nominal": words.percent_of(p.get("nominal_coverage")),
    }


def command_lines(provenance: JsonObject) -> str:
    """Get the shell lines that repeat the campaign.

    Parameters
    ----------
    provenance : mapping
        `ReportData.provenance`.

    Returns
    -------
    str
        The lines.
    """
    commands = provenance.get("commands") or []
    return commands if isinstance(commands, str) else "\n".join(str(c) for c in commands)


def figure_description(stem: str) -> str:
    """Describe a figure for those who cannot see it.

    Parameters
    ----------
    stem : str
        File stem of the figure.

    Returns
    -------
    str
        One sentence.
    """
    return {
        "predicted": "Predicted against measured accuracy and latency; the scores stand in the table.",
        "predictors": "Error of the predictors over measured subnets, coverage of their intervals, and shares of the variance.",
        "hypervolume": "Share of the best hypervolume over measured subnets, search against random sampling.",
        "devices": "Fronts of all devices, and the share of hypervolume that another device's picks keep.",
    }.get(
        stem, "Genes of the front's subnets, from the fastest to the most accurate; the table of the front lists them."
    )
