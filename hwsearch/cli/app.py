"""The command `hwsearch`: the package's verbs, with progress on stderr and results on stdout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import hwsearch
from hwsearch.cli.progress import ConsoleProgress
from hwsearch.cli.render import _emit, _frame, err, out

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Find, for each target device, the Pareto-optimal subnets of a pretrained supernet, from measurements.",
)


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


Source = Annotated[
    Path, typer.Argument(metavar="CAMPAIGN", help="A configuration file (.toml) or a campaign's folder.")
]


Folder = Annotated[Path | None, typer.Option("--folder", help="Where the campaign lies (default: runs/NAME).")]


DeviceName = Annotated[str | None, typer.Option("--device", help="One device of the campaign, by name.")]


Serve = Annotated[
    str | None,
    typer.Option("--serve", help="One subnet for all devices: judged by the 'worst' of them, or 'weighted'."),
]


def _campaign(source: Path, folder: Path | None = None) -> Any:
    from hwsearch.campaigns import Campaign

    return Campaign.open(source, folder=folder, progress=ConsoleProgress(err))


# ---------------------------------------------------------------------- step by step
def _step(name: str, source: Path, folder: Path | None, as_json: bool, title: str) -> None:
    result = getattr(hwsearch, name)(_campaign(source, folder))
    if not _emit({name: result}, as_json):
        _frame(result, title)


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        out.print(f"hwsearch {hwsearch.__version__}", highlight=False)
        raise typer.Exit()
