"""Weight files: safetensors, or torch files read with ``weights_only=True``; never a pickle with code in it."""

from __future__ import annotations

import argparse
import hashlib
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hwsearch.errors import CheckpointError
from hwsearch.supernets.base import Supernet

#: top-level entries under which public checkpoints keep their weights
WRAPPERS = ("state_dict", "model", "model_state_dict", "state_dict_ema", "ema")


class _Record:
    """Stands in for a training record that a file keeps beside its weights: values without code."""


#: what public files hold beside tensors, and torch reads no more than this of it: fairseq's arguments and meters
HARMLESS: list[Any] = [
    argparse.Namespace,
    *((_Record, f"fairseq.meters.{name}") for name in ("AverageMeter", "TimeMeter", "StopwatchMeter")),
]


def read_state(path: Path) -> dict[str, Tensor]:
    """The named tensors of a weight file; wrappers and a leading ``module.`` are taken off.

    Raises `CheckpointError` for a missing, truncated or unsafe file.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"there is no weight file {str(path)!r}.")
    state: Any
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            with torch.serialization.safe_globals(HARMLESS):
                state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{str(path)!r} holds more than tensors, and loading it could run code: {str(error).splitlines()[0]}",
            hint="Convert it to safetensors where you trust it.",
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{str(path)!r} is truncated or not a weight file: {str(error).splitlines()[0]}."
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()) or not state:
        raise CheckpointError(f"{str(path)!r} holds no named tensors.")
    return {str(k).removeprefix("module."): v for k, v in state.items()}


def rows_of(state: Mapping[str, Tensor], names: Iterable[str], default: int) -> int:
    """Length of the first of these tensors that a file holds (the bias of its classifier, say), else `default`."""
    return next((int(state[n].shape[0]) for n in names if n in state and state[n].ndim), default)


def load_weights(net: Supernet, state: Mapping[str, Tensor], source: str) -> None:
    """Copy weights into a supernet; every tensor must be there, of the right shape, and finite.

    Names that the authors' files spell differently become the supernet's own first. Half-precision tensors are
    widened. ``num_batches_tracked`` may be missing.
    """
    state = net.rename(state)
    own = net.state_dict()
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    extra = [k for k in state if k not in own]
    shapes = [
        f"{k} is {tuple(state[k].shape)}, expected {tuple(own[k].shape)}"
        for k in own
        if k in state and state[k].shape != own[k].shape
    ]
    problems = []
    if missing:
        problems.append(f"{len(missing)} missing ({_some(missing)})")
    if extra:
        problems.append(f"{len(extra)} unknown ({_some(extra)})")
    if shapes:
        problems.append(f"{len(shapes)} of another shape ({_some(shapes)})")
    if problems:
        share = 1 - len(missing) / max(1, len(own))
        hint = "It is a file of another family." if share < 0.5 else "It is a file of another width or version."
        raise CheckpointError(f"{source} does not fit {type(net).__name__}: tensors {'; '.join(problems)}.", hint=hint)
    bad = [k for k, v in state.items() if v.is_floating_point() and not bool(torch.isfinite(v).all())]
    if bad:
        raise CheckpointError(f"{source} holds values that are not numbers in {_some(bad)}.")
    net.load_state_dict({k: (state[k].to(v.dtype) if k in state else v) for k, v in own.items()})


def save_weights(net: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a network's weights and statistics as safetensors (without ``num_batches_tracked``)."""
    state = {k: v.detach().contiguous() for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    save_file(state, path, metadata=dict(metadata))


def digest(net: nn.Module) -> str:
    """Twelve hex digits of a network's weights: two supernets with equal digests are the same."""
    h = hashlib.sha256()
    for name, value in net.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            h.update(name.encode())
            h.update(value.detach().contiguous().cpu().numpy().tobytes())
    return h.hexdigest()[:12]


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
