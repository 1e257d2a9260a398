"""Modules that were trained apart: each in a file of its own, and put together into one supernet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from hwsearch._files import overwriting
from hwsearch._json import JsonObject
from hwsearch.errors import TrainingError
from hwsearch.supernets.base import Supernet, tensors_of
from hwsearch.supernets.checkpoint import digest, write_safetensors
from hwsearch.training.checkpoint import differences, read_training
from hwsearch.training.parts.modules import OneModule
from hwsearch.training.trainer import Trainer

#: what a finished piece is kept in, in the folder of its training
FILE = "module.safetensors"
#: what may differ between the machines that train pieces of one run
ELSEWHERE = ("kernels", "threads")


class ModuleError(TrainingError):
    """A module that is trained apart is of another run, is not finished, or its process died."""


@dataclass
class Admission:
    """Refuse to train for another process what would not be the same training here.

    Attributes
    ----------
    identity : dict of str to object
        `Trainer.identity` where the training was asked for.
    begun : bool
        Whether all was well and the training has begun.
    """

    identity: JsonObject
    begun: bool = False

    def check(self, trainer: Trainer) -> None:
        """Compare settings, network and data, before anything is read that was sent.

        Parameters
        ----------
        trainer : Trainer
            Of the same piece here, with whatever weights.

        Raises
        ------
        ModuleError
            If something differs that decides what is trained.
        """
        if changed := _changed(self.identity, trainer.identity(), {*ELSEWHERE, "origin"}):
            raise ModuleError(
                f"what it would train is another training than the one asked for ({'; '.join(changed)}).",
                hint="Put the same data and code of the supernet at the same paths there.",
            )

    def begin(self, trainer: Trainer) -> None:
        """Check that the training can go on from its checkpoint, if there is one, and note that it begins.

        Parameters
        ----------
        trainer : Trainer
            The trainer.

        Raises
        ------
        TrainingError
            If the checkpoint is of another run, such as one with other kernels.
        """
        if trainer.checkpoint.exists():
            read_training(trainer.checkpoint, trainer.identity())
        self.begun = True


@dataclass(frozen=True)
class Piece:
    """Result of the process of one module: its parameters and statistics, and what they took.

    Attributes
    ----------
    state : dict of str to Tensor
        Name → tensor; of the meta network everything.
    about : dict of str to object
        ``seconds``, ``steps``, ``passes``, ``history``, ``kernels`` and ``gradient_bytes_exchanged``.
    """

    state: dict[str, Tensor]
    about: JsonObject

    def adopt(self, net: Supernet) -> None:
        """Put the tensors in their places.

        Parameters
        ----------
        net : Supernet
            Changed in place.
        """
        own = tensors_of(net)
        with torch.no_grad():
            for name, value in self.state.items():
                own[name].copy_(value)


def names_of(trainer: Trainer) -> list[str]:
    """List what of the supernet's state a piece consists of.

    Parameters
    ----------
    trainer : Trainer
        Of the piece.

    Returns
    -------
    list of str
        Names, without counters of batches.
    """
    view, net = trainer.recipe.view, trainer.supernet
    names = view.module_names(net) if isinstance(view, OneModule) else list(tensors_of(net))
    return [name for name in names if not name.endswith("num_batches_tracked")]


def keep_piece(trainer: Trainer) -> None:
    """Write the piece that a trainer has finished.

    Parameters
    ----------
    trainer : Trainer
        At the end of its run.

    Raises
    ------
    CheckpointError
        If it cannot be written.
    """
    state = tensors_of(trainer.supernet)
    about = {
        "seconds": round(trainer.seconds, 1),
        "steps": trainer.step,
        "passes": trainer.passes,
        "history": trainer.history,
        "kernels": trainer.kernels_said,
        "gradient_bytes_exchanged": trainer.ranks.sent[0],
    }
    texts = {
        "digest": digest(trainer.supernet),
        "run": json.dumps(trainer.identity(), ensure_ascii=False),
        "about": json.dumps(about, ensure_ascii=False),
    }
    with overwriting(True):
        write_safetensors({name: state[name] for name in names_of(trainer)}, trainer.folder / FILE, texts)


def read_piece(trainer: Trainer, name: str, *, any_origin: bool = False) -> Piece | None:
    """Read the finished piece of a trainer's folder, also one that another machine has trained.

    Parameters
    ----------
    trainer : Trainer
        A trainer of the same piece; it is not changed.
    name : str
        What the piece is called in messages.
    any_origin : bool
        Whether the weights that it started from may be others.

    Returns
    -------
    Piece or None
        None where none is finished.

    Raises
    ------
    ModuleError
        If the file cannot be read, or is of another run.
    """
    path = trainer.folder / FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            texts = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
        known, about = json.loads(texts["run"]), json.loads(texts["about"])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ModuleError(f"{name} cannot be read from {str(path)!r}: {error}.", hint="Remove it.") from error
    skipped = {*ELSEWHERE, *(("origin",) if any_origin else ())}
    if changed := _changed(known, trainer.identity(), skipped):
        raise ModuleError(
            f"{str(path)!r} is no {name} of this run ({'; '.join(changed)}).",
            hint="Copy the folder of this run's, or remove it to train it here.",
        )
    shapes = {n: v.shape for n, v in tensors_of(trainer.supernet).items()}
    if {n: v.shape for n, v in state.items()} != {n: shapes[n] for n in names_of(trainer)}:
        raise ModuleError(f"{str(path)!r} has not the tensors of {name}.", hint="Remove it to train it here.")
    return Piece(state, about)


def _changed(known: Mapping[str, object], now: Mapping[str, object], skipped: set[str]) -> list[str]:
    """List what differs between two runs; of long descriptions only that they do."""
    found = []
    for key in (k for k in now if k not in skipped):
        if known.get(key) != now[key]:
            short = key not in ("space", "data", "origin")
            words = {"space": "search space", "data": "training data", "origin": "weights to start from"}
            found += (differences(known.get(key), now[key], key) if short else []) or [words.get(key, key)]
    return found


def told(trainer: Trainer, piece: Piece) -> Trainer:
    """Let a trainer tell the figures of a piece that was finished elsewhere.

    Parameters
    ----------
    trainer : Trainer
        A trainer of the same piece, changed in place.
    piece : Piece
        The piece.

    Returns
    -------
    Trainer
        The same trainer.
    """
    about = piece.about
    trainer.seconds, trainer.history = float(about["seconds"]), list(about["history"])
    trainer.step, trainer.passes = int(about["steps"]), int(about["passes"])
    trainer.kernels_said = str(about["kernels"])
    return trainer


def piece_folder(stage: Path, module: int) -> Path:
    """Name the folder of one piece.

    Parameters
    ----------
    stage : Path
        The folder of the stage.
    module : int
        0 for the meta network, from 1 a module.

    Returns
    -------
    Path
        Such as ``stage-1/module-2``.
    """
    return stage / (f"module-{module}" if module else "meta")


def piece_name(module: int) -> str:
    """Name one piece in messages.

    Parameters
    ----------
    module : int
        0 for the meta network, from 1 a module.

    Returns
    -------
    str
        Such as ``module 2``.
    """
    return f"module {module}" if module else "meta network"
