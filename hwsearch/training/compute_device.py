"""The device that a training computes on: the processor, or a GPU that torch drives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from hwsearch.errors import TrainingError
from hwsearch.tasks.data import Inputs

#: what `compute_device` takes, besides the number of a GPU
NAMES = ("auto", "cpu", "cuda", "cuda:N")


def compute_device(name: str = "auto", place: int = 0, processes: int = 1) -> torch.device:
    """Choose the device of one process of a training.

    Parameters
    ----------
    name : str, default "auto"
        ``cpu``; ``cuda``, the GPU of this process's number on its host; ``cuda:N``, one GPU by number; or ``auto``: GPUs where
        there is one for each process of this host, else the processor.
    place : int
        Number of this process on its host, from 0 (torchrun's ``LOCAL_RANK``).
    processes : int
        How many processes of the training run on this host.

    Returns
    -------
    torch.device
        With the number of a GPU.

    Raises
    ------
    TrainingError
        If the name is none of these, torch has no GPU or none of this number, or processes would share one.

    Examples
    --------
    >>> compute_device("cpu")
    device(type='cpu')
    """
    given = re.fullmatch(r"cuda:(\d{1,4})", name) if isinstance(name, str) else None
    if given is None and name not in NAMES[:3]:
        raise TrainingError(f"device={name!r} is not valid: choose {', '.join(NAMES)}, where N counts from 0.")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and count < processes):
        return torch.device("cpu")
    if count == 0:
        raise _no_gpu(name)
    if given is not None and processes > 1:
        raise TrainingError(
            f"device={name!r} is one GPU, and {processes} processes of this host would share it.",
            hint="Use device cuda: each process takes the GPU of its number.",
        )
    number = place if given is None else int(given[1])
    if processes > count:
        raise TrainingError(
            f"{processes} processes of this host need a GPU each, and torch finds {count}.",
            hint=f"Start {count}, or use device cpu.",
        )
    if number >= count:
        raise TrainingError(
            f"device={name!r}: there is no GPU {number}, torch finds {count} (counted from 0).",
            hint=f"Choose one below {count}; CUDA_VISIBLE_DEVICES hides GPUs.",
        )
    return torch.device("cuda", number)


def _no_gpu(name: str) -> TrainingError:
    if torch.version.cuda is None and torch.version.hip is None:
        return TrainingError(
            f"device={name!r} cannot be had: torch {torch.__version__} is a build for processors only.",
            hint="Install a build with CUDA (https://pytorch.org/get-started/locally), or use device cpu.",
        )
    return TrainingError(
        f"device={name!r} cannot be had: torch {torch.__version__} finds no GPU.",
        hint="See whether `nvidia-smi` lists one, install or update its driver, and look at CUDA_VISIBLE_DEVICES; or use "
        "device cpu.",
    )


def describe(device: torch.device) -> str:
    """Name a device for progress, log and card.

    Parameters
    ----------
    device : torch.device
        The device.

    Returns
    -------
    str
        Such as ``cpu``, or ``cuda:0 (NVIDIA H200)``.

    Examples
    --------
    >>> describe(torch.device("cpu"))
    'cpu'
    """
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def current(device: torch.device) -> AbstractContextManager[object]:
    """Make a GPU the one that torch uses where none is named, such as for the memory of CUDA graphs, within a block.

    Parameters
    ----------
    device : torch.device
        Any device; of the processor nothing changes.

    Returns
    -------
    context manager
        The block.
    """
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def moved(inputs: Inputs, device: torch.device) -> Inputs:
    """Move the inputs of a batch to a device.

    Parameters
    ----------
    inputs : Inputs
        The inputs.
    device : torch.device
        Where to.

    Returns
    -------
    Inputs
        The same numbers there.
    """
    if isinstance(inputs, Tensor):
        return inputs.to(device)
    return tuple(part.to(device) for part in inputs)


def on_processor(state: Any) -> Any:
    """Copy what is to be saved to the processor, so that it can be read where there is no such device.

    Parameters
    ----------
    state : object
        Numbers, texts, tensors, and lists, tuples and mappings of them.

    Returns
    -------
    object
        The same; tensors that are on the processor already are not copied.

    Examples
    --------
    >>> on_processor({"step": 1, "values": [torch.ones(1)]})
    {'step': 1, 'values': [tensor([1.])]}
    """
    if isinstance(state, Tensor):
        return state.detach().cpu() if state.device.type != "cpu" else state
    if isinstance(state, Mapping):
        return type(state)((key, on_processor(value)) for key, value in state.items())  # type: ignore[call-arg]
    if isinstance(state, (list, tuple)):
        return type(state)(on_processor(value) for value in state)
    return state
