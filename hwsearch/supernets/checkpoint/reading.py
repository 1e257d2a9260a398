"""Read weight files: safetensors, or torch files with ``weights_only=True``; never a pickle with code in it."""

from __future__ import annotations

import argparse
import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from hwsearch.errors import CheckpointError
from hwsearch.supernets.checkpoint.torch_file import check_expanded, load_torch_file
from hwsearch.supernets.checkpoint.wrappers import named_tensors


class _Record:
    """Stands in for a training record that a file keeps beside its weights: values without code."""


#: what public files hold beside tensors, and torch reads no more than this of it: arguments, fairseq's meters, numpy's numbers
HARMLESS: list[Any] = [
    argparse.Namespace,
    *((np.float64(0).__reduce__()[0], f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    (np.dtype, "numpy.dtype"),
    *{type(np.dtype(kind)) for kind in (*np.typecodes["AllInteger"], *np.typecodes["Float"], "?")},
    *((_Record, f"fairseq.meters.{name}") for name in ("AverageMeter", "TimeMeter", "StopwatchMeter")),
]


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the named tensors of a weight file; wrappers and prefixes are taken off (`wrappers.named_tensors`).

    Parameters
    ----------
    path : Path
        A safetensors or torch file.

    Returns
    -------
    dict
        Name → tensor, on the CPU.

    Raises
    ------
    CheckpointError
        If the file is missing, truncated, no weight file, grows out of proportion, or holds what is no weights.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no weight file {str(path)!r}.")
    state: Any
    try:
        if path.suffix == ".safetensors" or _is_safetensors(path):
            state = load_file(path)
        else:
            with torch.serialization.safe_globals(HARMLESS):
                state = load_torch_file(path)
    except CheckpointError as error:
        if _no_weights(path):
            raise CheckpointError(f"{str(path)!r} is not a weight file: it is text.") from error
        raise
    except pickle.UnpicklingError as error:
        if _no_weights(path):
            raise CheckpointError(f"{str(path)!r} is not a weight file: it is text.") from error
        raise CheckpointError(
            f"{str(path)!r} holds more than tensors, and loading it could run code: {_refused(error)}.",
            hint="Where it was trained, save the tensors alone: safetensors.torch.save_file(model.state_dict(), 'weights.safetensors').",
        ) from error
    except (
        Exception
    ) as error:  # whatever a damaged file makes zip, pickle and torch say, memory that is not there included
        raise CheckpointError(f"{str(path)!r} is truncated or not a weight file: {_first_sentence(error)}.") from error
    tensors = named_tensors(state, path)
    check_expanded(tensors.values(), path)
    return tensors


def _refused(error: Exception) -> str:
    """Find the name that torch would not load, or what else it said."""
    named = re.search(r"GLOBAL ([\w.]+)", str(error))
    return named[1] if named else _first_sentence(error)


def _first_sentence(error: Exception) -> str:
    """Cut a message to its first sentence, without its full stop; torch's go on for paragraphs."""
    return (str(error).splitlines() or [type(error).__name__])[0].split(". ")[0].rstrip(".")


def _is_safetensors(path: Path) -> bool:
    """Tell a safetensors file by its first bytes: the length of a JSON header, and its brace."""
    with path.open("rb") as stream:
        head = stream.read(9)
    return len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size


def _no_weights(path: Path) -> bool:
    """Tell whether a file is plain text, a saved web page for example."""
    with path.open("rb") as stream:
        head = stream.read(512)
    return bool(head) and all(b in b"\t\n\r" or 32 <= b < 127 or b >= 128 for b in head)


def shape_of(state: Mapping[str, Tensor], name: str, axes: int, expected: str) -> tuple[int, ...]:
    """Look up the shape of a file's tensor, from which a network's shape is read.

    Parameters
    ----------
    state : mapping
        Name → tensor.
    name : str
        Name of the tensor.
    axes : int
        Number of axes that it should have.
    expected : str
        What kind of file it should be, for the error's hint.

    Returns
    -------
    tuple of int
        The shape.

    Raises
    ------
    CheckpointError
        If the tensor is missing or has another number of axes.
    """
    if name not in state:
        raise CheckpointError(f"the weights lack {name!r}.", hint=expected)
    if state[name].ndim != axes:
        raise CheckpointError(f"{name!r} is {tuple(state[name].shape)}, expected {axes} axes.", hint=expected)
    return tuple(state[name].shape)


def rows_of(state: Mapping[str, Tensor], names: Iterable[str], default: int) -> int:
    """Look up the length of the first tensor that a file holds, such as the bias of its classifier.

    Parameters
    ----------
    state : mapping
        Name → tensor.
    names : iterable of str
        Names to try, in order.
    default : int
        Result if the file holds none of them.

    Returns
    -------
    int
        Length of the first axis.
    """
    return next((int(state[n].shape[0]) for n in names if n in state and state[n].ndim), default)
