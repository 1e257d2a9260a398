"""Commands that inspect this machine, supernets and latency tables, and train supernets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import hwsearch
from hwsearch import api
from hwsearch.cli.app import CATALOGUE, command
from hwsearch.cli.options import Force, Json, StartWeights, TrainingData, Trust, shown_training
from hwsearch.cli.progress import recording
from hwsearch.cli.render import emit_json, first_sentence, out, print_lines, print_mapping, visible
from hwsearch.reporting.words import Z95


@command(CATALOGUE)
def doctor(
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds", min=0.0, help="Also record the host's speed for this many seconds; a verdict needs 75."
        ),
    ] = 0.0,
    record: Annotated[
        Path | None,
        typer.Option("--record", help="With --seconds: the .csv or .csv.gz file to write the recording to."),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Show what this machine offers, and how repeatable a latency is on it.

    Parameters
    ----------
    seconds : float
        How long to record the host's speed.
    record : pathlib.Path, optional
        A CSV file for the trace.
    force : bool
        Replace files that hwsearch did not write; links are never written through.
    as_json : bool
        Print one JSON object instead of text.
    """
    with recording("measuring how repeatable a latency is …", seconds) as tick:
        facts = hwsearch.doctor(seconds, record, tick, force=force)
    if not emit_json(facts, as_json):
        print_mapping(facts)


@command(CATALOGUE)
def supernets(
    action: Annotated[
        str, typer.Argument(metavar="ACTION", help="list, show NAME, check FILE, or convert FILE")
    ] = "list",
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A supernet's name, or a weight file.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="convert: the safetensors file to write (default: beside FILE).")
    ] = None,
    supernet: Annotated[
        str | None,
        typer.Option("--supernet", help="check, convert: compare with this supernet alone; file.py:ENTRY is run."),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """List the supernets, show one, check a weight file, or convert it to safetensors.

    Parameters
    ----------
    action : {"list", "show", "check", "convert"}
        What to do.
    name : str, optional
        A supernet's name, or a weight file.
    output : pathlib.Path, optional
        The safetensors file to write.
    supernet : str, optional
        The only supernet to compare a file with.
    force : bool
        Replace files that hwsearch did not write; links are never written through.
    as_json : bool
        Print one JSON object instead of text.
    """
    if action not in ("list", "show", "check", "convert") or (name is None) != (action == "list"):
        raise typer.BadParameter(
            "use: supernets list, supernets show NAME, supernets check FILE, supernets convert FILE"
        )
    found: Any = api.supernets(action, name, output=output, supernet=supernet, force=force)
    if not emit_json({"supernets": found} if action == "list" else found, as_json):
        for r in found if action == "list" else ():
            out.print(
                f"[bold]{visible(r['name'])}[/bold]  {r['subnets']:.2g} subnets, {r['macs_smallest'] / 1e6:.1f}–{r['macs_largest'] / 1e6:.1f} M MACs, weights: {visible(r['weights'])}\n  {visible(r['summary'])}",
                highlight=False,
            )
        if action != "list":
            print_mapping({k: v for k, v in found.items() if k != "otherwise"})
        for family, why in found.get("otherwise", {}).items() if action == "check" else ():
            out.print(f"[bold]{visible(family)}[/bold]: {visible(first_sentence(why))}", highlight=False)
    if action == "check" and not found["loads"]:
        raise typer.Exit(1)


@command(CATALOGUE)
def devices(
    campaign: Annotated[
        Path | None,
        typer.Argument(
            metavar="CAMPAIGN", help="A configuration file (.toml) or a campaign's folder, for its devices."
        ),
    ] = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """List what can be a device on this machine, or a campaign's devices.

    Parameters
    ----------
    campaign : pathlib.Path, optional
        A campaign, for the facts of its devices.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    as_json : bool
        Print one JSON object instead of text.
    """
    rows = api.devices(campaign, trust=trust)
    if not emit_json({"devices": rows}, as_json):
        for row in rows:
            print_mapping(row)
            out.print()


@command(CATALOGUE)
def tables(
    action: Annotated[
        str,
        typer.Argument(
            metavar="ACTION", help="list, show DEVICE/TABLE, import FILE, export CAMPAIGN, or verify [DEVICE]"
        ),
    ] = "list",
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A table, a file, a campaign, or a device.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", help="A folder of tables (default: the shipped ones; for import and export ./latency_tables)."
        ),
    ] = None,
    description: Annotated[
        Path | None, typer.Option("--description", help="import: a TOML file that says what the columns are.")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="export: name of one device (default: the only one).")
    ] = None,
    purpose: Annotated[
        str, typer.Option("--purpose", help="export: which latencies, those for 'search' or 'validate'.")
    ] = "search",
    licence: Annotated[str, typer.Option("--licence", help="export: licence of the table.")] = "not stated",
    trust: Trust = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """List, show, import, export or verify latency tables.

    Parameters
    ----------
    action : {"list", "show", "import", "export", "verify"}
        What to do.
    name : str, optional
        A table, a file, a campaign, or a device.
    folder : pathlib.Path, optional
        A folder of tables.
    description : pathlib.Path, optional
        A TOML file that says what the columns are.
    device : str, optional
        Name of one device; the only one by default.
    purpose : {"search", "validate"}
        Which measurements are exported.
    licence : str
        Of the exported table.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    force : bool
        Replace files that hwsearch did not write; links are never written through.
    as_json : bool
        Print one JSON object instead of text.
    """
    found = hwsearch.tables(
        action,
        name,
        folder=folder,
        description=description,
        device=device,
        purpose=purpose,
        licence=licence,
        trust=trust,
        force=force,
    )
    bad = [r for r in found if r["fault"]] if action == "verify" else []
    if not emit_json({"tables": found} if isinstance(found, list) else found, as_json):
        if action == "verify":
            print_lines(f"{len(found) - len(bad)} of {len(found)} tables are sound")
            for r in bad:
                print_lines(f"{r['device']}/{r['table'] or ''}: {r['fault']}")
        elif isinstance(found, list):
            for r in found:
                print_lines(" · ".join(str(v) for v in r.values() if v is not None))
        else:
            print_mapping(found)
    if bad:
        raise typer.Exit(1)


@command(CATALOGUE)
def train(
    recipe: Annotated[str, typer.Option("--recipe", help="Name of a shipped recipe, or a TOML file.")],
    data: TrainingData,
    folder: Annotated[Path, typer.Option("--folder", help="The folder for checkpoints, the weights and their card.")],
    supernet: Annotated[
        str | None,
        typer.Option(
            "--supernet", help="What to train in place of the recipe's: a name, or file.py:ENTRY, which is run."
        ),
    ] = None,
    checkpoint: StartWeights = None,
    kernels: Annotated[
        Literal["auto", "eager", "native", "masked", "triton"],
        typer.Option(
            "--kernels",
            help="What computes the steps: compiled C++ (native), plain torch (eager), the better one had (auto), or "
            "for a GPU plain torch at full width with masks, in graphs (masked), or programs of Triton (triton).",
        ),
    ] = "auto",
    device: Annotated[
        str,
        typer.Option(
            "--device", help="Where the network is trained: auto (GPUs where there are enough), cpu, cuda, or cuda:N."
        ),
    ] = "auto",
    processes: Annotated[
        int, typer.Option("--processes", min=1, help="Processes of this host that share the batches out.")
    ] = 1,
    module: Annotated[
        int | None,
        typer.Option(
            "--module",
            min=0,
            help="Train this module of the strategy 'assemble' only (0: its meta network), for folders that are copied together.",
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler",
            help="Train the modules of the strategy 'assemble' on the workers of this Dask scheduler, tls://HOST:8786.",
        ),
    ] = None,
    certificates: Annotated[
        Path | None, typer.Option("--certificates", help="With --scheduler: the folder that 'cluster certs' wrote.")
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="With --scheduler: allow tcp:// without encryption, on this host alone."),
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train a supernet; the same command resumes an interrupted run.

    Parameters
    ----------
    recipe : str
        A recipe's name or TOML file.
    data : pathlib.Path
        A folder or parquet file with splits ``train`` and ``test``.
    folder : pathlib.Path
        For checkpoints, weights and card.
    supernet : str, optional
        What is trained in place of the recipe's supernet.
    checkpoint : pathlib.Path, optional
        Weights to start from.
    kernels : str
        ``auto``, ``eager``, ``native``, ``masked`` or ``triton``.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    processes : int
        Processes of this host that share the batches out; under ``torchrun`` it is left out.
    module : int, optional
        The only module of the strategy ``assemble`` that is trained; 0 is its meta network.
    scheduler : str, optional
        Address of a Dask scheduler whose workers train the modules of the strategy ``assemble``.
    certificates : pathlib.Path, optional
        The folder that ``cluster certs`` made.
    insecure : bool
        Allow ``tcp://`` on this host.
    force : bool
        Replace files that hwsearch did not write; links are never written through.
    as_json : bool
        Print one JSON object instead of text.
    """
    with shown_training() as bar:
        card = hwsearch.train(
            recipe,
            data,
            folder,
            supernet=supernet,
            checkpoint=checkpoint,
            kernels=kernels,
            device=device,
            processes=processes,
            module=module,
            scheduler=scheduler,
            certificates=certificates,
            insecure=insecure,
            progress=bar.update,
            force=force,
        )
    if module is not None:
        if not emit_json(card, as_json):
            what = f"module {module} of {card['modules']}" if module else "meta network"
            print_lines(f"{what}: {card['steps']} steps, {card['file']}")
    elif card and not emit_json(card, as_json):  # only the first process of several has one
        score = card["score"]
        for name in ("smallest", "largest"):
            half = Z95 * card[name]["standard_error"]
            value, error = card[name][score["field"]], f"±{half:.1f} {score['unit']}".rstrip()
            print_lines(f"{name}: {score['name']} {value} {error}, {card[name]['macs'] / 1e6:.2f} M MACs")
        if (made := card.get("generator")) is not None:
            counts = f"{made['generated']:,} weights from {made['generator_params']:,} parameters"
            print_lines(f"generator: {counts}, {made['outputs']}; {made['architecture']}")
