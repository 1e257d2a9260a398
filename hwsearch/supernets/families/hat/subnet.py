"""The static subnet of HAT: a plain encoder-decoder Transformer with cached decoding.

Post-norm Transformer (Vaswani et al., 2017, arXiv 1706.03762) as fairseq writes it, with the arbitrary
encoder-decoder attention of HAT (Wang et al., 2020, arXiv 2005.14187): a decoder layer may attend to the outputs of
the last one, two or three encoder layers, joined along time. Shapes: N sentences, S source and T target tokens, V
tokens in the vocabulary, H heads of width D.
"""

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

    Parameters
    ----------
    plan : HatPlan
        Sizes of the subnet.

    Attributes
    ----------
    vocabulary : int
        Tokens of the vocabulary.
    positions : int
        Most tokens of a sentence.
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
        """Compute logits of each next token when the true ones before it are given (teacher forcing).

        Parameters
        ----------
        source_NS : Tensor
            Source tokens, padded on the left, of shape (N, S).
        previous_NT : Tensor
            ``</s>`` and then all target tokens but the last, of shape (N, T).

        Returns
        -------
        Tensor
            Logits of shape (N, T, V).
        """
        d, t = self.decoder, previous_NT.shape[1]
        x = d.embedded(previous_NT) + F.embedding(position_indices(previous_NT), d.positions)
        future = torch.ones(t, t, dtype=torch.bool, device=x.device).triu(1)
        x, _ = d.run(x, future, (), self.encode(source_NS), padding_mask(source_NS))
        return torch.matmul(x, d.embed)

    def encode(self, source_NS: Tensor) -> list[Tensor]:
        """Compute the encoder-decoder keys and values of all decoder layers.

        Parameters
        ----------
        source_NS : Tensor
            Source tokens of shape (N, S).

        Returns
        -------
        list of Tensor
            Keys and values, each (N, H, time, D).
        """
        return self.decoder.memory(self.encoder(source_NS))

    def start(self, n: int) -> list[Tensor]:
        """Make the self-attention keys and values of sentences of which nothing is translated.

        Parameters
        ----------
        n : int
            Number of sentences.

        Returns
        -------
        list of Tensor
            Empty keys and values, each (n, H, 0, D).
        """
        shapes = [(n, h, 0, w) for h, w in zip(self.heads, self.head_widths, strict=True)]
        return [self.decoder.embed.new_zeros(shape) for shape in shapes for _ in range(2)]

    def step(
        self, token_K1: Tensor, source_NS: Tensor, memory: Sequence[Tensor], past: Sequence[Tensor], beam: int = 1
    ) -> tuple[Tensor, list[Tensor]]:
        """Decode one token.

        Parameters
        ----------
        token_K1 : Tensor
            Last tokens of the hypotheses, of shape (K, 1) with K = N * beam.
        source_NS : Tensor
            Source tokens, for their padding.
        memory : sequence of Tensor
            Result of `encode`.
        past : sequence of Tensor
            Result of `start`, or of the step before.
        beam : int, default 1
            Hypotheses of each sentence, side by side.

        Returns
        -------
        logits : Tensor
            Of the token after `token_K1`, of shape (K, V).
        present : list of Tensor
            Self-attention keys and values up to that token.
        """
        d, position = self.decoder, past[0].shape[2] + PAD + 1
        x = d.embedded(token_K1) + d.positions[position : position + 1]
        x, present = d.run(x, None, past, memory, padding_mask(source_NS), beam)
        return torch.matmul(x[:, 0], d.embed), present
