"""The command `hwsearch`: the package's verbs, with progress on stderr and results on stdout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hwsearch
from hwsearch.cli.app import DeviceName, Folder, Json, Serve, Source, _campaign, app
from hwsearch.cli.render import _emit, _frame, out


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
