"""Take off what training scripts put around named tensors, and say what was left out."""

from __future__ import annotations

import logging
import numbers
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hwsearch.errors import CheckpointError

logger = logging.getLogger(__name__)

#: entries under which checkpoints keep their weights, and those under which they keep averaged ones; the former go first
RAW = ("state_dict", "model", "model_state_dict", "model_state", "net", "network", "weights", "params")
AVERAGED = ("state_dict_ema", "ema", "ema_state_dict", "model_ema", "ema_model")
WRAPPERS = (*RAW, *AVERAGED)
#: prefixes of wrappers: parallel training, torch.compile, Lightning and the like
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
#: larger tensors than this must be stored in full, bytes
EXPANDED = 2**20


def named_tensors(found: Any, path: Path) -> dict[str, Tensor]:
    """Find the named tensors in what a weight file holds.

    Wrappers are taken off, then prefixes that all names share. Counters and records beside the tensors are left out; of raw and
    averaged weights in one file the raw ones are taken. What was left out or chosen is said in the log.

    Parameters
    ----------
    found : object
        Contents of the file.
    path : Path
        The file, for messages.

    Returns
    -------
    dict
        Name → tensor.

    Raises
    ------
    CheckpointError
        If there are no tensors, or some that no network can take: sparse, quantised, or declared larger than they are stored.
    """
    state = found
    while isinstance(state, Mapping) and not any(isinstance(v, Tensor) for v in state.values()):
        there = [w for w in WRAPPERS if isinstance(state.get(w), Mapping) and state[w]]
        if not there:
            break
        if set(there) & set(RAW) and set(there) & set(AVERAGED):
            logger.warning(
                "%s holds raw and averaged weights (%s); %r is taken. Save one of them to choose.",
                path,
                ", ".join(there),
                there[0],
            )
        state = state[there[0]]
    tensors = {str(k): v for k, v in state.items() if isinstance(v, Tensor)} if isinstance(state, Mapping) else {}
    if not tensors:
        keys = f" Its entries are {', '.join(map(str, state))[:200]}." if isinstance(state, Mapping) and state else ""
        raise CheckpointError(
            f"{str(path)!r} holds no named tensors, by themselves or under one of {', '.join(WRAPPERS)}.{keys}"
        )
    others = {str(k): v for k, v in state.items() if not isinstance(v, Tensor)}
    wrong = next((k for k, v in others.items() if not _is_record(v)), None)
    if wrong is not None:
        raise CheckpointError(f"{str(path)!r}: entry {wrong!r} beside the tensors is a {type(others[wrong]).__name__}.")
    tensors, dropped = _without_prefixes(tensors)
    left_out = [*others, *dropped]
    if left_out:
        logger.warning(
            "%s: left out, as no weights: %s", path, ", ".join(left_out[:8]) + (" …" if len(left_out) > 8 else "")
        )
    for name, tensor in tensors.items():
        _check(name, tensor, path)
    return tensors


def _is_record(value: object) -> bool:
    """Whether an entry is what scripts note beside weights: numbers, text, nothing, or an empty mapping."""
    return (
        value is None
        or isinstance(value, (str, numbers.Number, np.generic))
        or (isinstance(value, Mapping) and not value)
    )


def _without_prefixes(tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Take off prefixes that all names share, but those of counters that wrappers keep beside (`n_averaged`)."""
    dropped: list[str] = []
    while True:
        counters = [k for k, v in tensors.items() if "." not in k and v.ndim == 0]
        names = [k for k in tensors if k not in counters]
        prefix = next((p for p in PREFIXES if names and all(k.startswith(p) and len(k) > len(p) for k in names)), None)
        if prefix is None:
            return tensors, dropped
        dropped += counters
        tensors = {k.removeprefix(prefix): tensors[k] for k in names}


def _check(name: str, tensor: Tensor, path: Path) -> None:
    """Refuse a tensor that no network can take, before anything is computed with it."""
    kind = (
        "sparse" if tensor.layout != torch.strided
        else "quantised" if tensor.is_quantized
        else "on no device" if tensor.is_meta
        else ""
    )  # fmt: skip
    if kind:
        raise CheckpointError(f"{str(path)!r}: tensor {name!r} is {kind}.", hint="Save dense floating-point weights.")
    declared = tensor.numel() * tensor.element_size()
    if declared > max(EXPANDED, tensor.untyped_storage().nbytes()):
        raise CheckpointError(
            f"{str(path)!r}: tensor {name!r} is declared as {tuple(tensor.shape)}, {declared / 2**30:.3g} GiB, and stored in "
            f"{tensor.untyped_storage().nbytes()} bytes."
        )
