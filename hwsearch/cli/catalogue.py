"""The command `hwsearch`: the package's verbs, with progress on stderr and results on stdout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import hwsearch
from hwsearch import api
from hwsearch.cli.app import DeviceName, Json, app
from hwsearch.cli.progress import TrainingBar
from hwsearch.cli.render import _emit, _escape, _mapping, err, out


# ---------------------------------------------------------------------- looking around
@app.command()
def doctor(as_json: Json = False) -> None:
    """Tell what this machine offers and how noisy it is."""
    with err.status("measuring how repeatable a latency is …") if err.is_terminal else _Quiet():
        facts = hwsearch.doctor()
    if not _emit(facts, as_json):
        _mapping(facts)


class _Quiet:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


@app.command()
def supernets(
    action: Annotated[str, typer.Argument(help="list, show NAME, check FILE, or convert FILE")] = "list",
    name: Annotated[str | None, typer.Argument(help="A supernet's name, or a weight file.")] = None,
    output: Annotated[Path | None, typer.Option("--output", help="convert: the safetensors file to write.")] = None,
    as_json: Json = False,
) -> None:
    """List the catalogue, show a card, say what a weight file is, or convert it to safetensors."""
    if action not in ("list", "show", "check", "convert") or (name is None) != (action == "list"):
        raise typer.BadParameter(
            "use: supernets list, supernets show NAME, supernets check FILE, supernets convert FILE"
        )
    found: Any = api.supernets(action, name, output=output)
    if not _emit({"supernets": found} if action == "list" else found, as_json):
        for r in found if action == "list" else ():
            out.print(
                f"[bold]{r['name']}[/bold]  {r['subnets']:.2g} subnets, {r['macs_smallest'] / 1e6:.1f}–{r['macs_largest'] / 1e6:.1f} M MACs, weights: {r['weights']}\n  {r['summary']}",
                highlight=False,
            )
        if action != "list":
            _mapping(found)
    if action == "check" and not found["loads"]:
        raise typer.Exit(1)


@app.command()
def devices(
    campaign: Annotated[Path | None, typer.Argument(help="A campaign, for the facts of its devices.")] = None,
    as_json: Json = False,
) -> None:
    """Tell what can be a device here, or a campaign's devices."""
    rows = api.devices(campaign)
    if not _emit({"devices": rows}, as_json):
        for row in rows:
            _mapping(row)
            out.print()


@app.command()
def tables(
    action: Annotated[
        str, typer.Argument(help="list, show DEVICE/TABLE, import FILE, export CAMPAIGN, or verify [DEVICE]")
    ] = "list",
    name: Annotated[str | None, typer.Argument(help="A table, a file, a campaign, or a device.")] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", help="A folder of tables (default: the shipped ones; ./latency_tables to write)."),
    ] = None,
    description: Annotated[
        Path | None, typer.Option("--description", help="import: a TOML file that says what the columns are.")
    ] = None,
    device: DeviceName = None,
    purpose: Annotated[str, typer.Option("--purpose", help="export: search or validate.")] = "search",
    licence: Annotated[str, typer.Option("--licence", help="export: of the table.")] = "not stated",
    as_json: Json = False,
) -> None:
    """Latency tables: list, show, import, export, verify."""
    found = hwsearch.tables(
        action, name, folder=folder, description=description, device=device, purpose=purpose, licence=licence
    )
    bad = [r for r in found if r["fault"]] if action == "verify" else []
    if not _emit({"tables": found} if isinstance(found, list) else found, as_json):
        if action == "verify":
            out.print(f"{len(found) - len(bad)} of {len(found)} tables are sound", highlight=False)
            for r in bad:
                out.print(_escape(f"{r['device']}/{r['table'] or ''}: {r['fault']}"), highlight=False)
        elif isinstance(found, list):
            for r in found:
                out.print(_escape(" · ".join(str(v) for v in r.values() if v is not None)), highlight=False)
        else:
            _mapping(found)
    if bad:
        raise typer.Exit(1)


@app.command()
def train(
    recipe: Annotated[str, typer.Option("--recipe", help="A recipe's name or TOML file.")],
    data: Annotated[Path, typer.Option("--data", help="A parquet file with splits 'train' and 'test'.")],
    folder: Annotated[Path, typer.Option("--folder", help="For checkpoints, weights and card.")],
    as_json: Json = False,
) -> None:
    """Train a supernet; the same command takes an interrupted run up again."""
    with TrainingBar(err) as bar:
        card = hwsearch.train(recipe, data, folder, progress=bar.update)
    if not _emit(card, as_json):
        score = card["score"]
        for name in ("smallest", "largest"):
            value, error = card[name][score["field"]], f"±{card[name]['standard_error']} {score['unit']}".rstrip()
            out.print(
                f"{name}: {score['name']} {value} {error}, {card[name]['macs'] / 1e6:.2f} M MACs",
                highlight=False,
            )


@app.command()
def cluster(
    action: Annotated[str, typer.Argument(help="certs FOLDER, scheduler ADDRESS, or worker ADDRESS")],
    place: Annotated[str, typer.Argument(help="A folder, or an address such as tls://HOST:8786.")],
    device: Annotated[
        list[str] | None, typer.Option("--device", help="worker: a device it offers; may be given again.")
    ] = None,
    host: Annotated[
        list[str] | None, typer.Option("--host", help="certs: a name or address of a host; may be given again.")
    ] = None,
    certificates: Annotated[Path | None, typer.Option("--certificates", help="The folder that 'certs' made.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Allow tcp:// on this host.")] = False,
    as_json: Json = False,
) -> None:
    """Devices of other hosts: make certificates, run the scheduler, offer devices."""
    if action not in ("certs", "scheduler", "worker"):
        raise typer.BadParameter("use: cluster certs FOLDER, cluster scheduler ADDRESS, cluster worker ADDRESS")
    hosts = host or ("localhost", "127.0.0.1")
    files = hwsearch.cluster(
        action, place, devices=device or (), hosts=hosts, certificates=certificates, insecure=insecure
    )
    if not _emit({"files": files}, as_json):
        for file in files:
            out.print(str(file), highlight=False)
