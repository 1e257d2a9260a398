"""Commands that write a configuration and run a whole campaign."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

import hwsearch
from hwsearch._files import anything, check_place, write_file
from hwsearch.cli.app import RUN, command
from hwsearch.cli.new_device import print_new_device
from hwsearch.cli.options import Folder, Force, Json, Source, Trust, shown_progress
from hwsearch.cli.render import emit_json, print_lines, print_summary
from hwsearch.errors import ConfigError


@command(RUN)
def run(
    campaign: Source,
    folder: Folder = None,
    trust: Trust = False,
    force: Force = False,
    device: Annotated[
        str | None, typer.Option("--device", help="With --reuse: the new device, the only one of CAMPAIGN.")
    ] = None,
    reuse: Annotated[
        Path | None,
        typer.Option("--reuse", help="For a new device: take accuracies from the campaign in this folder."),
    ] = None,
    latencies: Annotated[
        int | None, typer.Option("--latencies", help="With --reuse: subnets to time on the new device (default 30).")
    ] = None,
    evaluations: Annotated[
        int | None,
        typer.Option("--evaluations", help="With --reuse: subnets to measure in full after that (default 0)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run all steps: check, profile, evaluate, fit, search, validate, export, report; or name the front of a new device.

    Parameters
    ----------
    campaign : pathlib.Path
        A configuration file or a campaign's folder.
    folder : pathlib.Path, optional
        Where the campaign lies.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    force : bool
        Replace files that hwsearch did not write; links are never written through.
    device : str, optional
        With `reuse`: the new device.
    reuse : pathlib.Path, optional
        Folder of the campaign whose accuracies are taken over.
    latencies, evaluations : int, optional
        With `reuse`: subnets to be timed, and to be measured in full.
    as_json : bool
        Print one JSON object instead of text.
    """
    found = hwsearch.run(
        campaign,
        folder=folder,
        progress=shown_progress(),
        trust=trust,
        force=force,
        device=device,
        reuse=reuse,
        latencies=latencies,
        evaluations=evaluations,
    )
    if reuse is None:
        print_summary(found, as_json)
    elif not emit_json(found, as_json):
        print_new_device(found)


@command(RUN)
def demo(
    folder: Annotated[Path, typer.Option("--folder", help="The campaign's folder.")] = Path("runs/demo"),
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Run all steps on the shipped supernet and this machine's CPU: a first look that needs no data.

    Parameters
    ----------
    folder : pathlib.Path
        Where the campaign lies.
    force : bool
        Replace files that hwsearch did not write; links are never written through.
    as_json : bool
        Print one JSON object instead of text.
    """
    print_summary(hwsearch.demo(folder=folder, progress=shown_progress(), force=force), as_json)


@command(RUN)
def init(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The configuration file to write.")] = Path(
        "campaign.toml"
    ),
    supernet: Annotated[
        str, typer.Option(help="A supernet of the catalogue, see 'hwsearch supernets'.")
    ] = "cifar10-mbv3",
    device: Annotated[str, typer.Option(help="A name for the device.")] = "this-cpu",
    runtime: Annotated[
        str, typer.Option(help="What runs the model, such as onnxruntime, cuda or command.")
    ] = "onnxruntime",
    provider: Annotated[str, typer.Option(help="Execution provider of ONNX Runtime.")] = "CPUExecutionProvider",
    threads: Annotated[int, typer.Option(min=1, help="Threads of one inference.")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Inputs of one inference.")] = 1,
    limit: Annotated[str | None, typer.Option(help="A latency limit such as '<= 2 ms' or '<= 60 %'.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Write every setting with its default.")] = False,
    ask: Annotated[
        bool | None,
        typer.Option("--ask/--no-ask", help="Ask for all of this (default: on a terminal, without options)."),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a configuration to start from, of some fifteen commented lines; on a terminal, by asking.

    Parameters
    ----------
    path : pathlib.Path
        The configuration file to write.
    supernet, device : str
        A supernet of the catalogue or ``file.py:ENTRY``, and a name for the device.
    runtime, provider : str
        What runs the model there.
    threads, batch : int
        Of the device.
    limit : str, optional
        A latency limit.
    full : bool
        Write every setting instead of the usual ones.
    ask : bool, optional
        Whether to ask; by default on a terminal, without options.
    force : bool
        Replace files that hwsearch did not write; links are never written through.
    as_json : bool
        Print one JSON object instead of text.

    Raises
    ------
    ConfigError
        If the file exists, or an option is wrong.
    """
    from hwsearch.campaigns.loading import parse_config
    from hwsearch.campaigns.toml import to_toml
    from hwsearch.cli.initial import Answers, DeviceAnswers, ask_all, check_answers, short_toml

    check_place(path, anything)
    if path.exists() and not force:
        raise ConfigError(f"{str(path)!r} already exists.", hint="Choose another name, edit it, or --force.")
    answers = Answers(supernet, (DeviceAnswers(device, runtime, provider, threads, batch),), limit)
    if ask is None:
        ask = answers == Answers() and not as_json and sys.stdin.isatty()
    answers = ask_all(answers) if ask else check_answers(answers)
    config = parse_config(answers.to_dict(), "the answers given" if ask else "the options given")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, (to_toml(config) if full else short_toml(answers)).encode(), anything)
    if not emit_json({"written": str(path)}, as_json):
        print_lines(f"wrote {path}; next: hwsearch run {shlex.quote(str(path))}")
