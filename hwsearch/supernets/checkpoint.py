"""Weight files: safetensors, or torch files read with ``weights_only=True``; never a pickle with code in it."""

from __future__ import annotations

import argparse
import hashlib
import os
import pickle
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import init
from torch.overrides import TorchFunctionMode

from hwsearch.errors import CheckpointError
from hwsearch.spaces import Architecture
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
        if path.suffix == ".safetensors" or _is_safetensors(path):
            state = load_file(path)
        else:
            with torch.serialization.safe_globals(HARMLESS):
                state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if _no_weights(path):
            raise CheckpointError(f"{str(path)!r} is not a weight file: it is text.") from error
        raise CheckpointError(
            f"{str(path)!r} holds more than tensors, and loading it could run code: {_refused(error)}.",
            hint="Convert it to safetensors where you trust it.",
        ) from error
    except (SafetensorError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{str(path)!r} is truncated or not a weight file: {_first_sentence(error)}.") from error
    for wrapper in WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()) or not state:
        keys = f" Its entries are {', '.join(map(str, state))[:200]}." if isinstance(state, Mapping) and state else ""
        raise CheckpointError(
            f"{str(path)!r} holds no named tensors, by themselves or under one of {', '.join(WRAPPERS)}.{keys}"
        )
    wrapped = all(str(k).startswith("module.") for k in state)
    return {str(k).removeprefix("module.") if wrapped else str(k): v for k, v in state.items()}


def _refused(error: Exception) -> str:
    """The name that torch would not load, or what else it said."""
    named = re.search(r"GLOBAL ([\w.]+)", str(error))
    return named[1] if named else _first_sentence(error)


def _first_sentence(error: Exception) -> str:
    """The first sentence of a message, without its full stop; torch's go on for paragraphs."""
    return (str(error).splitlines() or [type(error).__name__])[0].split(". ")[0].rstrip(".")


def _is_safetensors(path: Path) -> bool:
    """By its first bytes: the length of a JSON header, and its brace."""
    with path.open("rb") as stream:
        head = stream.read(9)
    return len(head) == 9 and head[8:] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size


def _no_weights(path: Path) -> bool:
    """Whether a file is plain text, a saved web page for example."""
    with path.open("rb") as stream:
        head = stream.read(512)
    return bool(head) and all(b in b"\t\n\r" or 32 <= b < 127 or b >= 128 for b in head)


def shape_of(state: Mapping[str, Tensor], name: str, axes: int, expected: str) -> tuple[int, ...]:
    """The shape of a file's tensor, from which a network's is read.

    Raises `CheckpointError` where it is missing or has another number of axes; expected: what kind of file it should be
    """
    if name not in state:
        raise CheckpointError(f"the weights lack {name!r}.", hint=expected)
    if state[name].ndim != axes:
        raise CheckpointError(f"{name!r} is {tuple(state[name].shape)}, expected {axes} axes.", hint=expected)
    return tuple(state[name].shape)


def rows_of(state: Mapping[str, Tensor], names: Iterable[str], default: int) -> int:
    """Length of the first of these tensors that a file holds (the bias of its classifier, say), else `default`."""
    return next((int(state[n].shape[0]) for n in names if n in state and state[n].ndim), default)


class Uninitialised(TorchFunctionMode):
    """Within it new layers draw no random weights: all of them are about to be loaded."""

    DRAWS = frozenset({Tensor.uniform_, Tensor.normal_, init.uniform_, init.normal_, init.kaiming_uniform_})

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in self.DRAWS:
            drawn = kwargs["tensor"] if "tensor" in kwargs else args[0]
            if isinstance(drawn, nn.Parameter):  # other tensors may be no part of a file
                return drawn
        return func(*args, **kwargs)


def cut(net: Supernet, arch: Architecture) -> nn.Module:
    """The static subnet in evaluation mode; its new layers draw no random weights before they get theirs."""
    with Uninitialised():
        return net.subnet(arch).eval()


@dataclass(frozen=True)
class Fit:
    """How a file's tensors compare with those of a network.

    missing, extra : names; shapes : sentences
    named : share of the network's tensors that the file has; share : of those of the right shape
    """

    missing: list[str]
    extra: list[str]
    shapes: list[str]
    named: float
    share: float

    @property
    def complete(self) -> bool:
        return not (self.missing or self.extra or self.shapes)

    @property
    def hint(self) -> str:
        """What kind of file it may be."""
        return "It is a file of another family." if self.named < 0.5 else "It is a file of another width or version."

    def __str__(self) -> str:
        lists = {"missing": self.missing, "unknown": self.extra, "of another shape": self.shapes}
        return "tensors " + "; ".join(f"{len(v)} {k} ({_some(v)})" for k, v in lists.items() if v)


def compare(net: Supernet, state: Mapping[str, Tensor]) -> Fit:
    """Names and shapes of a file's tensors against a network's, which may lie on the meta device.

    Names that the authors' files spell differently become the network's own first; ``num_batches_tracked`` may be
    missing.
    """
    state, own = net.rename(state), net.state_dict()
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    shapes = [
        f"{k} is {tuple(state[k].shape)}, expected {tuple(own[k].shape)}"
        for k in own
        if k in state and state[k].shape != own[k].shape
    ]
    shapes += [
        f"{k} holds {str(state[k].dtype).removeprefix('torch.')}, expected real numbers"
        for k in own
        if k in state and own[k].is_floating_point() and not state[k].is_floating_point()
    ]
    count = max(1, len(own))
    named, share = 1 - len(missing) / count, 1 - (len(missing) + len(shapes)) / count
    return Fit(missing, [k for k in state if k not in own], shapes, named, share)


def not_finite(state: Mapping[str, Tensor]) -> list[str]:
    """Names of the tensors that hold NaN or infinity."""
    return [k for k, v in state.items() if v.is_floating_point() and not bool(torch.isfinite(v).all())]


def load_weights(net: Supernet, state: Mapping[str, Tensor], source: str, *, take: bool = False) -> None:
    """Copy weights into a supernet; every tensor must be there, of the right shape, and finite.

    take : the tensors become the network's own without a copy; nobody else may use them afterwards
    Names become the supernet's own first (`compare`). Half-precision tensors are widened.
    Raises `CheckpointError` that names what is missing, unknown or of another shape.
    """
    fit = compare(net, state)
    if not fit.complete:
        raise CheckpointError(f"{source} does not fit {type(net).__name__}: {fit}.", hint=fit.hint)
    bad = not_finite(state)
    if bad:
        raise CheckpointError(f"{source} holds values that are not numbers in {_some(bad)}.")
    state, own = net.rename(state), net.state_dict()
    full: dict[str, Tensor] = {}
    taken: set[int] = set()
    for name, value in own.items():
        tensor = state[name].to(value.dtype).contiguous() if name in state else value
        place = tensor.untyped_storage().data_ptr()
        full[name] = tensor.clone() if place in taken else tensor
        taken.add(place)
    net.load_state_dict(full, assign=take and not _tied(net))
    net.after_loading()


def write_safetensors(state: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Write named tensors, whole or not at all; tensors that share memory are written each.

    Raises `CheckpointError` where the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        data = save({k: v.detach().clone().contiguous() for k, v in state.items()}, metadata=dict(metadata))
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        raise CheckpointError(f"cannot write {str(path)!r}: {error.strerror}.") from error
    finally:
        if partial.exists():
            partial.unlink()


def save_weights(net: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a network's weights and statistics as safetensors (without ``num_batches_tracked``)."""
    state = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    write_safetensors(state, path, metadata)


def digest(net: nn.Module, structure: str = "") -> str:
    """Twelve hex digits of a network's weights, and of what else tells it apart: equal digests, equal supernets."""
    h = hashlib.sha256(structure.encode())
    for name, value in net.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            h.update(name.encode())
            h.update(value.detach().contiguous().cpu().numpy().reshape(-1).view(np.uint8))
    return h.hexdigest()[:12]


def _tied(net: nn.Module) -> bool:
    """Whether two layers have one parameter: it must stay one."""
    owned = [id(p) for m in net.modules() for p in m._parameters.values() if p is not None]
    return len(owned) > len(set(owned))


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
