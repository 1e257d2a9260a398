"""The command `hwsearch`: the package's verbs, with progress on stderr and results on stdout.

Exit codes: 0 done, 1 a typed error, 2 wrong usage, 130 interrupted (state kept).
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

import hwsearch
from hwsearch.cli_progress import ConsoleProgress, TrainingBar
from hwsearch.errors import HwsearchError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Find, for each target device, the Pareto-optimal subnets of a pretrained supernet, from measurements.",
)
out = Console()
err = Console(stderr=True)

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


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return [_plain(r) for r in value.to_dict(orient="records")]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _emit(value: Any, as_json: bool) -> bool:
    """Print as JSON if asked; returns whether it did."""
    if as_json:
        sys.stdout.write(json.dumps(_plain(value), indent=1, ensure_ascii=False) + "\n")
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


def _campaign(source: Path, folder: Path | None = None) -> Any:
    from hwsearch.engine import Campaign

    return Campaign.open(source, folder=folder, progress=ConsoleProgress(err))


# ---------------------------------------------------------------------- the whole line
def _finish(result: dict[str, Any], as_json: bool) -> None:
    if _emit(result, as_json):
        return
    from hwsearch.report.text import scaled

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


@app.command()
def run(config: Source, folder: Folder = None, as_json: Json = False) -> None:
    """Do everything: check, profile, evaluate, fit, search, validate, export, report."""
    from hwsearch.engine import Campaign

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
    from hwsearch.config import parse_config, to_toml
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


# ---------------------------------------------------------------------- step by step
def _step(name: str, source: Path, folder: Path | None, as_json: bool, title: str) -> None:
    result = getattr(hwsearch, name)(_campaign(source, folder))
    if not _emit({name: result}, as_json):
        _frame(result, title)


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
def front(
    campaign: Source,
    device: DeviceName = None,
    serve: Serve = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Show the measured Pareto front of one device, or of one subnet for all of them."""
    frame = hwsearch.front(_campaign(campaign, folder), device, serve=serve).to_frame()
    if not _emit({"front": frame}, as_json):
        own = [c for c in frame.columns if ("@" not in c or serve is not None) and "ended_at" not in c]
        _frame(frame[own], "front")


@app.command()
def pick(
    campaign: Source,
    limit: Annotated[
        list[str] | None, typer.Option("--limit", help="Such as 'latency_ms<=2'; may be repeated.")
    ] = None,
    device: DeviceName = None,
    probability: Annotated[
        float | None,
        typer.Option("--probability", help="With which each limit must be met, such as 0.95 (default: as configured)."),
    ] = None,
    serve: Serve = None,
    export: Annotated[Path | None, typer.Option("--export", help="Write the ONNX file here.")] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Pick the best measured subnet under limits, and write its model file."""
    result = hwsearch.pick(
        _campaign(campaign, folder), limit or [], device, probability=probability, serve=serve, export=export
    )
    if not _emit(result, as_json):
        unit = f" {result['score_unit']}" if result["score_unit"] else ""
        level = f"{100 * result['confidence']:.0f} %"
        latency = [
            f"latency {d['latency_ms']:.3g} ms ({d['low']:.3g}–{d['high']:.3g} with {level})"
            f"{f' on {name}' if len(result['devices']) > 1 else ''}"
            for name, d in result["devices"].items()
        ]
        out.print(
            f"{result['arch_id']} on {result['device']}: {result['score']} {result['accuracy']:.1f}{unit} ({result['accuracy_low']:.1f}–{result['accuracy_high']:.1f} with 90 %), "
            f"{', '.join(latency)}",
            highlight=False,
        )
        for asked, chance in result["met_with"].items():
            out.print(f"  meets {asked} with probability {min(chance, 0.9999):.4g}", highlight=False)
        if export is not None:
            out.print(f"→ {export}  sha256 {result['export']['sha256']}", highlight=False)


@app.command()
def export(
    campaign: Source,
    arch: Annotated[str | None, typer.Option("--arch", help="One subnet, by id (default: all picks).")] = None,
    device: DeviceName = None,
    output: Annotated[Path | None, typer.Option("--output", help="With --arch: the ONNX file to write.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="A fixed batch size (default: any).")] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Write ONNX files with their cards."""
    cards = hwsearch.export(_campaign(campaign, folder), arch, device, output=output, batch=batch)
    if not _emit({"models": cards}, as_json):
        for card in cards:
            out.print(f"{card['path']}  {card['bytes'] / 2**20:.2f} MiB  sha256 {card['sha256']}", highlight=False)


@app.command()
def finetune(
    campaign: Source,
    arch: Annotated[str, typer.Option("--arch", help="The subnet: an id, 'smallest' or 'largest'.")],
    data: Annotated[
        str | None,
        typer.Option(
            "--data", help="What to learn from, as under data in the configuration (default: the calibration data)."
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1)] = 200,
    batch: Annotated[int, typer.Option(min=2)] = 64,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate (default: 0.01 SGD, 5e-5 AdamW).")] = None,
    label_smoothing: Annotated[float, typer.Option("--label-smoothing", min=0.0, max=0.9)] = 0.0,
    seed: Annotated[int, typer.Option()] = 0,
    output: Annotated[Path | None, typer.Option("--output", help="The ONNX file to write.")] = None,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Train one subnet for some steps, measure its accuracy again, and write its model file."""
    settings = {"steps": steps, "batch": batch, "lr": lr, "label_smoothing": label_smoothing, "seed": seed}
    r = hwsearch.finetune(_campaign(campaign, folder), arch, data=data, output=output, **settings)
    if not _emit(r, as_json):
        unit = f" {r['unit']}" if r["unit"] else ""
        out.print(
            f"{r['arch_id']}: {r['score']} {r['before']:.2f} → {r['after']:.2f}{unit} on {r['examples']:,} test examples; "
            f"gain {r['gain']:+.2f} ({r['gain_low']:+.2f} to {r['gain_high']:+.2f}, 90 % interval)\n→ {r['path']}  sha256 {r['sha256']}",
            highlight=False,
        )


@app.command()
def report(
    campaign: Source,
    folder: Folder = None,
    optuna: Annotated[
        str | None,
        typer.Option(help="An Optuna storage (sqlite:///FILE) to add the measured subnets to, for its dashboard."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the fronts, plots and the page."""
    result = hwsearch.report(_campaign(campaign, folder), optuna=optuna)
    if not _emit(result, as_json):
        out.print(f"→ {result['report']}   {result['front']}", highlight=False)
        for study, added in result.get("optuna", {}).items():
            out.print(f"{optuna}: {added} trials added to study {study!r}", highlight=False)


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
    found: Any = hwsearch.supernets(action, name, output=output)
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
    rows = hwsearch.devices(campaign)
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
        for name in ("smallest", "largest"):
            out.print(
                f"{name}: top-1 {card[name]['top1_percent']} ±{card[name]['standard_error']} %, {card[name]['macs'] / 1e6:.2f} M MACs",
                highlight=False,
            )


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
    from hwsearch.engine import Campaign

    opened = Campaign.open(campaign, folder=folder, progress=ConsoleProgress(err))
    done = hwsearch.work(opened, device or (), wait=wait)
    if not _emit({"jobs": done}, as_json):
        _mapping(done)


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


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        out.print(f"hwsearch {hwsearch.__version__}", highlight=False)
        raise typer.Exit()


def main() -> None:
    """Entry point: typed errors become one sentence and exit code 1, Ctrl-C becomes 130."""
    warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\..*")
    as_json = "--json" in sys.argv
    try:
        code = app(standalone_mode=False)
        if code == 130:  # typer's answer to Ctrl-C
            raise KeyboardInterrupt
        if isinstance(code, int) and code:
            raise SystemExit(code)
    except HwsearchError as error:
        _fail(error.to_dict(), str(error), as_json)
        raise SystemExit(1) from None
    except typer.Exit as done:
        raise SystemExit(done.exit_code) from None
    except (KeyboardInterrupt, typer.Abort):
        err.print(
            "interrupted; everything measured so far is kept: the same command goes on from here.", highlight=False
        )
        raise SystemExit(130) from None
    except typer.BadParameter as error:
        error.show()
        raise SystemExit(2) from None
    except Exception as error:
        if type(error).__module__.startswith(("click", "typer")) and hasattr(error, "show"):
            error.show()
            raise SystemExit(getattr(error, "exit_code", 2)) from None
        if isinstance(error, OSError):
            place = f" {error.filename!r}" if error.filename else ""
            _fail({"error": "OSError", "message": str(error)}, f"{error.strerror or error}{place}.", as_json)
            raise SystemExit(1) from None
        raise


def _fail(data: dict[str, Any], text: str, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(data, ensure_ascii=False) + "\n")
    err.print(f"[red]error:[/red] {_escape(text)}", highlight=False)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


if __name__ == "__main__":
    main()
