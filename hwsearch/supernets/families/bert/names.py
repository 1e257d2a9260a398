"""Elastic BERT for sequence classification: layers, heads and feed-forward units can be chosen."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def own_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under today's names: older files say gamma and beta, and keep the numbers of the positions."""
    renamed = {}
    for name, value in state.items():
        if name != "bert.embeddings.position_ids":
            renamed[name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")] = (
                value
            )
    return renamed
