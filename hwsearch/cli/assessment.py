"""The command that assesses a trained supernet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hwsearch
from hwsearch._json import JsonObject
from hwsearch.cli.app import CATALOGUE, command
from hwsearch.cli.options import DATA_WITH_SPLITS, AnySupernet, Force, Json, Seed, Trust, shown_progress
from hwsearch.cli.render import emit_json, print_lines


@command(CATALOGUE)
def assess_supernet(
    supernet: AnySupernet = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="The folder for the page, the table and the JSON.")
    ] = None,
    campaign: Annotated[
        Path | None,
        typer.Option(
            "--campaign", help="In place of both: a campaign's folder, whose report then shows the assessment."
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="The weights (default: the shipped ones).")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help=f"{DATA_WITH_SPLITS} (default: the shipped examples).")
    ] = None,
    subnets: Annotated[int, typer.Option("--subnets", min=4, help="Subnets to judge, spread over the bands.")] = 40,
    bands: Annotated[int, typer.Option("--bands", min=2, help="Bands of MACs.")] = 5,
    examples: Annotated[int, typer.Option("--examples", min=2, help="Test examples to judge them on.")] = 2000,
    batches: Annotated[int, typer.Option("--batches", min=2, help="Batches on which gradients are compared.")] = 8,
    standalone: Annotated[
        int, typer.Option("--standalone", min=0, help="Also train so many of the subnets by themselves; needs --data.")
    ] = 0,
    passes: Annotated[
        int, typer.Option("--passes", min=1, help="Forward and backward passes of each such training.")
    ] = 1000,
    lr: Annotated[
        float | None, typer.Option("--lr", help="Its peak learning rate (default: 0.05 with batch norms, else 0.0005).")
    ] = None,
    seed: Seed = 0,
    trust: Trust = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Assess a trained supernet: scores by MACs, gradient conflict, gap to stand-alone training, what to try next.

    Parameters
    ----------
    supernet : str, optional
        A supernet of the catalogue, or ``file.py:ENTRY``.
    folder : pathlib.Path, optional
        For the page, the table, the JSON and the record of what was measured.
    campaign : pathlib.Path, optional
        A campaign, whose weights are assessed, in place of `supernet`, `folder` and `checkpoint`.
    checkpoint : pathlib.Path, optional
        The weights.
    data : pathlib.Path, optional
        A data set with splits ``train`` and ``test``.
    subnets, bands : int
        How many subnets are judged, and in how many bands of MACs.
    examples, batches : int
        Test examples to judge them on, and batches of training examples for gradients.
    standalone, passes : int
        How many subnets are trained by themselves, and for how long.
    lr : float, optional
        Peak learning rate of these trainings.
    seed : int
        Seed of all randomness.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    force : bool
        Replace files that hwsearch did not write; links are never written through.
    as_json : bool
        Print one JSON object instead of text.
    """
    if campaign is None and (supernet is None or folder is None):
        raise typer.BadParameter("give --supernet and --folder, or --campaign.")
    found = hwsearch.assess_supernet(
        supernet,
        folder,
        campaign=campaign,
        checkpoint=checkpoint,
        data=data,
        subnets=subnets,
        bands=bands,
        examples=examples,
        batches=batches,
        standalone=standalone,
        passes=passes,
        lr=lr,
        seed=seed,
        progress=shown_progress(),
        trust=trust,
        force=force,
    )
    if not emit_json(found, as_json):
        _print(found)


def _print(found: JsonObject) -> None:
    from hwsearch.reporting.assessment_result import band_lines, estimate_words  # imports Matplotlib

    unit = found["difference_unit"]
    for line in band_lines(found):
        print_lines(
            f"{line['macs']} MACs: {found['score']['name']} {line['score']}, {line['range']}, excess loss {line['excess']}"
        )
    told = [
        ("gradients of smallest and largest, cosine", estimate_words(found["conflict"]["smallest_largest"])),
        ("gap to stand-alone training", estimate_words(found["gap"], 1, unit)),
        ("rank correlation (Kendall's tau)", estimate_words(found["rank_correlation"])),
    ]
    for name, text in told[: 3 if found["gap"] else 1]:
        print_lines(f"{name}: {text}")
    print_lines(found["advice"]["sentence"])
    print_lines(f"→ {found['files']['assessment.html']}")
