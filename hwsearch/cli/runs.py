"""Commands that write a configuration and run a whole campaign."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import hwsearch
from hwsearch._files import anything, forced, write_file
from hwsearch.cli.app import RUN, command
from hwsearch.cli.options import Folder, Json, Source, open_campaign
from hwsearch.cli.progress import ConsoleProgress
from hwsearch.cli.render import emit_json, err, out, print_summary


@command(RUN, writes=True)
def run(campaign: Source, folder: Folder = None, as_json: Json = False) -> None:
    """Run all steps: check, profile, evaluate, fit, search, validate, export, report.

    Parameters
    ----------
    campaign : pathlib.Path
        A configuration file or a campaign's folder.
    folder : pathlib.Path, optional
        Where the campaign lies.
    as_json : bool
        Print one JSON object instead of text.
    """
    print_summary(hwsearch.run(open_campaign(campaign, folder)), as_json)


@command(RUN, writes=True)
def demo(
    folder: Annotated[Path, typer.Option("--folder", help="The campaign's folder.")] = Path("runs/demo"),
    as_json: Json = False,
) -> None:
    """Run all steps on the shipped supernet and this machine's CPU: a first look that needs no data.

    Parameters
    ----------
    folder : pathlib.Path
        Where the campaign lies.
    as_json : bool
        Print one JSON object instead of text.
    """
    print_summary(hwsearch.demo(folder=folder, progress=ConsoleProgress(err)), as_json)


@command(RUN, writes=True)
def init(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The configuration file to write.")] = Path(
        "campaign.toml"
    ),
    supernet: Annotated[
        str, typer.Option(help="A supernet of the catalogue, see 'hwsearch supernets'.")
    ] = "cifar10-mbv3",
    device: Annotated[str, typer.Option(help="A name for the device.")] = "this-cpu",
    threads: Annotated[int, typer.Option(min=1, help="Threads of one inference.")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Inputs of one inference.")] = 1,
    limit: Annotated[str | None, typer.Option(help="A latency limit such as '<= 2 ms' or '<= 60 %'.")] = None,
    ask: Annotated[
        bool | None,
        typer.Option("--ask/--no-ask", help="Ask five questions (default: on a terminal, without options)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a configuration to start from; on a terminal, by asking five questions.

    Parameters
    ----------
    path : pathlib.Path
        The configuration file to write.
    supernet, device : str
        A supernet of the catalogue, and a name for the device.
    threads, batch : int
        Of the device.
    limit : str, optional
        A latency limit.
    ask : bool, optional
        Whether to ask; by default on a terminal, without options.
    as_json : bool
        Print one JSON object instead of text.

    Raises
    ------
    ConfigError
        If the file exists, or an answer is wrong.
    """
    from hwsearch.campaigns.loading import parse_config
    from hwsearch.campaigns.toml import to_toml
    from hwsearch.errors import ConfigError
    from hwsearch.supernets import catalogue

    if path.exists() and not forced():
        raise ConfigError(f"{str(path)!r} already exists.", hint="Choose another name, or edit it.")
    if ask is None:
        given = (supernet, device, threads, batch, limit) != ("cifar10-mbv3", "this-cpu", 1, 1, None)
        ask = sys.stdin.isatty() and not given and not as_json
    if ask:
        supernet = typer.prompt(f"Supernet ({', '.join(catalogue.names())})", default=supernet, err=True)
        catalogue.entry(supernet)
        device = typer.prompt("A name for the device", default=device, err=True)
        threads = typer.prompt("Threads", default=threads, type=int, err=True)
        batch = typer.prompt("Images at a time (batch)", default=batch, type=int, err=True)
        words = typer.prompt(
            "Latency limit, such as '<= 2 ms' or '<= 60 %' (- for none)", default=limit or "-", err=True
        )
        limit = None if words.strip() in ("", "-") else words
    catalogue.entry(supernet)
    latency = {"metric": "latency_ms", **({"limit": limit} if limit else {})}
    data = {
        "supernet": {"name": supernet},
        "device": [{"name": device, "threads": threads, "batch": batch}],
        "objective": [{"metric": "accuracy"}, latency],
    }
    text = to_toml(parse_config(data, "the answers given" if ask else "the options given"))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, text.encode(), anything)
    if not emit_json({"written": str(path)}, as_json):
        out.print(f"wrote {path}; next: hwsearch run {path}", highlight=False)
