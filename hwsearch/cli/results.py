"""Commands that show, export, fine-tune and report what a campaign found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hwsearch
from hwsearch.cli.app import RESULTS, command
from hwsearch.cli.options import Deployment, DeviceName, Folder, Force, Json, Source, Trust, open_campaign
from hwsearch.cli.render import chain_lines, emit_json, ensemble_lines, neighbour_lines, print_frame, print_lines


@command(RESULTS)
def front(
    campaign: Source,
    device: DeviceName = None,
    deployment: Deployment = None,
    folder: Folder = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Show the measured Pareto front of one device, or with --deployment that of one subnet for all devices.

    Parameters
    ----------
    campaign : pathlib.Path
        A configuration file or a campaign's folder.
    device : str, optional
        One device of the campaign, by name.
    deployment : {"worst-case", "weighted"}, optional
        One subnet for all devices.
    folder : pathlib.Path, optional
        Where the campaign lies.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    as_json : bool
        Print one JSON object instead of text.
    """
    frame = hwsearch.front(open_campaign(campaign, folder, trust), device, deployment=deployment).to_frame()
    if not emit_json({"front": frame}, as_json):
        own = [c for c in frame.columns if ("@" not in c or deployment is not None) and "ended_at" not in c]
        print_frame(frame[own], "front")


@command(RESULTS)
def predict(
    campaign: Source,
    arch: Annotated[
        list[str] | None,
        typer.Option("--arch", help="A subnet: an id, 'smallest', 'largest', or genes as JSON; may be repeated."),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Name of one device of the campaign (default: all).")
    ] = None,
    archs: Annotated[
        Path | None, typer.Option("--archs", help="A file of architectures: .json, or a table with a column a gene.")
    ] = None,
    random: Annotated[int | None, typer.Option("--random", help="So many subnets, drawn uniformly.")] = None,
    coverage: Annotated[float, typer.Option("--coverage", help="Share that the intervals are to hold.")] = 0.95,
    folder: Folder = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Predict accuracy and latency of any subnets, with intervals, by the fitted predictors; nothing is measured.

    Parameters
    ----------
    campaign : pathlib.Path
        A configuration file or a campaign's folder.
    arch : list of str, optional
        Ids, ``smallest`` or ``largest``.
    device : str, optional
        One device of the campaign, by name.
    archs : pathlib.Path, optional
        A file of architectures.
    random : int, optional
        So many subnets, drawn uniformly.
    coverage : float
        Share that the intervals are to hold.
    folder : pathlib.Path, optional
        Where the campaign lies.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    as_json : bool
        Print one JSON object instead of text.
    """
    from hwsearch.api.results import predictions  # here, since it takes time and --help needs none of it

    found = predictions(
        open_campaign(campaign, folder, trust), arch or [], device, archs=archs, random=random, coverage=coverage
    )
    told = {"predictions": found.frame, "running_coverage": found.running, "front": found.front}
    if not emit_json({"coverage": coverage, **told, "warnings": found.warnings}, as_json):
        print_frame(found.frame.drop(columns="genes"), f"predictions, intervals of {100 * coverage:g} %")
        if len(found.frame) > found.frame["device"].nunique() and len(found.front):
            print_frame(found.front.drop(columns="genes"), "predicted front; expected: without the winner's curse")
        print_lines(*found.warnings)


@command(RESULTS)
def plan(
    campaign: Source,
    device: DeviceName = None,
    samples: Annotated[int, typer.Option("--samples", help="How many subnets to time.")] = 10,
    measure: Annotated[
        bool, typer.Option("--measure", help="Time them, each chosen by what the former ones told.")
    ] = False,
    coverage: Annotated[float, typer.Option("--coverage", help="Share that the intervals are to hold.")] = 0.95,
    folder: Folder = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Choose the subnets whose latencies tell most about a new device, and predict its front from other devices.

    Parameters
    ----------
    campaign : pathlib.Path
        A configuration file or a campaign's folder.
    device : str, optional
        The new device, one of the campaign.
    samples : int
        How many subnets to time.
    measure : bool
        Whether to time them.
    coverage : float
        Share that the intervals are to hold.
    folder : pathlib.Path, optional
        Where the campaign lies.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    as_json : bool
        Print one JSON object instead of text.
    """
    found = hwsearch.plan(
        open_campaign(campaign, folder, trust), device, samples=samples, measure=measure, coverage=coverage
    )
    if emit_json(found.to_dict(), as_json):
        return
    known = ", ".join(f"{name} ({n})" for name, n in found.sources.items()) or "no other device"
    print_lines(f"learnt from: {known}")
    shown = found.subnets.assign(genes=[" ".join(f"{k}={v}" for k, v in g.items()) for g in found.subnets["genes"]])
    print_frame(
        shown if measure else shown.drop(columns="latency_ms"),
        f"timed on {found.device}" if measure else f"to time on {found.device}",
        3,
    )
    if found.trusted is not None:
        print_lines(found.trusted)
    if len(found.front):
        print_frame(found.front.drop(columns="genes"), "predicted front: nothing in it has been measured here")


@command(RESULTS)
def pick(
    campaign: Source,
    limit: Annotated[
        list[str] | None,
        typer.Option("--limit", help="A limit such as 'latency_ms<=2' or 'accuracy>=80'; may be repeated."),
    ] = None,
    device: DeviceName = None,
    probability: Annotated[
        float | None,
        typer.Option(
            "--probability",
            help="Probability with which each limit must be met, such as 0.95 (default: as configured).",
        ),
    ] = None,
    deployment: Deployment = None,
    chain: Annotated[
        int | None,
        typer.Option("--chain", help="At most so many subnets, each within the next, to switch between at run time."),
    ] = None,
    export: Annotated[
        Path | None, typer.Option("--export", help="The ONNX file to write, or the folder of a chain's.")
    ] = None,
    folder: Folder = None,
    trust: Trust = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Pick the best measured subnet under limits, and with --export write its ONNX file.

    Parameters
    ----------
    campaign : pathlib.Path
        A configuration file or a campaign's folder.
    limit : list of str, optional
        Such as ``latency_ms<=2``.
    device : str, optional
        One device of the campaign, by name.
    probability : float, optional
        With which each limit must be met.
    deployment : {"worst-case", "weighted"}, optional
        One subnet for all devices.
    chain : int, optional
        At most so many subnets of which each lies within the next.
    export : pathlib.Path, optional
        The ONNX file to write, or the folder of a chain's.
    folder : pathlib.Path, optional
        Where the campaign lies.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    force : bool
        Replace files that hwsearch did not write; links are never written through.
    as_json : bool
        Print one JSON object instead of text.
    """
    result = hwsearch.pick(
        open_campaign(campaign, folder, trust),
        limit or [],
        device,
        probability=probability,
        deployment=deployment,
        chain=chain,
        export=export,
        force=force,
    )
    if emit_json(result, as_json):
        return
    if chain is not None:
        print_lines(*chain_lines(result))
        if export is not None:
            print_lines(f"→ {export}: {len(result['members'])} files")
    else:
        unit = f" {result['score_unit']}" if result["score_unit"] else ""
        level = f"{100 * result['confidence']:.0f} %"
        latency = [
            f"latency {d['latency_ms']:.3g} ms ({d['low']:.3g}–{d['high']:.3g} with {level})"
            f"{f' on {name}' if len(result['devices']) > 1 else ''}"
            for name, d in result["devices"].items()
        ]
        print_lines(
            f"{result['arch_id']} on {result['device']}: {result['score']} {result['accuracy']:.1f}{unit} ({result['accuracy_low']:.1f}–{result['accuracy_high']:.1f} with 95 %), "
            f"{', '.join(latency)}"
        )
        for asked, chance in result["met_with"].items():
            print_lines(f"  meets {asked} with probability {min(chance, 0.9999):.4g}")
        print_lines(*(f"  {line}" for line in neighbour_lines(result)))
        if export is not None:
            print_lines(f"→ {export}  sha256 {result['export']['sha256']}")


@command(RESULTS)
def ensemble(
    campaign: Source,
    limit: Annotated[
        list[str], typer.Option("--limit", help="A limit on the latency of all members together: 'latency_ms<=2'.")
    ],
    device: DeviceName = None,
    arch: Annotated[
        list[str] | None,
        typer.Option("--arch", help="Choose from these subnets only; may be repeated (default: all validated ones)."),
    ] = None,
    fusion: Annotated[
        str, typer.Option("--fusion", help="What is averaged: 'probabilities' or 'logits'.")
    ] = "probabilities",
    members: Annotated[int, typer.Option("--members", min=2, max=16, help="Most members.")] = 4,
    parallel: Annotated[
        bool, typer.Option("--parallel", help="Members run at the same time: the slowest counts, not the sum.")
    ] = False,
    measure: Annotated[bool, typer.Option("--measure", help="Time the ensemble's file on the device.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", help="The ONNX file (default: models/ensembles/ID.onnx).")
    ] = None,
    folder: Folder = None,
    trust: Trust = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Choose measured subnets whose mean answer beats the best one's in the same time, and write them as one ONNX file.

    Parameters
    ----------
    campaign : pathlib.Path
        A configuration file or a campaign's folder.
    limit : list of str
        One upper limit on the latency.
    device : str, optional
        One device of the campaign, by name.
    arch : list of str, optional
        Choose from these subnets only.
    fusion : {"probabilities", "logits"}
        What is averaged.
    members : int
        Most members.
    parallel : bool
        Members run at the same time.
    measure : bool
        Time the file on the device.
    output : pathlib.Path, optional
        The ONNX file.
    folder : pathlib.Path, optional
        Where the campaign lies.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    force : bool
        Replace files that hwsearch did not write; links are never written through.
    as_json : bool
        Print one JSON object instead of text.
    """
    found = hwsearch.ensemble(
        open_campaign(campaign, folder, trust),
        limit,
        device,
        arch=arch or [],
        fusion=fusion,
        members=members,
        parallel=parallel,
        measure=measure,
        output=output,
        force=force,
    )
    if emit_json(found, as_json):
        return
    import pandas as pd

    print_frame(pd.DataFrame(found["rows"]), f"{found['limit']} on {found['device']}")
    print_lines(*ensemble_lines(found))


@command(RESULTS)
def export(
    campaign: Source,
    arch: Annotated[
        str | None,
        typer.Option(
            "--arch",
            help="One subnet: an id, 'smallest', 'largest', or genes as JSON (default: all picks of the fronts).",
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Without --arch: only the picks of this device (default: of all).")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="With --arch: the ONNX file to write (default: below the campaign's folder)."),
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="A fixed batch size (default: any size).")] = None,
    folder: Folder = None,
    trust: Trust = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write the picks of the fronts, or one subnet, as ONNX files, each with a JSON file that describes it.

    Parameters
    ----------
    campaign : pathlib.Path
        A configuration file or a campaign's folder.
    arch : str, optional
        An id, ``smallest``, ``largest``, or a JSON object of genes; all picks by default.
    device : str, optional
        Only the picks of this device.
    output : pathlib.Path, optional
        With `arch`: the ONNX file.
    batch : int, optional
        A fixed batch size.
    folder : pathlib.Path, optional
        Where the campaign lies.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    force : bool
        Replace files that hwsearch did not write; links are never written through.
    as_json : bool
        Print one JSON object instead of text.
    """
    cards = hwsearch.export(
        open_campaign(campaign, folder, trust), arch, device, output=output, batch=batch, force=force
    )
    if not emit_json({"models": cards}, as_json):
        for card in cards:
            print_lines(f"{card['path']}  {card['bytes'] / 2**20:.2f} MiB  sha256 {card['sha256']}")


@command(RESULTS)
def finetune(
    campaign: Source,
    arch: Annotated[str, typer.Option("--arch", help="The subnet: an id, 'smallest', 'largest', or genes as JSON.")],
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            help="Data to train on, written as in [data] of the configuration (default: the calibration data).",
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps.")] = 200,
    batch: Annotated[int, typer.Option(min=2, help="Examples a step.")] = 64,
    lr: Annotated[
        float | None, typer.Option(help="Peak learning rate (default: 0.01 with SGD, 5e-5 with AdamW).")
    ] = None,
    label_smoothing: Annotated[
        float, typer.Option("--label-smoothing", min=0.0, max=0.9, help="Share of each label spread over all classes.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of all randomness.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", help="The ONNX file to write (default: below the campaign's folder).")
    ] = None,
    folder: Folder = None,
    trust: Trust = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train one subnet for some steps, measure its accuracy again, and write its ONNX file.

    Parameters
    ----------
    campaign : pathlib.Path
        A configuration file or a campaign's folder.
    arch : str
        An id, ``smallest``, ``largest``, or a JSON object of genes (others at their largest).
    data : str, optional
        What to learn from.
    steps, batch : int
        Training steps, and examples a step.
    lr : float, optional
        Peak learning rate.
    label_smoothing : float
        Share of a label spread over all classes.
    seed : int
        Seed of all randomness.
    output : pathlib.Path, optional
        The ONNX file to write.
    folder : pathlib.Path, optional
        Where the campaign lies.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    force : bool
        Replace files that hwsearch did not write; links are never written through.
    as_json : bool
        Print one JSON object instead of text.
    """
    r = hwsearch.finetune(
        open_campaign(campaign, folder, trust),
        arch,
        data=data,
        output=output,
        force=force,
        steps=steps,
        batch=batch,
        lr=lr,
        label_smoothing=label_smoothing,
        seed=seed,
    )
    if not emit_json(r, as_json):
        unit = f" {r['unit']}" if r["unit"] else ""
        print_lines(
            f"{r['arch_id']}: {r['score']} {r['before']:.2f} → {r['after']:.2f}{unit} on {r['examples']:,} test examples; "
            f"gain {r['gain']:+.2f} ({r['gain_low']:+.2f} to {r['gain_high']:+.2f}, 95 % interval)\n→ {r['path']}  sha256 {r['sha256']}"
        )


@command(RESULTS)
def report(
    campaign: Source,
    folder: Folder = None,
    trust: Trust = False,
    optuna: Annotated[
        str | None,
        typer.Option(help="An Optuna storage (sqlite:///FILE) to add the measured subnets to, for its dashboard."),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write the fronts as CSV and JSON, the plots, and the page report.html.

    Parameters
    ----------
    campaign : pathlib.Path
        A configuration file or a campaign's folder.
    folder : pathlib.Path, optional
        Where the campaign lies.
    optuna : str, optional
        An Optuna storage to add the measured subnets to.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    force : bool
        Replace files that hwsearch did not write; links are never written through.
    as_json : bool
        Print one JSON object instead of text.
    """
    result = hwsearch.report(open_campaign(campaign, folder, trust), optuna=optuna, force=force)
    if not emit_json(result, as_json):
        print_lines(f"→ {result['report']}   {result['front']}")
        for study, added in result.get("optuna", {}).items():
            print_lines(f"{optuna}: {added} trials added to study {study!r}")
