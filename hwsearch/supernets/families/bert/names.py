"""Names of tensors in BERT files of different ages."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def own_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename tensors of older files, which say gamma and beta and keep the numbers of the positions.

    Parameters
    ----------
    state : mapping
        Name → tensor in the file.

    Returns
    -------
    dict
        Name of today → tensor.
    """
    renamed = {}
    for name, value in state.items():
        if name != "bert.embeddings.position_ids":
            renamed[name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")] = (
                value
            )
    return renamed
