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
        ``config``, ``strategy``, ``parts``, ``space``, ``data``, ``origin``, ``kernels``, ``threads`` and the kind of ``device`` of
        the run that is to go on.

    Returns
    -------
    dict of str to object
        As `write_training` got it.

    Raises
    ------
    TrainingError
        If it cannot be read, or is of a run with other settings, data, initial weights, kernels, ghost batches, number of
        threads or kind of device.
    """
    try:
        state: dict[str, Any] = read_checkpoint(path)
        known = state["identity"]
        config = {"ghost_batches": 1} | known["config"]
        ghosts, wanted = int(config.pop("ghost_batches")), identity["config"]["ghost_batches"]
        changed = differences(config, {k: v for k, v in identity["config"].items() if k != "ghost_batches"})
        changed += ["search space"] * (known["space"] != identity["space"])
        changed += differences(known["strategy"], identity["strategy"], "strategy") or differences(
            known["parts"], identity["parts"]
        )
        changed += ["training data"] * (known["data"] != identity["data"])
        changed += ["weights to start from"] * (known["origin"] != identity["origin"])
        kernels, threads = str(known["kernels"]), int(known["threads"])
        device = str(known.get("device", "cpu"))  # older ones were of the processor
    except Exception as error:  # a file of anything
        raise TrainingError(
            f"the checkpoint {str(path)!r} cannot be read: {str(error).rstrip('.')}.", hint="Remove it to start anew."
        ) from error
    folder = str(path.parent)
    if changed:
        raise TrainingError(
            f"{folder!r} holds a run with other settings ({'; '.join(changed)}).",
            hint="Use another folder, or the same settings.",
        )
    if ghosts != wanted:
        raise TrainingError(
            f"{folder!r} holds a run that cuts batches into {_parts(ghosts)}, and this one cuts them into {_parts(wanted)}: "
            "other statistics and another order would end with other weights.",
            hint=f"Start {ghosts} process{'es' * (ghosts > 1)}, set ghost_batches = {ghosts} under [stage.training] (with any "
            "number of processes that divides it), or use another folder.",
        )
    if device != identity["device"]:
        raise TrainingError(
            f"{folder!r} holds a run of device {device}, and this process computes on {identity['device']}: other sums would "
            "end with other weights.",
            hint=f"Choose --device {device}, use another folder, or start anew from the weights (--checkpoint).",
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


def differences(known: object, now: object, name: str = "") -> list[str]:
    """List what differs between two descriptions of settings.

    Parameters
    ----------
    known, now : object
        Values, or dicts and lists of them: of the run that was saved, and of this one.
    name : str
        What the value is called.

    Returns
    -------
    list of str
        One clause each, with the name and both values.

    Examples
    --------
    >>> differences({"part": "Sandwich", "random": 1}, {"part": "Sandwich", "random": 2}, "strategy")
    ['strategy.random=1, now 2']
    """
    if isinstance(known, dict) and isinstance(now, dict) and known.get("part") == now.get("part"):
        names = dict.fromkeys([*known, *now])
        return [d for k in names for d in differences(known.get(k), now.get(k), f"{name}.{k}" if name else str(k))]
    if isinstance(known, list) and isinstance(now, list) and len(known) == len(now) and known != now:
        return [d for k, pair in enumerate(zip(known, now, strict=True)) for d in differences(*pair, f"{name}[{k}]")]
    return [] if known == now else [f"{name}={_short(known)}, now {_short(now)}"]


def _short(value: object) -> str:
    """Name a value; of a whole part its kind."""
    return str(value["part"]) if isinstance(value, dict) and "part" in value else repr(value)


def _parts(ghosts: int) -> str:
    return f"{ghosts} part" + "s" * (ghosts > 1)
