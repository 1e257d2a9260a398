"""The command `hwsearch`: the package's verbs, with progress on stderr and results on stdout."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hwsearch._json import shown_as_json

out = Console()


err = Console(stderr=True)


def _emit(value: Any, as_json: bool) -> bool:
    """Print as JSON if asked; returns whether it did."""
    if as_json:
        sys.stdout.write(json.dumps(shown_as_json(value), indent=1, ensure_ascii=False) + "\n")
    return as_json


def _frame(frame: Any, title: str, digits: int = 4) -> None:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in frame.columns:
        numeric = frame[column].dtype.kind in "iufb"
        table.add_column(str(column), justify="right" if numeric else "left")
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{v:.{digits}g}" if isinstance(v, float) else str(v) for v in row))
    out.print(table)


def _mapping(value: dict[str, Any], indent: str = "") -> None:
    for key, item in value.items():
        if isinstance(item, dict):
            out.print(f"{indent}[bold]{key}[/bold]", highlight=False)
            _mapping(item, indent + "  ")
        elif isinstance(item, list) and item and isinstance(item[0], dict):
            out.print(f"{indent}[bold]{key}[/bold]: {len(item)} entries", highlight=False)
        else:
            shown = ", ".join(map(str, item)) if isinstance(item, list) else item
            out.print(f"{indent}[bold]{key}[/bold]: {shown}", highlight=False)


# ---------------------------------------------------------------------- the whole line
def _finish(result: dict[str, Any], as_json: bool) -> None:
    if _emit(result, as_json):
        return
    from hwsearch.reporting.words import scaled

    score = " ".join(filter(None, (result["score"], result["score_unit"])))
    level = f"{100 * result['confidence']:.0f} %"
    for device in result["devices"]:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in (device["device"], f"{score} (90 %)", f"latency ms ({level})", "MACs", "file"):
            words = name in (device["device"], "file")
            table.add_column(name, justify="left" if words else "right", no_wrap=name != device["device"])
        for p in device["picks"]:
            table.add_row(
                p["label"],
                f"{p['accuracy']:.1f} ±{1.645 * p['accuracy_se']:.1f}",
                f"{p['latency_ms']:.3g} ({p['latency_low']:.3g}–{p['latency_high']:.3g})",
                scaled(p["macs"]),
                f"{p['arch_id']}.*.onnx" if p["further_files"] else Path(p["file"]).name,
            )
        out.print(table)
        out.print(
            f"  {device['front_points']} measured Pareto-optimal subnets, {device['latency_span']:.1f}× between slowest and fastest\n"
            if device["front_points"] > 1
            else "  one measured subnet is Pareto-optimal\n",
            highlight=False,
        )
    out.print(f"{result['measured']} measurements in {result['seconds']:.0f} s", highlight=False)
    out.print(f"→ {result['report']}   {result['front']}   {Path(result['folder'])}/models", highlight=False)


def _fail(data: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(data, ensure_ascii=False) + "\n")
    err.print(f"[red]error:[/red] {_escape(text)}", highlight=False)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
