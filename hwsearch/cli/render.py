"""Draw results: JSON or tables on stdout, errors on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hwsearch._json import JsonObject, shown_as_json
from hwsearch.reporting.differences import trade_off_text
from hwsearch.reporting.words import Z95, scaled

if TYPE_CHECKING:
    import pandas as pd

#: columns where there is no terminal: nothing is wrapped or cut in a pipe or a file
UNCUT = 10_000


def _console(stream: TextIO | None, *, stderr: bool = False) -> Console:
    return Console(stderr=stderr, width=None if stream is not None and stream.isatty() else UNCUT)


#: results
out = _console(sys.stdout)
#: progress, notes and errors
err = _console(sys.stderr, stderr=True)
#: control characters but line ends and tabs, and what is shown in their place
CONTROLS = {c: f"\\x{c:02x}" for c in (*range(32), 127, *range(128, 160)) if chr(c) not in "\n\t"}
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
        write_json(value, indent=1)
    return as_json


def write_json(value: object, indent: int | None = None) -> None:
    """Write a value as JSON on standard output, in characters that its encoding has.

    Parameters
    ----------
    value : object
        Anything; see `hwsearch._json.shown_as_json`.
    indent : int, optional
        Of the lines; by default all is one line.
    """
    plain = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    sys.stdout.write(json.dumps(shown_as_json(value), indent=indent, ensure_ascii=plain) + "\n")


def visible(text: object) -> str:
    r"""Make text that a program or a file gave safe for a terminal: control characters are shown, not sent.

    Parameters
    ----------
    text : object
        Whatever is to be printed.

    Returns
    -------
    str
        For a console's markup.

    Examples
    --------
    >>> print(visible("\x1b]0;title\x07[red]"))
    \x1b]0;title\x07\[red]
    """
    return escape(str(text).translate(CONTROLS))


def first_sentence(text: str) -> str:
    """Cut a text after its first sentence.

    Parameters
    ----------
    text : str
        Sentences, and perhaps lines.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> first_sentence("5 of 7 tensors are missing: conv.1.weight. Give another file.")
    '5 of 7 tensors are missing: conv.1.weight.'
    """
    line = " ".join(text.split())
    head, mark, _ = line.partition(". ")
    return head + mark.rstrip()


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
    table = Table(title=visible(title), title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in frame.columns:
        numeric = frame[column].dtype.kind in "iufb"
        table.add_column(visible(column), justify="right" if numeric else "left", overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{v:.{digits}g}" if isinstance(v, float) else visible(v) for v in row))
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
            out.print(f"{indent}[bold]{visible(key)}[/bold]", highlight=False)
            print_mapping(item, indent + "  ")
        elif isinstance(item, list) and item and isinstance(item[0], dict):
            out.print(f"{indent}[bold]{visible(key)}[/bold]: {len(item)} entries", highlight=False)
        else:
            shown = ", ".join(map(str, item)) if isinstance(item, list) else item
            out.print(f"{indent}[bold]{visible(key)}[/bold]: {visible(shown)}", highlight=False)


def print_lines(*lines: str) -> None:
    """Print lines of text on standard output, none of it as markup.

    Parameters
    ----------
    *lines : str
        Control characters in them are shown, not sent.
    """
    for line in lines:
        out.print(visible(line), highlight=False)


def score_text(score: JsonObject, unit: str = "") -> str:
    """Write the score of a training's result with its standard error.

    Parameters
    ----------
    score : dict
        ``name``, ``standard_error``, ``data``, and the value under a key that the task names.
    unit : str
        Of the value.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> score_text({"name": "top-1", "top1_percent": 91.5, "standard_error": 0.4, "images": 900, "data": "photos"}, "%")
    'top-1 91.5 % ± 0.4 on photos'
    """
    value = next(v for k, v in score.items() if isinstance(v, float) and k != "standard_error")
    shown = f"{value:g} {unit}".rstrip()
    return f"{score['name']} {shown} ± {score['standard_error']:g} on {score['data']}"


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
        print_lines(
            f"  {device['front_points']} measured Pareto-optimal subnets, {device['latency_span']:.1f}× between slowest and fastest\n"
            if device["front_points"] > 1
            else "  one measured subnet is Pareto-optimal\n"
        )
    for t in result.get("tasks", ()):
        print_lines(_task_line(t, score))
    measured = f"{result['measured']} measurement{'' if result['measured'] == 1 else 's'}"
    print_lines(f"{measured} in {result['seconds']:.0f} s")
    print_lines(f"→ {result['report']}   {result['front']}   {Path(result['folder'])}/models")


def _task_line(task: JsonObject, score: str) -> str:
    """Write what is known of a further task."""
    file = f" → {Path(task['file']).name}" if task["file"] else ""
    return (
        f"task {task['name']}: {task['classes']} classes, {score} {task['score']:.1f} ({task['low']:.1f} to {task['high']:.1f}), "
        f"density {100 * task['density']:.1f} %, trained {100 * task['trained']:.1f} %, free {100 * task['free']:.1f} %, "
        f"{task['bytes']:,} bytes, unchanged to the bit{file}"
    )


def _picks(device: JsonObject, score: str, level: str) -> Table:
    """Make the table of a device's picks: a line a label, and the file below the labels where there is no room beside."""
    wide = out.width >= WIDE
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(visible(device["device"]), min_width=LABEL_WIDTH)
    for name in (f"{visible(score)} (95 %)", f"latency ms ({level})", "MACs"):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("file", no_wrap=True)
    for p in device["picks"]:
        file = visible(f"{p['arch_id']}.*.onnx" if p["further_files"] else Path(p["file"]).name)
        labels = [visible(label) for label in p["label"].split("; ")]
        table.add_row(
            "\n".join(labels if wide else [*labels, f"→ {file}"]),
            f"{p['accuracy']:.1f} ±{Z95 * p['accuracy_se']:.1f}",
            f"{p['latency_ms']:.3g} ({p['latency_low']:.3g}–{p['latency_high']:.3g})",
            scaled(p["macs"]),
            *([file] if wide else []),
        )
    return table


def neighbour_lines(result: JsonObject) -> list[str]:
    """Write what one step along the front gains and costs.

    Parameters
    ----------
    result : dict
        Of `hwsearch.pick`, with its ``neighbours``.

    Returns
    -------
    list of str
        A line each for the next slower and the next faster member, as far as there are any.
    """
    unit = "points" if result["score_unit"] == "%" else result["score"]
    found = result.get("neighbours") or {}
    lines = []
    for side, other in (("slower", "slower"), ("faster", "faster")):
        step = found.get(side)
        if step:
            lines.append(
                f"next {side} on the front, {step[other]}: {trade_off_text(step, unit, gained=side == 'slower')}"
            )
    return lines


def chain_lines(result: JsonObject) -> list[str]:
    """Write a chain of nested subnets: a line a member, and what their weights take together.

    Parameters
    ----------
    result : dict
        Of `hwsearch.pick` with ``chain``.

    Returns
    -------
    list of str
        The smallest first.
    """
    unit = f" {result['score_unit']}" if result["score_unit"] else ""
    lines = []
    for place, member in enumerate(result["members"], 1):
        latency = ", ".join(
            f"latency {d['latency_ms']:.3g} ms ({d['low']:.3g}–{d['high']:.3g})"
            f"{f' on {name}' if len(member['devices']) > 1 else ''}"
            for name, d in member["devices"].items()
        )
        lines.append(
            f"{place}  {member['arch_id']}: {result['score']} {member['accuracy']:.1f}{unit} "
            f"({member['accuracy_low']:.1f}–{member['accuracy_high']:.1f} with 95 %), {latency}"
        )
    lines.append(
        f"each lies within the next: weights of {result['weights_mib']:.2f} MiB once, {result['apart_mib']:.2f} MiB apart"
    )
    return lines


def ensemble_lines(result: JsonObject) -> list[str]:
    """Write what an ensemble gains, what it takes, and where it lies.

    Parameters
    ----------
    result : dict
        Of `hwsearch.ensemble`.

    Returns
    -------
    list of str
        A line each.
    """
    unit = result["difference_unit"]
    lines = [
        f"gain on {result['test_examples']:,} test examples: {result['gain']:+.2f} {unit} "
        f"({result['gain_low']:+.2f} to {result['gain_high']:+.2f}): {result['verdict']}"
    ]
    if result["disagreement"] is not None:
        lines.append(f"two members answer differently on {100 * result['disagreement']:.1f} % of them")
    if measured := result["measured"]:
        lines.append(
            f"measured: {measured['latency_ms']:.4g} ms ({measured['low']:.4g}–{measured['high']:.4g}), "
            f"{measured['over_sum']:.3f} of the members' sum; the limit is {'met' if measured['meets_limit'] else 'not met'}"
        )
    return [*lines, *([f"→ {result['path']}"] if result["path"] else [])]


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
        write_json(data)
    err.print(f"[red]error:[/red] {visible(text)}", highlight=False)
