"""The command that prunes a network in one training run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import hwsearch
from hwsearch._json import JsonObject
from hwsearch.cli.app import CATALOGUE, command
from hwsearch.cli.options import (
    Epochs,
    Force,
    Json,
    Padding,
    Seed,
    StartWeights,
    StepExamples,
    Steps,
    Supernet,
    TrainingData,
    Trust,
    shown_training,
)
from hwsearch.cli.render import emit_json, print_lines, score_text


@command(CATALOGUE)
def prune(
    supernet: Supernet,
    data: TrainingData,
    folder: Annotated[Path, typer.Option("--folder", help="The folder for the run, the weights, the model, the card.")],
    limit: Annotated[
        str, typer.Option("--limit", help="One upper limit: 'macs<=50 %', 'params<=2e6', 'latency_ms<=2'.")
    ],
    checkpoint: StartWeights = None,
    campaign: Annotated[
        Path | None,
        typer.Option("--campaign", help="For a latency: a campaign whose store has the device's operator table."),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="A device of that campaign (default: the only one).")
    ] = None,
    epochs: Epochs = 30,
    steps: Steps = None,
    batch: StepExamples = 128,
    lr: Annotated[float, typer.Option("--lr", min=0, help="Peak learning rate of SGD.")] = 0.1,
    padding: Padding = 4,
    polarization: Annotated[
        float, typer.Option("--polarization", min=0, help="Weight of the polarization; 0 turns it off.")
    ] = 8.0,
    seed: Seed = 0,
    trust: Trust = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Prune a network to one limit in one training run; the same command resumes an interrupted run.

    Parameters
    ----------
    supernet : str
        A supernet of the catalogue, or ``file.py:ENTRY``.
    data : pathlib.Path
        A data set with splits ``train`` and ``test``.
    folder : pathlib.Path
        For the state of the run, and its results.
    limit : str
        One upper limit, on MACs, parameters or a latency.
    checkpoint : pathlib.Path, optional
        Weights to start from.
    campaign : pathlib.Path, optional
        In whose store the operator table is.
    device : str, optional
        Whose table.
    epochs, steps, batch, lr, padding, polarization, seed
        Settings of the training.
    trust : bool
        Execute what the campaign names even if another user wrote it.
    force : bool
        Replace files that hwsearch did not write; links are never written through.
    as_json : bool
        Print one JSON object instead of text.
    """
    with shown_training() as shown:
        found = hwsearch.prune(
            supernet,
            data,
            folder,
            limit,
            checkpoint=checkpoint,
            campaign=campaign,
            device=device,
            epochs=epochs,
            steps=steps,
            batch=batch,
            lr=lr,
            padding=padding,
            polarization=polarization,
            seed=seed,
            progress=shown.update,
            trust=trust,
            force=force,
        )
    if not emit_json(found, as_json):
        _print(found)


def _print(found: JsonObject) -> None:
    told = found["pruning"]
    share = 100 * told["cost"] / told["limit"]
    print_lines(
        f"{told['metric']} {told['cost']:.6g}, within {told['limit']:.6g} ({share:.1f} % of it); {told['largest']:.6g} before",
        f"disagreement of the gates {told['disagreement']:.4f}; "
        f"freezing them: {told['gated']:g} → {told['frozen']:g} {told['unit']}",
        score_text(found["score"], told["unit"]),
        f"→ {found['path']}, {found['weights']}",
    )
