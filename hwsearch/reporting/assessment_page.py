"""The page of an assessed supernet: one HTML file that needs no network, no script and no other file."""

from __future__ import annotations

from pathlib import Path

from hwsearch._files import write_file
from hwsearch._json import JsonObject
from hwsearch.reporting import words
from hwsearch.reporting.assessment_result import band_lines, estimate_words, figure_pairs
from hwsearch.reporting.figures.assessment import (
    BANDS_WORDS,
    bands_figure,
    conflict_figure,
    excess_figure,
    probes_figure,
    score_of,
)
from hwsearch.reporting.inline import inline_svg, theme_css
from hwsearch.reporting.page import IS_PAGE, Drawing, environment

#: figures of the page: what draws each, and what it says to those who cannot see it
FIGURES = {
    "bands": (
        bands_figure,
        BANDS_WORDS,
    ),
    "excess": (excess_figure, "Excess loss of each band of MACs; the table of bands lists them."),
    "conflict": (
        conflict_figure,
        "Cosine of the gradients of the smallest and the largest subnet by part of the network.",
    ),
    "probes": (probes_figure, "Score of the probes trained by themselves over the score with the supernet's weights."),
}


def rule_lines(result: JsonObject) -> list[dict[str, str]]:
    """Make the rows of the table of rules.

    Parameters
    ----------
    result : dict
        Of `hwsearch.assess_supernet`.

    Returns
    -------
    list of dict
        Texts by column.
    """
    said = {True: "holds", False: "does not hold", None: "not known"}
    return [
        {
            "figure": str(r["figure"]),
            "value": estimate_words(r["estimate"], 2, r["unit"]),
            "limit": f"{r['side']} {r['limit']:g}",
            "holds": said[r["holds"]],
            "strategy": str(r["strategy"]),
        }
        for r in result["advice"]["rules"]
    ]


def subnet_lines(result: JsonObject) -> list[dict[str, str]]:
    """Make the rows of the table of subnets.

    Parameters
    ----------
    result : dict
        Of `hwsearch.assess_supernet`.

    Returns
    -------
    list of dict
        Texts by column, in ascending order of MACs.
    """
    return [
        {
            "arch_id": str(r["arch_id"]),
            "macs": words.scaled(r["macs"]),
            "params": words.scaled(r["params"]),
            "score": words.plus_minus(r["score"], r["score_se"]),
            "loss": f"{r['loss']:.3f}",
            "excess": f"{r['excess_loss']:.3f}",
            "standalone": words.plus_minus(r["standalone"], r["standalone_se"]),
            "gap": words.plus_minus(r["gap"], r["gap_se"]).replace("-", "\N{MINUS SIGN}"),
        }
        for r in sorted(result["subnets"], key=lambda r: r["macs"])
    ]


def render_assessment(result: JsonObject) -> str:
    """Render the page of an assessment.

    Parameters
    ----------
    result : dict
        Of `hwsearch.assess_supernet`.

    Returns
    -------
    str
        The page.
    """
    probes = [r for r in result["subnets"] if r["standalone"] is not None]
    drawings: dict[str, Drawing] = {}
    for name, (draw, description) in FIGURES.items():
        if name == "probes" and not probes:
            continue
        wide, narrow = draw(result), draw(result, narrow=True)
        drawings[name] = Drawing(
            inline_svg(wide, f"w-{name}", description), inline_svg(narrow, f"n-{name}", description)
        )
    conflict = result["conflict"]
    facts = [
        ("Weights", str(result["digest"])),
        ("Trained by", ", ".join(result["trained_by"]) or "not known"),
        ("Judged on", f"{result['examples']:,} {result['examples_name']} of {result['data']}"),
        ("Training examples", f"{result['training_examples']:,}"),
        ("Stand-alone training", f"{result['passes']:,} passes each" if result["passes"] else "none was asked for"),
        ("Batches of gradients", str(conflict["batches"])),
        ("Seed", str(result["seed"])),
        ("Time", words.seconds(result["seconds"])),
        ("hwsearch", str(result["version"])),
    ]
    figures = figure_pairs(result)
    return (
        environment()
        .get_template("assessment.html.j2")
        .render(
            result=result,
            created=words.moment(result["created"]),
            sentence=result["advice"]["sentence"],
            bands=band_lines(result),
            rules=rule_lines(result),
            subnets=subnet_lines(result),
            probes=len(probes),
            drawings=drawings,
            metric=score_of(result),
            figures=figures,
            facts=facts,
            difference_unit=result["difference_unit"],
            light=theme_css(dark=False),
            dark=theme_css(dark=True),
        )
    )


def write_assessment_page(result: JsonObject, path: Path) -> Path:
    """Render the page of an assessment into a file.

    Parameters
    ----------
    result : dict
        Of `hwsearch.assess_supernet`.
    path : Path
        The .html file, UTF-8.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OutputError
        If there is a link, or a file that is no page of this tool.
    """
    write_file(path, render_assessment(result).encode(), IS_PAGE)
    return path
