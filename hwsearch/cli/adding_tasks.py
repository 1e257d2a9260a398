"""The commands that add tasks to one backbone, and export them."""

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
    StepExamples,
    Steps,
    Supernet,
    TrainingData,
    shown_training,
)
from hwsearch.cli.render import emit_json, print_lines, score_text

Place = Annotated[Path, typer.Option("--folder", help="The folder of the backbone and its tasks.")]
Name = Annotated[str, typer.Option("--task", help="Name of the task.")]


@command(CATALOGUE)
def add_task(
    supernet: Supernet,
    data: TrainingData,
    folder: Place,
    task: Name,
    density: Annotated[float, typer.Option("--density", help="Share of each layer's weights that it uses.")] = 0.1,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="For the first task: the backbone's weights (default: random).")
    ] = None,
    epochs: Epochs = 20,
    steps: Steps = None,
    weight_share: Annotated[
        float, typer.Option("--weight-share", help="Share of the steps that train weights; 0: the mask alone.")
    ] = 0.5,
    batch: StepExamples = 64,
    lr: Annotated[float, typer.Option("--lr", help="Peak learning rate of the mask's scores.")] = 0.01,
    weight_lr: Annotated[float, typer.Option("--weight-lr", help="Peak learning rate of weights.")] = 0.001,
    weight_decay: Annotated[
        float, typer.Option("--weight-decay", min=0, help="Decay of the weights that are trained.")
    ] = 0.0,
    padding: Padding = 4,
    transfer: Annotated[
        bool, typer.Option("--transfer/--no-transfer", help="Start from the earlier mask that suits best.")
    ] = True,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Add a task to a backbone; those it has stay as they are, to the bit. The same command resumes an interrupted training.

    Parameters
    ----------
    supernet : str
        A name of the catalogue, or ``file.py:ENTRY``.
    data : pathlib.Path
        A data set with splits ``train`` and ``test``.
    folder : pathlib.Path
        Of the backbone and its tasks.
    task : str
        Name of the new task.
    density : float
        Share of each layer's weights that it uses.
    checkpoint : pathlib.Path, optional
        Weights of the backbone, for the first task.
    epochs, steps, weight_share, batch, lr, weight_lr, weight_decay, padding, transfer, seed
        Settings of the training.
    force : bool
        Replace files that hwsearch did not write; links are never written through.
    as_json : bool
        Print one JSON object instead of text.
    """
    with shown_training() as shown:
        found = hwsearch.add_task(
            supernet,
            data,
            folder,
            task,
            density=density,
            checkpoint=checkpoint,
            epochs=epochs,
            steps=steps,
            weight_share=weight_share,
            batch=batch,
            lr=lr,
            weight_lr=weight_lr,
            weight_decay=weight_decay,
            padding=padding,
            transfer=transfer,
            seed=seed,
            progress=shown.update,
            force=force,
        )
    if not emit_json(found, as_json):
        _print(found)


@command(CATALOGUE)
def export_task(
    supernet: Supernet,
    folder: Place,
    task: Name,
    output: Annotated[
        Path | None, typer.Option("--output", help="The ONNX file (default: TASK.onnx in the folder).")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Export one task of a backbone as a plain network: ONNX file and card.

    Parameters
    ----------
    supernet : str
        The supernet that its tasks were added to.
    folder : pathlib.Path
        Of the backbone and its tasks.
    task : str
        Name of the task.
    output : pathlib.Path, optional
        The ONNX file.
    force : bool
        Replace files that hwsearch did not write; links are never written through.
    as_json : bool
        Print one JSON object instead of text.
    """
    found = hwsearch.export_task(supernet, folder, task, output=output, force=force)
    if not emit_json(found, as_json):
        print_lines(f"→ {found['path']}, {found['difference_from_torch']:.1e} from torch, classes as on its card")


def _print(found: JsonObject) -> None:
    lines = [
        f"task {found['name']}: {score_text(found['score'])}, {len(found['classes'])} classes",
        f"{100 * found['density']:.1f} % of the weights, {100 * found['trained']:.1f} % of these trained; "
        f"{100 * found['free']:.1f} % of the backbone's are in no task",
    ]
    if start := found["transfer"]["from"]:
        lines.append(f"started from the mask of task {start}")
    lines.append(f"tasks: {', '.join(found['tasks'])}; networks of earlier ones unchanged to the bit")
    print_lines(*lines)
