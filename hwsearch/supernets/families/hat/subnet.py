"""The static subnet of HAT: a plain encoder-decoder Transformer, and the two models that deploy it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.supernets.families.hat.plan import HatPlan
from hwsearch.supernets.families.hat.positions import padding_mask, position_indices
from hwsearch.supernets.families.hat.stacks import HatDecoder, HatEncoder
from hwsearch.tasks.translation.vocabulary import PAD


class HatSubnet(nn.Module):
    """A plain static subnet: no reference to the supernet, an embedding of its own on each side.

    vocabulary : tokens; positions : tokens that a sentence may have
    """

    def __init__(self, plan: HatPlan) -> None:
        super().__init__()
        self.vocabulary = plan.vocabulary
        self.positions = plan.positions
        self.heads = [layer.heads for layer in plan.decoder]
        self.head_widths = [plan.qkv // heads for heads in self.heads]
        self.encoder = HatEncoder(plan)
        self.decoder = HatDecoder(plan)

    def forward(self, source_NS: Tensor, previous_NT: Tensor) -> Tensor:
        """Logits (N, T, V) of each next token when the true ones before it are given (teacher forcing)."""
        d, t = self.decoder, previous_NT.shape[1]
        x = d.embedded(previous_NT) + F.embedding(position_indices(previous_NT), d.positions)
        future = torch.ones(t, t, dtype=torch.bool, device=x.device).triu(1)
        x, _ = d.run(x, future, (), self.encode(source_NS), padding_mask(source_NS))
        return torch.matmul(x, d.embed)

    def encode(self, source_NS: Tensor) -> list[Tensor]:
        """Cross-attention keys and values of all decoder layers, each (N, H, time, D)."""
        return self.decoder.memory(self.encoder(source_NS))

    def start(self, n: int) -> list[Tensor]:
        """The self-attention keys and values of n sentences of which nothing is translated: (n, H, 0, D)."""
        shapes = [(n, h, 0, w) for h, w in zip(self.heads, self.head_widths, strict=True)]
        return [self.decoder.embed.new_zeros(shape) for shape in shapes for _ in range(2)]

    def step(
        self, token_K1: Tensor, source_NS: Tensor, memory: Sequence[Tensor], past: Sequence[Tensor], beam: int = 1
    ) -> tuple[Tensor, list[Tensor]]:
        """Logits (K, V) of the token after `token`, and the self-attention keys and values up to it.

        source : for its padding; memory : of `encode`; past : of `start` (K), or of the step before
        beam : hypotheses of each sentence, side by side: K is N · beam
        """
        d, position = self.decoder, past[0].shape[2] + PAD + 1
        x = d.embedded(token_K1) + d.positions[position : position + 1]
        x, present = d.run(x, None, past, memory, padding_mask(source_NS), beam)
        return torch.matmul(x[:, 0], d.embed), present
