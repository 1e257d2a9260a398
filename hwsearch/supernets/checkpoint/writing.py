"""Weight files: safetensors, or torch files read with ``weights_only=True``; never a pickle with code in it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.torch import save
from torch import Tensor, nn

from hwsearch.errors import CheckpointError


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
