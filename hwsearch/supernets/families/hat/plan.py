"""The static subnet of HAT: a plain encoder-decoder Transformer, and the two models that deploy it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HatLayerPlan:
    """One layer, all sizes resolved. memory : encoder outputs that a decoder layer attends to (0 in the encoder)."""

    ffn: int
    heads: int
    cross_heads: int = 0
    memory: int = 0


@dataclass(frozen=True)
class HatPlan:
    """One architecture, all sizes resolved.

    qkv : width of queries, of keys and of values; positions : tokens that a sentence may have
    """

    vocabulary: int
    encoder_embed: int
    decoder_embed: int
    qkv: int
    positions: int
    encoder: tuple[HatLayerPlan, ...]
    decoder: tuple[HatLayerPlan, ...]
