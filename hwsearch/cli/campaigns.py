"""The command `hwsearch`: the package's verbs, with progress on stderr and results on stdout."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

import hwsearch
from hwsearch.cli.app import DeviceName, Folder, Json, Source, _campaign, _step, app
from hwsearch.cli.progress import ConsoleProgress
from hwsearch.cli.render import _emit, _finish, _frame, _mapping, err, out


@app.command()
def run(config: Source, folder: Folder = None, as_json: Json = False) -> None:
    """Do everything: check, profile, evaluate, fit, search, validate, export, report."""
    from hwsearch.campaigns import Campaign

    _finish(hwsearch.run(Campaign.open(config, folder=folder, progress=ConsoleProgress(err))), as_json)


@app.command()
def demo(folder: Annotated[Path, typer.Option("--folder")] = Path("runs/demo"), as_json: Json = False) -> None:
    """Run the whole line on the embedded supernet and this machine's CPU."""
    _finish(hwsearch.demo(folder=folder, progress=ConsoleProgress(err)), as_json)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="The configuration file to write.")] = Path("campaign.toml"),
    supernet: Annotated[str, typer.Option(help="A supernet of the catalogue.")] = "cifar10-mbv3",
    device: Annotated[str, typer.Option(help="A name for the device.")] = "this-cpu",
    threads: Annotated[int, typer.Option(min=1)] = 1,
    batch: Annotated[int, typer.Option(min=1)] = 1,
    limit: Annotated[str | None, typer.Option(help="A latency limit such as '<= 2 ms' or '<= 60 %'.")] = None,
    ask: Annotated[
        bool | None,
        typer.Option("--ask/--no-ask", help="Ask five questions (default: on a terminal, without options)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a configuration to start from; on a terminal, by asking five questions."""
    from hwsearch.campaigns.loading import parse_config
    from hwsearch.campaigns.toml import to_toml
    from hwsearch.errors import ConfigError
    from hwsearch.supernets import catalogue

    if path.exists():
        raise ConfigError(f"{str(path)!r} exists.", hint="Choose another name, or edit it.")
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
    path.write_text(text, encoding="utf-8")
    if not _emit({"written": str(path)}, as_json):
        out.print(f"wrote {path}; next: hwsearch run {path}", highlight=False)


@app.command()
def profile(campaign: Source, folder: Folder = None, as_json: Json = False) -> None:
    """Measure the latency of subnets on every device."""
    _step("profile", campaign, folder, as_json, "latency")


@app.command()
def operators(
    campaign: Source,
    device: DeviceName = None,
    most: Annotated[int, typer.Option("--most", min=1, help="Rows of the costliest operators to show.")] = 20,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Measure the kernels a search space can ask for, and set their sum against measured latencies."""
    result = hwsearch.operators(_campaign(campaign, folder), device)
    if _emit(result, as_json):
        return
    cover, said = result["coverage"], result["agreement"]
    frame = result["operators"]
    shown = frame[["operator", "operator_ms", "share_pct", "signature"]].head(most)
    _frame(shown, f"costliest of {len(frame)} operators on {result['device']}", 3)
    out.print(
        f"{cover['signatures']} signatures, {cover['measured_now']} measured now, {len(cover['missing'])} missing; "
        f"{cover['with_unknown']} of {cover['drawn']} random subnets asked for others than the "
        f"{cover['covering_set']} covering ones (at most {100 * cover['share_high']:.1f} % do, 95 % limit)",
        highlight=False,
    )
    if said["fitted"]:
        out.print(
            f"sum against {said['wholes']} measured latencies: rank correlation {said['rank']:.4f}, error {said['mape_pct']:.1f} % "
            f"after a linear correction fitted on {said['fitted']}",
            highlight=False,
        )
    else:
        out.print("too few measured latencies to set the sum against; measure some: hwsearch profile", highlight=False)
    out.print(f"→ {result['plots'][-1]}", highlight=False)


@app.command()
def evaluate(campaign: Source, folder: Folder = None, as_json: Json = False) -> None:
    """Measure the accuracy of subnets."""
    _step("evaluate", campaign, folder, as_json, "accuracy")


@app.command()
def fit(campaign: Source, folder: Folder = None, as_json: Json = False) -> None:
    """Fit predictors on what was measured, with their errors."""
    _step("fit", campaign, folder, as_json, "predictors (errors on measurements not used for fitting)")


@app.command()
def search(campaign: Source, folder: Folder = None, as_json: Json = False) -> None:
    """Search in rounds: propose, measure, tell."""
    _step("search", campaign, folder, as_json, "search")


@app.command()
def validate(campaign: Source, folder: Folder = None, as_json: Json = False) -> None:
    """Measure the candidates for the fronts afresh."""
    _step("validate", campaign, folder, as_json, "fresh measurements")


@app.command()
def check(campaign: Source, folder: Folder = None, as_json: Json = False) -> None:
    """See that every device runs what it is asked to and that the limits can be met."""
    hwsearch.check(_campaign(campaign, folder))
    if not _emit({"check": "passed"}, as_json):
        out.print("passed", highlight=False)


@app.command()
def work(
    campaign: Source,
    device: Annotated[
        list[str] | None, typer.Option("--device", help="A device to work for; may be given again (default: all).")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for further jobs instead of ending.")] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Be a further worker of a campaign: do the queued latency jobs of devices that are here."""
    from hwsearch.campaigns import Campaign

    opened = Campaign.open(campaign, folder=folder, progress=ConsoleProgress(err))
    done = hwsearch.work(opened, device or (), wait=wait)
    if not _emit({"jobs": done}, as_json):
        _mapping(done)
