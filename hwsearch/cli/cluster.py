"""Commands that measure with devices of other hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hwsearch
from hwsearch.cli.app import CLUSTER, command
from hwsearch.cli.options import Folder, Json, Source, Trust, open_campaign
from hwsearch.cli.render import emit_json, print_lines, print_mapping


@command(CLUSTER)
def work(
    campaign: Source,
    device: Annotated[
        list[str] | None,
        typer.Option("--device", help="Name of a device to work for; may be repeated (default: all on this host)."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for further jobs instead of ending.")] = False,
    folder: Folder = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Measure queued latency jobs of a campaign, as a further process or host beside the one that runs it.

    Parameters
    ----------
    campaign : pathlib.Path
        A configuration file or a campaign's folder.
    device : list of str, optional
        Devices to work for; all by default.
    wait : bool
        Wait for further jobs instead of ending.
    folder : pathlib.Path, optional
        Where the campaign lies.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    as_json : bool
        Print one JSON object instead of text.
    """
    done = hwsearch.work(open_campaign(campaign, folder, trust), device or (), wait=wait)
    if not emit_json({"jobs": done}, as_json):
        print_mapping(done)


@command(CLUSTER)
def cluster(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="certs FOLDER, scheduler ADDRESS, or worker ADDRESS")],
    place: Annotated[str, typer.Argument(metavar="PLACE", help="A folder, or an address such as tls://HOST:8786.")],
    device: Annotated[
        list[str] | None, typer.Option("--device", help="worker: name of a device that it offers; may be repeated.")
    ] = None,
    training: Annotated[
        bool, typer.Option("--training", help="worker: train modules of supernets, for 'train --scheduler'.")
    ] = False,
    host: Annotated[
        list[str] | None,
        typer.Option("--host", help="certs: name or address of a host; may be repeated (default: localhost)."),
    ] = None,
    certificates: Annotated[
        Path | None, typer.Option("--certificates", help="scheduler, worker: the folder that 'cluster certs' wrote.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="scheduler, worker: allow tcp:// without encryption, on this host alone.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure or train on other hosts: write certificates, run the scheduler, or offer devices or training.

    Parameters
    ----------
    action : {"certs", "scheduler", "worker"}
        What to do.
    place : str
        A folder, or an address such as ``tls://HOST:8786``.
    device : list of str, optional
        Devices that a worker offers.
    training : bool
        Whether a worker trains modules of supernets.
    host : list of str, optional
        Names or addresses of hosts that certificates are for.
    certificates : pathlib.Path, optional
        The folder that ``certs`` made.
    insecure : bool
        Allow ``tcp://`` on this host.
    as_json : bool
        Print one JSON object instead of text.
    """
    if action not in ("certs", "scheduler", "worker"):
        raise typer.BadParameter("use: cluster certs FOLDER, cluster scheduler ADDRESS, cluster worker ADDRESS")
    hosts = host or ("localhost", "127.0.0.1")
    files = hwsearch.cluster(
        action,
        place,
        devices=device or (),
        training=training,
        hosts=hosts,
        certificates=certificates,
        insecure=insecure,
    )
    if not emit_json({"files": files}, as_json):
        for file in files:
            print_lines(str(file))
