"""The shape of a HAT supernet, and its search space."""

from __future__ import annotations

from dataclasses import dataclass

from hwsearch.errors import SupernetError
from hwsearch.spaces import Choice, SearchSpace, When


@dataclass(frozen=True)
class HatConfig:
    """All that fixes the shape of the supernet; by default that of WMT'14 En-De, ``space0``.

    The encoder's depth is no choice.

    Attributes
    ----------
    name : str
        Name of the search space.
    vocabulary : int
        Tokens of the vocabulary.
    embeds : tuple of int
        Elastic choice: width of tokens, of encoder and decoder.
    qkv : int
        Width of queries, keys and values, the same in all subnets; heads share it out.
    encoder_layers : int
        Layers of the encoder.
    decoder_layers : tuple of int
        Elastic choice: layers of the decoder.
    ffns : tuple of int
        Elastic choice: feed-forward units of a layer.
    heads : tuple of int
        Elastic choice: heads of an attention.
    memories : tuple of int
        Elastic choice: encoder layers that a decoder layer attends to, as of `memory_outputs`.
    positions : int
        Most tokens of a sentence.
    source_tokens : int
        Source length of the sentence pair that is timed and for which costs are counted.
    target_tokens : int
        Target length of that pair.
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
        """Build the search space: genes ``encoder.…`` and ``decoder.…`` for widths, depth and each layer.

        Returns
        -------
        SearchSpace
            The space.
        """
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
    """Decode the gene ``memory``: how many encoder outputs a decoder layer attends to.

    Parameters
    ----------
    memory : int
        -1 (the last encoder layer's output), 1 (the second last's as well) or 2 (the third last's as well).

    Returns
    -------
    int
        Number of outputs.

    Examples
    --------
    >>> [memory_outputs(m) for m in (-1, 1, 2)]
    [1, 2, 3]
    """
    return 1 if memory == -1 else memory + 1
