"""Trainings that are asked of a Dask worker: their form as JSON, their files, and checks of what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, TypedDict, cast

from hwsearch._json import JsonObject, is_number, is_shallow
from hwsearch._package import __version__
from hwsearch.devices.fleet.responses import WorkerError
from latency_tables.reading import ReadingError, parse_json

#: the resource of a Dask worker that trains
RESOURCE = "training"
#: files of a training that come back: its last checkpoint, its figures, and what it was for
CHECKPOINT, FIGURES, RESULT = "training.pt", "metrics.csv", "module.safetensors"
#: a worker ends a training that nobody has asked after for so long, seconds; sending a large checkpoint takes some of it
SILENT_S = 900.0
#: how long to wait for a worker that trains, seconds
PATIENCE_S = 20.0
#: a training that is to stop has so long to end its step and save, seconds
STOP_S = 60.0


@dataclass(frozen=True)
class ClusterPlace:
    """Where the workers that train are found, in the words of a campaign's ``[fleet]``.

    Attributes
    ----------
    scheduler : str
        Address of the Dask scheduler, ``tls://HOST:PORT``.
    certificates : str or None
        Folder that `make_certificates` wrote.
    insecure : bool
        Allow ``tcp://`` on this host alone.
    """

    scheduler: str
    certificates: str | None = None
    insecure: bool = False


class TrainingJob(TypedDict):
    """Training that a worker is asked for.

    Attributes
    ----------
    id : str
        Its own, to ask after it.
    name : str
        What it is called in messages.
    given : dict
        Arguments of `hwsearch.api.training.train_rank`; its ``recipe`` may be a file of the job.
    folder : str
        Folder of the module within that of the training.
    shown : str
        The folder of the training where it was asked for, for messages.
    identity : dict
        `Trainer.identity` where it was asked for.
    threads : int
        It computes with so many.
    """

    id: str
    name: str
    given: JsonObject
    folder: str
    shown: str
    identity: JsonObject
    threads: int


class TrainingAnswer(TypedDict):
    """How a training on a worker ended.

    Attributes
    ----------
    end : {"finished", "stopped", "refused", "failed", "died"}
        It reached its end; was asked to stop; could not begin there; ended with a typed error; or its process died.
    why : str
        A sentence; empty where it finished.
    state : dict or None
        Where it was at last, as `check_state` allows it.
    """

    end: Literal["finished", "stopped", "refused", "failed", "died"]
    why: str
    state: JsonObject | None


class WorkerFacts(TypedDict):
    """What of a worker decides whether it can train.

    Attributes
    ----------
    versions : dict of str to str
        As `training_versions`.
    missing : list of str
        Files and folders that it was asked for and does not have.
    threads : int
        So many a training may have there.
    """

    versions: dict[str, str]
    missing: list[str]
    threads: int


def training_versions() -> dict[str, str]:
    """Name the versions that decide what a training computes, without the mark of a build.

    Returns
    -------
    dict of str to str
        Of this package and of torch, such as ``2.13.0`` for ``2.13.0+cpu``.
    """
    try:
        torch = version("torch").partition("+")[0]
    except PackageNotFoundError:
        torch = "none"
    return {"hwsearch": __version__, "torch": torch}


def check_state(state: object) -> JsonObject:
    """Return the state of a training unchanged if it is one.

    Parameters
    ----------
    state : object
        What came from a worker; nothing is taken for granted.

    Returns
    -------
    dict of str to object
        The same object.

    Raises
    ------
    WorkerError
        If it is malformed.
    """
    if not isinstance(state, dict) or not is_shallow(state):
        raise WorkerError("Invalid worker response: the state of a training is not an object.")
    step, steps = state.get("step"), state.get("steps")
    if not isinstance(step, int) or not isinstance(steps, int) or not 0 <= step <= steps:
        raise WorkerError(f"Invalid worker response: {str(step)[:40]} of {str(steps)[:40]} steps.")
    texts = [state.get(name) for name in ("examples", "kernels", "device")]
    losses, history, rate = state.get("losses"), state.get("history"), state.get("examples_per_s")
    if (
        not all(isinstance(text, str) for text in texts)
        or not is_number(rate)
        or not isinstance(losses, dict)
        or not all(is_number(loss) for loss in losses.values())
        or not isinstance(history, list)
        or not all(isinstance(row, dict) and all(is_number(v) for v in row.values()) for row in history)
    ):
        raise WorkerError("Invalid worker response: the state of a training has not its figures.")
    return state


def parse_facts(text: object) -> WorkerFacts:
    """Read the facts of a worker and check them.

    Parameters
    ----------
    text : object
        What came back.

    Returns
    -------
    WorkerFacts
        The facts.

    Raises
    ------
    WorkerError
        If they are malformed.
    """
    facts = _parsed(text)
    versions, missing, threads = facts.get("versions"), facts.get("missing"), facts.get("threads")
    if (
        not isinstance(versions, dict)
        or not all(isinstance(v, str) for v in versions.values())
        or not isinstance(missing, list)
        or not all(isinstance(path, str) for path in missing)
        or not isinstance(threads, int)
        or threads < 1
    ):
        raise WorkerError(f"Invalid worker response: {str(facts)[:200]} are not the facts of a worker.")
    return cast(WorkerFacts, facts)


def parse_answer(found: object) -> tuple[TrainingAnswer, Mapping[str, bytes]]:
    """Read how a training ended and check it.

    Parameters
    ----------
    found : object
        What came back: JSON, and files by name.

    Returns
    -------
    tuple of TrainingAnswer and mapping of str to bytes
        The answer, and the files that a training may send.

    Raises
    ------
    WorkerError
        If it is malformed.
    """
    if not isinstance(found, tuple) or len(found) != 2 or not isinstance(found[1], dict):
        raise WorkerError(f"Invalid worker response: {str(found)[:80]!r} is not the end of a training.")
    answer, files = _parsed(found[0]), found[1]
    if answer.get("end") not in ("finished", "stopped", "refused", "failed", "died"):
        raise WorkerError(f"Invalid worker response: a training ended as {str(answer.get('end'))[:40]!r}.")
    if not isinstance(answer.get("why"), str):
        raise WorkerError("Invalid worker response: it does not say why.")
    if answer.get("state") is not None:
        check_state(answer["state"])
    for name, content in files.items():
        if name not in (CHECKPOINT, FIGURES, RESULT) or not isinstance(content, bytes):
            raise WorkerError(f"Invalid worker response: {str(name)[:80]!r} is no file of a training.")
    if answer["end"] == "finished" and RESULT not in files:
        raise WorkerError(f"Invalid worker response: a training is finished without {RESULT!r}.")
    return cast(TrainingAnswer, answer), files


def _parsed(text: object) -> JsonObject:
    """Read an object of JSON."""
    try:
        found = parse_json(text if isinstance(text, str) else "null")
    except ReadingError as error:
        raise WorkerError(f"Invalid worker response: it is not JSON: {error}.") from error
    if not isinstance(found, dict) or not is_shallow(found):
        raise WorkerError(f"Invalid worker response: {str(found)[:80]!r} is not an object.")
    return found
