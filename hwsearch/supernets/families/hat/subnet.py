"""The static subnet of HAT: a plain encoder-decoder Transformer, and the two models that deploy it.

Post-norm Transformer (Vaswani et al., 2017, arXiv 1706.03762) as fairseq writes it, with the arbitrary
encoder-decoder attention of HAT (Wang et al., 2020, arXiv 2005.14187): a decoder layer may attend to the outputs of the
last one, two or three encoder layers, joined along time. Shapes: N sentences, S source and T target tokens, V tokens in
the vocabulary, H heads of width D.

Keys and values are flat lists, ``[keys of layer 0, values of layer 0, keys of layer 1, …]``, each (N, H, time, D).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.tasks.translation.vocabulary import PAD


@dataclass(frozen=True)
class LayerPlan:
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
    encoder: tuple[LayerPlan, ...]
    decoder: tuple[LayerPlan, ...]


def sinusoids(rows: int, width: int) -> Tensor:
    """The table (rows, width) of positions: sines in the first half, cosines in the second; the row of padding is 0."""
    half = width // 2
    rates = torch.exp(torch.arange(half, dtype=torch.float32) * -(math.log(10000) / (half - 1)))
    angles = torch.arange(rows, dtype=torch.float32)[:, None] * rates
    table = torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)
    table[PAD] = 0
    return table


def position_rows(positions: int) -> int:
    """Rows of a table for sentences of that many tokens: the first token has position `PAD` + 1."""
    return positions + PAD + 1


class Attention(nn.Module):
    """Scaled dot-product attention of several heads, whose inner width does not follow that of its input."""

    def __init__(self, qkv: int, heads: int) -> None:
        super().__init__()
        self.width = qkv
        self.heads = heads
        self.scale = (qkv // heads) ** -0.5

    def split(self, x_NTC: Tensor) -> list[Tensor]:
        """Queries, keys, values, or some of them, that stand side by side: each (N, H, T, D)."""
        shape = (x_NTC.shape[0], -1, self.heads, self.width // self.heads)
        return [y.reshape(shape).transpose(1, 2) for y in x_NTC.split(self.width, dim=2)]

    def attend(self, q_NHTD: Tensor, k_NHSD: Tensor, v_NHSD: Tensor, masked: Tensor | None) -> Tensor:
        """Heads joined: (N, T, H·D). masked : True where a query may not look, broadcast to (N, H, T, S)"""
        scores = torch.matmul(q_NHTD * self.scale, k_NHSD.transpose(2, 3))
        if masked is not None:
            scores = scores.masked_fill(masked, -math.inf)
        joined = torch.matmul(scores.softmax(3), v_NHSD).transpose(1, 2)
        return joined.reshape(q_NHTD.shape[0], -1, self.width)


class SelfAttention(Attention):
    """Attention of a sentence to itself."""

    def __init__(self, width: int, qkv: int, heads: int) -> None:
        super().__init__(qkv, heads)
        self.qkv = nn.Linear(width, 3 * qkv)
        self.out = nn.Linear(qkv, width)

    def forward(
        self, x_NTC: Tensor, masked: Tensor | None, past: Sequence[Tensor] = ()
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The output (N, T, C), and all keys and values: those of `past`, then those of x."""
        q, k, v = self.split(self.qkv(x_NTC))
        if past:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        return self.out(self.attend(q, k, v, masked)), k, v


class CrossAttention(Attention):
    """Attention of a decoder layer to encoder outputs."""

    def __init__(self, width: int, memory_width: int, qkv: int, heads: int) -> None:
        super().__init__(qkv, heads)
        self.query = nn.Linear(width, qkv)
        self.key_value = nn.Linear(memory_width, 2 * qkv)
        self.out = nn.Linear(qkv, width)

    def memory(self, outputs_NSC: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (N, H, S, D)."""
        k, v = self.split(self.key_value(outputs_NSC))
        return k, v

    def forward(self, x_NTC: Tensor, k_NHSD: Tensor, v_NHSD: Tensor, masked: Tensor, beam: int = 1) -> Tensor:
        """The output (N, T, C). beam : neighbouring rows of x that attend to one row of keys and values"""
        if beam > 1:  # no query waits for another, so those of a sentence stand side by side
            x = x_NTC.reshape(x_NTC.shape[0] // beam, -1, x_NTC.shape[2])
            return self(x, k_NHSD, v_NHSD, masked).reshape_as(x_NTC)  # type: ignore[no-any-return]
        (q,) = self.split(self.query(x_NTC))
        return self.out(self.attend(q, k_NHSD, v_NHSD, masked))  # type: ignore[no-any-return]


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward network, each with its residual and then its norm."""

    def __init__(self, plan: LayerPlan, width: int, qkv: int) -> None:
        super().__init__()
        self.attention = SelfAttention(width, qkv, plan.heads)
        self.attention_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, plan.ffn)
        self.fc2 = nn.Linear(plan.ffn, width)
        self.ffn_norm = nn.LayerNorm(width)

    def forward(self, x_NSC: Tensor, masked: Tensor) -> Tensor:
        x = self.attention_norm(x_NSC + self.attention(x_NSC, masked)[0])
        return self.feed(x)

    def feed(self, x_NTC: Tensor) -> Tensor:
        return self.ffn_norm(x_NTC + self.fc2(F.relu(self.fc1(x_NTC))))  # type: ignore[no-any-return]


class DecoderLayer(EncoderLayer):
    """As an encoder layer, with attention to encoder outputs in between."""

    def __init__(self, plan: LayerPlan, width: int, memory_width: int, qkv: int) -> None:
        super().__init__(plan, width, qkv)
        self.outputs = plan.memory
        self.cross = CrossAttention(width, memory_width, qkv, plan.cross_heads)
        self.cross_norm = nn.LayerNorm(width)

    def decode(
        self,
        x_NTC: Tensor,
        future: Tensor | None,
        past: Sequence[Tensor],
        memory: Sequence[Tensor],
        padding_N11S: Tensor,
        beam: int = 1,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The output (N, T, C), and all self-attention keys and values; beam : as in `CrossAttention`."""
        y, k, v = self.attention(x_NTC, future, past)
        x = self.attention_norm(x_NTC + y)
        masked = padding_N11S.repeat(1, 1, 1, self.outputs)
        x = self.cross_norm(x + self.cross(x, memory[0], memory[1], masked, beam))
        return self.feed(x), k, v


class HatEncoder(nn.Module):
    """Embedding, positions and layers of the encoder."""

    positions: Tensor

    def __init__(self, plan: HatPlan) -> None:
        super().__init__()
        self.embed = nn.Embedding(plan.vocabulary, plan.encoder_embed)
        self.register_buffer("positions", torch.empty(position_rows(plan.positions), plan.encoder_embed))
        self.layers = nn.ModuleList(EncoderLayer(layer, plan.encoder_embed, plan.qkv) for layer in plan.encoder)
        self.scale = math.sqrt(plan.encoder_embed)

    def forward(self, source_NS: Tensor) -> list[Tensor]:
        """The outputs (N, S, C) of all layers, the last layer's first."""
        x = self.embed(source_NS) * self.scale + F.embedding(_places(source_NS), self.positions)
        masked, outputs = _padding(source_NS), []
        for layer in self.layers:
            x = layer(x, masked)
            outputs.append(x)
        return outputs[::-1]


class HatDecoder(nn.Module):
    """Embedding, positions and layers of the decoder.

    The embedding is the output layer as well. It is kept as (C, V), a column a token: so both uses share one table in a
    model file, and the output layer, which is much of a step, reads it in the order that is quick.
    """

    positions: Tensor

    def __init__(self, plan: HatPlan) -> None:
        super().__init__()
        self.embed = nn.Parameter(torch.empty(plan.decoder_embed, plan.vocabulary))
        self.register_buffer("positions", torch.empty(position_rows(plan.positions), plan.decoder_embed))
        self.layers = nn.ModuleList(
            DecoderLayer(layer, plan.decoder_embed, plan.encoder_embed, plan.qkv) for layer in plan.decoder
        )
        self.scale = math.sqrt(plan.decoder_embed)

    def embedded(self, tokens_NT: Tensor) -> Tensor:
        """(N, T, C), without positions."""
        columns = self.embed.index_select(1, tokens_NT.flatten())
        return columns.t().reshape(tokens_NT.shape[0], -1, self.embed.shape[0]) * self.scale

    def memory(self, outputs: Sequence[Tensor]) -> list[Tensor]:
        """Keys and values of all layers for encoder outputs (the last layer's first)."""
        flat: list[Tensor] = []
        for layer in self.layers:
            assert isinstance(layer, DecoderLayer)
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
        """The last layer's output (N, T, C), and all self-attention keys and values; beam : as in `CrossAttention`."""
        present: list[Tensor] = []
        x = x_NTC
        for i, layer in enumerate(self.layers):
            assert isinstance(layer, DecoderLayer)
            two = slice(2 * i, 2 * i + 2)
            x, *kept = layer.decode(x, future, past[two], memory[two], padding_N11S, beam)
            present += kept
        return x, present


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
        x = d.embedded(previous_NT) + F.embedding(_places(previous_NT), d.positions)
        future = torch.ones(t, t, dtype=torch.bool, device=x.device).triu(1)
        x, _ = d.run(x, future, (), self.encode(source_NS), _padding(source_NS))
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
        x, present = d.run(x, None, past, memory, _padding(source_NS), beam)
        return torch.matmul(x[:, 0], d.embed), present


class EncoderPart(nn.Module):
    """What runs once a sentence: source (N, S) → the keys and values of `HatSubnet.encode`."""

    def __init__(self, net: HatSubnet) -> None:
        super().__init__()
        self.net = net

    def forward(self, source_NS: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.net.encode(source_NS))


class StepPart(nn.Module):
    """What runs once a token: (token (N, 1), source (N, S), *memory, *past) → (logits (N, V), *present)."""

    def __init__(self, net: HatSubnet) -> None:
        super().__init__()
        self.net = net

    def forward(self, token_N1: Tensor, source_NS: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        half = len(state) // 2
        logits, present = self.net.step(token_N1, source_NS, state[:half], state[half:])
        return (logits, *present)


def _places(tokens_NT: Tensor) -> Tensor:
    """Rows (N, T) of the table of positions: tokens are counted from `PAD` + 1, padding is left out."""
    real = (tokens_NT != PAD).long()
    return real.cumsum(1) * real + PAD


def _padding(source_NS: Tensor) -> Tensor:
    """(N, 1, 1, S), True where the source is padding."""
    return (source_NS == PAD)[:, None, None, :]
