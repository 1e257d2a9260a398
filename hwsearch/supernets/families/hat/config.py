"""HAT: the elastic Transformer for translation, with widths, depth, heads and encoder-decoder attention to choose."""

from __future__ import annotations

from dataclasses import dataclass

from hwsearch.errors import SupernetError
from hwsearch.spaces import Choice, SearchSpace, When


@dataclass(frozen=True)
class HatConfig:
    """All that fixes the shape of the supernet; by default that of WMT'14 En-De, ``space0``.

    embeds, decoder_layers, ffns, heads, memories : the elastic choices; the encoder's depth is none
    qkv : width of queries, keys and values, the same in all subnets: heads share it out
    positions : tokens that a sentence may have
    source_tokens, target_tokens : of the sentence pair that costs are counted for, and that is timed
    """

    name: str = "hat-wmt14-ende"
    vocabulary: int = 32768
    embeds: tuple[int, ...] = (512, 640)
    qkv: int = 512
    encoder_layers: int = 6
    decoder_layers: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
    ffns: tuple[int, ...] = (1024, 2048, 3072)
    heads: tuple[int, ...] = (4, 8)
    memories: tuple[int, ...] = (-1, 1, 2)
    positions: int = 1024
    source_tokens: int = 30
    target_tokens: int = 30

    def __post_init__(self) -> None:
        uneven = [h for h in self.heads if self.qkv % h]
        if uneven:
            raise SupernetError(f"{uneven[0]} heads cannot share a width of {self.qkv}.")
        if memory_outputs(max(self.memories)) > self.encoder_layers:
            raise SupernetError(f"memory {max(self.memories)} needs more than {self.encoder_layers} encoder layers.")

    def search_space(self) -> SearchSpace:
        depths = self.decoder_layers
        choices = [Choice(f"{side}.embed", self.embeds) for side in ("encoder", "decoder")]
        choices.append(Choice("decoder.layers", depths))
        for kind, values in (("ffn", self.ffns), ("heads", self.heads)):
            choices += [Choice(f"encoder.{kind}[{i}]", values) for i in range(self.encoder_layers)]
        for kind, values in (
            ("ffn", self.ffns),
            ("heads", self.heads),
            ("cross_heads", self.heads),
            ("memory", self.memories),
        ):
            for i in range(max(depths)):
                deep = tuple(d for d in depths if d > i)
                when = When("decoder.layers", deep) if len(deep) < len(depths) else None
                choices.append(Choice(f"decoder.{kind}[{i}]", values, when))
        return SearchSpace(self.name, choices)


def memory_outputs(memory: int) -> int:
    """How many encoder outputs a decoder layer with that ``memory`` gene attends to."""
    return 1 if memory == -1 else memory + 1
