"""Arguments and options that several commands have, and the campaign they open."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from hwsearch.cli.progress import ConsoleProgress, TrainingBar
from hwsearch.cli.render import err

if TYPE_CHECKING:
    from hwsearch.campaigns import Campaign, Progress
    from hwsearch.cli.events import TrainingEvents

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Source = Annotated[
    Path, typer.Argument(metavar="CAMPAIGN", help="A configuration file (.toml) or a campaign's folder.")
]
Folder = Annotated[
    Path | None,
    typer.Option("--folder", help="The campaign's folder (default: as configured, or runs/NAME for NAME.toml)."),
]
DeviceName = Annotated[
    str | None, typer.Option("--device", help="Name of one device of the campaign (default: the only one).")
]
Trust = Annotated[
    bool,
    typer.Option(
        "--trust", help="Execute what the campaign names (programs, Python files) even if another user wrote it."
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Replace files that hwsearch did not write; links are never written through."),
]
Deployment = Annotated[
    str | None,
    typer.Option("--deployment", help="One subnet for all devices, judged by 'worst-case' or 'weighted' latency."),
]

_SUPERNET = typer.Option("--supernet", help="A supernet of the catalogue, or file.py:ENTRY, which is run.")
Supernet = Annotated[str, _SUPERNET]
AnySupernet = Annotated[str | None, _SUPERNET]
#: what `--data` of a training takes
DATA_WITH_SPLITS = "A folder with 'train' and 'test' (or 'val'), or a parquet file with such splits"
TrainingData = Annotated[Path, typer.Option("--data", help=f"{DATA_WITH_SPLITS}.")]
StartWeights = Annotated[
    Path | None, typer.Option("--checkpoint", help="Weights to start from (default: random ones).")
]
Epochs = Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training examples.")]
Steps = Annotated[int | None, typer.Option("--steps", min=1, help="Steps, in place of epochs.")]
StepExamples = Annotated[int, typer.Option("--batch", min=2, help="Examples a step.")]
Padding = Annotated[int, typer.Option("--padding", min=0, help="Images: padding of the random crop.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of all randomness.")]


def shown_progress() -> Progress:
    """Make what shows the steps of the command that runs.

    Returns
    -------
    Progress
        JSON events on stderr with ``--json``, unless that is a terminal; else bars and lines.
    """
    from hwsearch.cli.events import JsonProgress

    return JsonProgress(sys.stderr) if "--json" in sys.argv and not err.is_terminal else ConsoleProgress(err)


def shown_training() -> TrainingBar | TrainingEvents:
    """Make what shows a training.

    Returns
    -------
    TrainingBar or TrainingEvents
        JSON events on stderr with ``--json``, unless that is a terminal; else a bar and lines; nothing in processes of
        ``torchrun`` but the first.
    """
    from hwsearch.cli.events import TrainingEvents

    if os.environ.get("RANK", "0") != "0":  # one of torchrun's processes shows it for all
        return TrainingBar(Console(quiet=True))
    return TrainingEvents(sys.stderr) if "--json" in sys.argv and not err.is_terminal else TrainingBar(err)


def open_campaign(source: Path, folder: Path | None = None, trust: bool = False) -> Campaign:
    """Open a campaign that shows its progress on stderr.

    Parameters
    ----------
    source : pathlib.Path
        A configuration file or a campaign's folder.
    folder : pathlib.Path, optional
        Where the campaign lies.
    trust : bool
        Execute what the configuration names even if another user wrote it.

    Returns
    -------
    Campaign
        Ready for any verb.

    Raises
    ------
    HwsearchError
        If there is no such campaign, or its configuration is wrong.
    """
    from hwsearch.campaigns import Campaign  # imports torch

    return Campaign.open(source, folder=folder, progress=shown_progress(), trust=trust)
