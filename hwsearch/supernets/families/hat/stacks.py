"""Encoder and decoder of HAT subnets.

Keys and values are flat lists, ``[keys of layer 0, values of layer 0, keys of layer 1, …]``, each (N, H, time, D).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.supernets.families.hat.layers import HatDecoderLayer, HatEncoderLayer
from hwsearch.supernets.families.hat.plan import HatPlan
from hwsearch.supernets.families.hat.positions import padding_mask, position_indices, position_rows


class HatEncoder(nn.Module):
    """Embedding, positions and layers of the encoder.

    Parameters
    ----------
    plan : HatPlan
        Sizes of the subnet.
    """

    positions: Tensor

    def __init__(self, plan: HatPlan) -> None:
        super().__init__()
        table = torch.empty(plan.vocabulary, plan.encoder_embed)  # a drawn one takes seconds on torch's device meta
        self.embed = nn.Embedding.from_pretrained(table, freeze=False)
        self.register_buffer("positions", torch.empty(position_rows(plan.positions), plan.encoder_embed))
        self.layers = nn.ModuleList(HatEncoderLayer(layer, plan.encoder_embed, plan.qkv) for layer in plan.encoder)
        self.scale = math.sqrt(plan.encoder_embed)

    def forward(self, source_NS: Tensor) -> list[Tensor]:
        """Encode source sentences.

        Parameters
        ----------
        source_NS : Tensor
            Tokens of shape (N, S).

        Returns
        -------
        list of Tensor
            Outputs (N, S, C) of all layers, the last layer's first.
        """
        x = self.embed(source_NS) * self.scale + F.embedding(position_indices(source_NS), self.positions)
        masked, outputs = padding_mask(source_NS), []
        for layer in self.layers:
            x = layer(x, masked)
            outputs.append(x)
        return outputs[::-1]


class HatDecoder(nn.Module):
    """Embedding, positions and layers of the decoder.

    The embedding is the output layer as well. It is kept as (C, V), a column a token: so both uses share one table in
    a model file, and the output layer, which is much of a step, reads it in the order that is quick.

    Parameters
    ----------
    plan : HatPlan
        Sizes of the subnet.
    """

    positions: Tensor

    def __init__(self, plan: HatPlan) -> None:
        super().__init__()
        self.embed = nn.Parameter(torch.empty(plan.decoder_embed, plan.vocabulary))
        self.register_buffer("positions", torch.empty(position_rows(plan.positions), plan.decoder_embed))
        self.layers = nn.ModuleList(
            HatDecoderLayer(layer, plan.decoder_embed, plan.encoder_embed, plan.qkv) for layer in plan.decoder
        )
        self.scale = math.sqrt(plan.decoder_embed)

    def embedded(self, tokens_NT: Tensor) -> Tensor:
        """Embed tokens, without positions.

        Parameters
        ----------
        tokens_NT : Tensor
            Tokens of shape (N, T).

        Returns
        -------
        Tensor
            Of shape (N, T, C).
        """
        columns = self.embed.index_select(1, tokens_NT.flatten())
        return columns.t().reshape(tokens_NT.shape[0], -1, self.embed.shape[0]) * self.scale

    def memory(self, outputs: Sequence[Tensor]) -> list[Tensor]:
        """Project encoder outputs to keys and values of all layers.

        Parameters
        ----------
        outputs : sequence of Tensor
            Encoder outputs, the last layer's first.

        Returns
        -------
        list of Tensor
            Keys and values.
        """
        flat: list[Tensor] = []
        for layer in self.layers:
            assert isinstance(layer, HatDecoderLayer)
            flat += layer.cross.memory(torch.cat(list(outputs[: layer.outputs]), dim=1))
        return flat

    def run(
        self,
        x_NTC: Tensor,
        future: Tensor | None,
        past: Sequence[Tensor],
        memory: Sequence[Tensor],
        padding_N11S: Tensor,
        beam: int = 1,
    ) -> tuple[Tensor, list[Tensor]]:
        """Run all layers on new tokens.

        Parameters
        ----------
        x_NTC : Tensor
            Embedded tokens of shape (N, T, C).
        future : Tensor or None
            True where a token may not look at a later one.
        past : sequence of Tensor
            Self-attention keys and values of the tokens before; empty at first.
        memory : sequence of Tensor
            Encoder-decoder keys and values.
        padding_N11S : Tensor
            True where the source is padding.
        beam : int, default 1
            As of `CrossAttention`.

        Returns
        -------
        output : Tensor
            The last layer's, of shape (N, T, C).
        present : list of Tensor
            All self-attention keys and values.
        """
        present: list[Tensor] = []
        x = x_NTC
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, HatDecoderLayer)
            two = slice(2 * i, 2 * i + 2)
            x, *kept = layer.decode(x, future, past[two], memory[two], padding_N11S, beam)
            present += kept
        return x, present
