"""The checkpoint of a run: whole or not at all, and only for the run that wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from hwsearch._json import JsonObject
from hwsearch.errors import TrainingError
from hwsearch.supernets.checkpoint import read_checkpoint


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Make the folder of a run, and keep other processes from training in it meanwhile.

    Parameters
    ----------
    folder : Path
        The folder; missing parents are made.

    Yields
    ------
    None
        Nothing; the block trains. A process that is killed leaves no lock behind.

    Raises
    ------
    TrainingError
        If another process trains in the folder, or it cannot be written.
    """
    lock = FileLock(folder / "training.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise TrainingError(
            f"another process is training in {str(folder)!r}.", hint="Wait for it, or use another folder."
        ) from error
    except OSError as error:
        raise TrainingError(
            f"the folder {str(folder)!r} cannot be written ({error.strerror or error}).", hint="Use another folder."
        ) from error
    try:
        yield
    finally:
        lock.release()


def write_training(path: Path, state: dict[str, Any]) -> None:
    """Replace the checkpoint at once; where that fails, the old one stays.

    Parameters
    ----------
    path : Path
        The file.
    state : dict of str to object
        ``identity`` and ``step``, and what else a run resumes with.

    Raises
    ------
    TrainingError
        If it cannot be written, for example because the disk is full.
    """
    partial = path.with_suffix(".partial")
    try:
        torch.save(state, partial)
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # torch raises the latter for a full disk
        partial.unlink(missing_ok=True)
        kept = "the one before is kept" if path.exists() else "there is none before it"
        raise TrainingError(
            f"the checkpoint of step {state['step']} cannot be written to {str(path)!r} ({error}); {kept}.",
            hint="Make room on the disk; the same call then goes on.",
        ) from error


def read_training(path: Path, identity: JsonObject) -> dict[str, Any]:
    """Read the checkpoint of a run, and check that it is of this run.

    Parameters
    ----------
    path : Path
        The file.
    identity : dict of str to object
        ``config``, ``strategy``, ``parts``, ``space``, ``data``, ``origin``, ``kernels`` and ``threads`` of the run that is
        to go on.

    Returns
    -------
    dict of str to object
        As `write_training` got it.

    Raises
    ------
    TrainingError
        If it cannot be read, or is of a run with other settings, data, initial weights, kernels or number of threads.
    """
    try:
        state: dict[str, Any] = read_checkpoint(path)
        known = state["identity"]
        changed = [
            f"{k}={known['config'].get(k)!r}, now {v!r}"
            for k, v in identity["config"].items()
            if known["config"].get(k) != v
        ]
        changed += ["search space"] * (known["space"] != identity["space"])
        strategy = known["strategy"] != identity["strategy"] or known["parts"] != identity["parts"]
        changed += ["strategy"] * strategy
        changed += ["training data"] * (known["data"] != identity["data"])
        changed += ["weights to start from"] * (known["origin"] != identity["origin"])
        kernels, threads = str(known["kernels"]), int(known["threads"])
    except Exception as error:  # a file of anything
        raise TrainingError(
            f"the checkpoint {str(path)!r} cannot be read: {error}.", hint="Remove it to start anew."
        ) from error
    folder = str(path.parent)
    if changed:
        raise TrainingError(
            f"{folder!r} holds a run with other settings ({'; '.join(changed)}).",
            hint="Use another folder, or the same settings.",
        )
    if kernels != identity["kernels"]:
        raise TrainingError(
            f"{folder!r} holds a run of the kernels {kernels}, and this process has {identity['kernels']}: sums in another "
            "order would end with other weights.",
            hint="Choose them by --kernels, or use another folder.",
        )
    if threads != identity["threads"]:
        raise TrainingError(
            f"{folder!r} holds a run that computes with {threads} threads, and this process has {identity['threads']}: "
            "sums in another order would end with other weights.",
            hint=f"Set OMP_NUM_THREADS={threads}, or use another folder.",
        )
    return state
