"""Draw results: JSON or tables on stdout, errors on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hwsearch._json import JsonObject, shown_as_json
from hwsearch.reporting.words import scaled

if TYPE_CHECKING:
    import pandas as pd

#: results
out = Console()
#: progress, notes and errors
err = Console(stderr=True)
#: columns of a terminal from which on a table of picks has one for the files
WIDE = 100
#: fewest columns of a pick's labels
LABEL_WIDTH = 30


def emit_json(value: object, as_json: bool) -> bool:
    """Print a result as JSON if asked.

    Parameters
    ----------
    value : object
        Dicts, lists, frames, and numbers.
    as_json : bool
        Whether it is asked for.

    Returns
    -------
    bool
        `as_json`.
    """
    if as_json:
        sys.stdout.write(json.dumps(shown_as_json(value), indent=1, ensure_ascii=False) + "\n")
    return as_json


def print_frame(frame: pd.DataFrame, title: str, digits: int = 4) -> None:
    """Print a frame as a table.

    Parameters
    ----------
    frame : pandas.DataFrame
        A row a line.
    title : str
        Above the table.
    digits : int
        Significant digits of numbers.
    """
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in frame.columns:
        numeric = frame[column].dtype.kind in "iufb"
        table.add_column(str(column), justify="right" if numeric else "left")
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{v:.{digits}g}" if isinstance(v, float) else str(v) for v in row))
    out.print(table)


def print_mapping(value: Mapping[str, object], indent: str = "") -> None:
    """Print a mapping, a key a line.

    Parameters
    ----------
    value : mapping
        Mappings in it are indented, lists of mappings are counted.
    indent : str
        Before each line.
    """
    for key, item in value.items():
        if isinstance(item, dict):
            out.print(f"{indent}[bold]{escape(str(key))}[/bold]", highlight=False)
            print_mapping(item, indent + "  ")
        elif isinstance(item, list) and item and isinstance(item[0], dict):
            out.print(f"{indent}[bold]{escape(str(key))}[/bold]: {len(item)} entries", highlight=False)
        else:
            shown = ", ".join(map(str, item)) if isinstance(item, list) else item
            out.print(f"{indent}[bold]{escape(str(key))}[/bold]: {escape(str(shown))}", highlight=False)


def print_summary(result: JsonObject, as_json: bool) -> None:
    """Print what a whole run found.

    Parameters
    ----------
    result : dict
        Of `hwsearch.run`.
    as_json : bool
        Print one JSON object instead of text.
    """
    if emit_json(result, as_json):
        return
    score = " ".join(filter(None, (result["score"], result["score_unit"])))
    level = f"{100 * result['confidence']:.0f} %"
    for device in result["devices"]:
        out.print(_picks(device, score, level))
        out.print(
            f"  {device['front_points']} measured Pareto-optimal subnets, {device['latency_span']:.1f}× between slowest and fastest\n"
            if device["front_points"] > 1
            else "  one measured subnet is Pareto-optimal\n",
            highlight=False,
        )
    out.print(f"{result['measured']} measurements in {result['seconds']:.0f} s", highlight=False)
    out.print(f"→ {result['report']}   {result['front']}   {Path(result['folder'])}/models", highlight=False)


def _picks(device: JsonObject, score: str, level: str) -> Table:
    """Make the table of a device's picks: a line a label, and the file below the labels where there is no room beside."""
    wide = out.width >= WIDE
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(escape(device["device"]), min_width=LABEL_WIDTH)
    for name in (f"{score} (90 %)", f"latency ms ({level})", "MACs"):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("file", no_wrap=True)
    for p in device["picks"]:
        file = f"{p['arch_id']}.*.onnx" if p["further_files"] else Path(p["file"]).name
        labels = [escape(label) for label in p["label"].split("; ")]
        table.add_row(
            "\n".join(labels if wide else [*labels, f"→ {file}"]),
            f"{p['accuracy']:.1f} ±{1.645 * p['accuracy_se']:.1f}",
            f"{p['latency_ms']:.3g} ({p['latency_low']:.3g}–{p['latency_high']:.3g})",
            scaled(p["macs"]),
            *([file] if wide else []),
        )
    return table


def print_error(data: Mapping[str, object], text: str, as_json: bool) -> None:
    """Print an error on stderr, and on stdout as JSON if asked.

    Parameters
    ----------
    data : mapping
        ``error``, ``message`` and ``hint``.
    text : str
        One sentence.
    as_json : bool
        Whether to print JSON, too.
    """
    if as_json:
        sys.stdout.write(json.dumps(data, ensure_ascii=False) + "\n")
    err.print(f"[red]error:[/red] {escape(text)}", highlight=False)
