"""Resolved sizes of one HAT architecture."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HatLayerPlan:
    """Sizes of one layer.

    Attributes
    ----------
    ffn : int
        Feed-forward units.
    heads : int
        Heads of self-attention.
    cross_heads : int
        Heads of encoder-decoder attention; 0 in the encoder.
    memory : int
        Encoder outputs that a decoder layer attends to; 0 in the encoder.
    """

    ffn: int
    heads: int
    cross_heads: int = 0
    memory: int = 0


@dataclass(frozen=True)
class HatPlan:
    """Sizes of one architecture.

    Attributes
    ----------
    vocabulary : int
        Tokens of the vocabulary.
    encoder_embed : int
        Width of the encoder's tokens.
    decoder_embed : int
        Width of the decoder's tokens.
    qkv : int
        Width of queries, of keys and of values.
    positions : int
        Most tokens of a sentence.
    encoder : tuple of HatLayerPlan
        Encoder layers in order.
    decoder : tuple of HatLayerPlan
        Decoder layers in order.
    """

    vocabulary: int
    encoder_embed: int
    decoder_embed: int
    qkv: int
    positions: int
    encoder: tuple[HatLayerPlan, ...]
    decoder: tuple[HatLayerPlan, ...]
