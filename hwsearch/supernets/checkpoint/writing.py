"""Write weight files, and compute digests of weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.torch import save
from torch import Tensor, nn

from hwsearch._files import containing, write_file
from hwsearch.errors import CheckpointError

#: recognises weight files that this program wrote
WEIGHTS = containing(b"hwsearch", b'"digest"')


def write_safetensors(state: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Write named tensors as safetensors, whole or not at all; tensors that share memory are written each.

    Parameters
    ----------
    state : mapping
        Name → tensor.
    path : Path
        The file; missing folders are made.
    metadata : mapping
        Texts for the file's header.

    Raises
    ------
    CheckpointError
        If the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        about = {**metadata, "written_by": "hwsearch"}
        data = save({k: v.detach().clone().contiguous() for k, v in state.items()}, metadata=about)
        write_file(path, data, WEIGHTS)
    except OSError as error:
        raise CheckpointError(f"cannot write {str(path)!r}: {error.strerror}.") from error


def save_weights(net: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a network's weights and statistics as safetensors, without ``num_batches_tracked``.

    Parameters
    ----------
    net : nn.Module
        The network.
    path : Path
        The file.
    metadata : mapping
        Texts for the file's header.

    Raises
    ------
    CheckpointError
        If the file cannot be written.
    """
    state = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    write_safetensors(state, path, metadata)


def digest(net: nn.Module, structure: str = "") -> str:
    """Compute a digest of a network's weights and structure: equal digests, equal supernets.

    Parameters
    ----------
    net : nn.Module
        The network.
    structure : str, default ""
        What else tells the network apart (`Supernet.structure`).

    Returns
    -------
    str
        Twelve hexadecimal digits.

    Examples
    --------
    >>> digest(nn.ReLU()) == digest(nn.ReLU(), "other")
    False
    """
    h = hashlib.sha256(structure.encode())
    for name, value in net.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            h.update(name.encode())
            h.update(value.detach().contiguous().cpu().numpy().reshape(-1).view(np.uint8))
    return h.hexdigest()[:12]
