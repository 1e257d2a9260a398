"""HAT: the elastic Transformer for translation, with widths, depth, heads and encoder-decoder attention to choose.

Hardware-Aware Transformers (Wang, Wu, Liu, Cai, Zhu, Gan, Han, 2020, arXiv 2005.14187). State-dict names are those of
the authors' files. Genes: ``encoder.embed``, ``decoder.embed`` (widths), ``decoder.layers``, and for each layer i
``encoder.ffn[i]``, ``encoder.heads[i]``, ``decoder.ffn[i]``, ``decoder.heads[i]``, ``decoder.cross_heads[i]`` and
``decoder.memory[i]``: whether the layer attends to the output of the last encoder layer (-1), of the second last as well
(1), or of the third last as well (2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import CheckpointError, DataError, SpaceError, SupernetError
from hwsearch.spaces import Architecture, Choice, SearchSpace, When
from hwsearch.supernets.base import Part, Supernet, with_logs
from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.families.hat.subnet import (
    EncoderPart,
    HatPlan,
    HatSubnet,
    LayerPlan,
    StepPart,
    position_rows,
    sinusoids,
)
from hwsearch.tasks.data import Data
from hwsearch.tasks.inputs import Input
from hwsearch.tasks.translation.data import TranslationData
from hwsearch.tasks.translation.task import TranslationTask
from hwsearch.tasks.translation.vocabulary import SPECIALS, Subwords

#: one tensor under two names
EMBEDDINGS = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")


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


class _Attention(nn.Module):
    """Weights of attention: rows of the input projection are queries, keys, values; no gene cuts them."""

    def __init__(self, embed: int, qkv: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * qkv, embed))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * qkv))
        self.out_proj = nn.Linear(qkv, embed)
        nn.init.xavier_uniform_(self.in_proj_weight)


class _Layer(nn.Module):
    """Weights of one encoder or decoder layer, at full size."""

    def __init__(self, c: HatConfig, *, cross: bool) -> None:
        super().__init__()
        embed, ffn = max(c.embeds), max(c.ffns)
        self.self_attn = _Attention(embed, c.qkv)
        self.self_attn_layer_norm = nn.LayerNorm(embed)
        if cross:
            self.encoder_attn = _Attention(embed, c.qkv)
            self.encoder_attn_layer_norm = nn.LayerNorm(embed)
        self.fc1 = nn.Linear(embed, ffn)
        self.fc2 = nn.Linear(ffn, embed)
        self.final_layer_norm = nn.LayerNorm(embed)


class _Side(nn.Module):
    """The embedding, which both sides share, and the layers of one side."""

    def __init__(self, c: HatConfig, embed_tokens: nn.Embedding, layers: int, *, cross: bool) -> None:
        super().__init__()
        self.embed_tokens = embed_tokens
        self.layers = nn.ModuleList(_Layer(c, cross=cross) for _ in range(layers))


class HatTransformer(Supernet):
    """The weight-sharing supernet. See `HatConfig` for its shape and `space` for its genes.

    A subnet takes the first entries of each weight, along the widths that its genes set. Its forward pass is that of
    `HatSubnet`, here with slices of the shared weights. Dropout is no part of it.
    """

    positions: Tensor

    def __init__(self, config: HatConfig) -> None:
        super().__init__()
        self.config = config
        self.space = config.search_space()
        self.classes = config.vocabulary
        embed = nn.Embedding(config.vocabulary, max(config.embeds))
        nn.init.normal_(embed.weight, 0.0, max(config.embeds) ** -0.5)
        self.encoder = _Side(config, embed, config.encoder_layers, cross=False)
        self.decoder = _Side(config, embed, max(config.decoder_layers), cross=True)
        table = sinusoids(position_rows(config.positions), max(config.embeds))
        self.register_buffer("positions", table, persistent=False)
        self.activate(self.space.largest())

    # ------------------------------------------------------------------ one architecture, resolved
    def plan(self, arch: Architecture) -> HatPlan:
        """The layers of `arch`, all sizes resolved; raises `SpaceError` for another space's architecture."""
        if arch.space_name != self.space.name:
            raise SpaceError(f"architecture {arch.id} is of space {arch.space_name!r}, not {self.space.name!r}.")
        c, gene = self.config, arch.integer
        return HatPlan(
            c.vocabulary,
            gene("encoder.embed"),
            gene("decoder.embed"),
            c.qkv,
            c.positions,
            tuple(LayerPlan(gene(f"encoder.ffn[{i}]"), gene(f"encoder.heads[{i}]")) for i in range(c.encoder_layers)),
            tuple(
                LayerPlan(
                    gene(f"decoder.ffn[{i}]"),
                    gene(f"decoder.heads[{i}]"),
                    gene(f"decoder.cross_heads[{i}]"),
                    memory_outputs(gene(f"decoder.memory[{i}]")),
                )
                for i in range(gene("decoder.layers"))
            ),
        )

    def activate(self, arch: Architecture) -> None:
        plan = self.plan(arch)
        with torch.device("meta"):  # shapes only: each pass brings its own weights
            self._active = (plan, HatSubnet(plan))

    def forward(self, source_NS: Tensor, previous_NT: Tensor) -> Tensor:  # type: ignore[override]
        """Logits (N, T, V) of the active architecture, with the true tokens before each given; padding is masked.

        source : int64, padded on the left; previous : int64, ``</s>`` and then all tokens but the last
        """
        plan, net = self._active
        logits: Tensor = functional_call(net, dict(self._slices(plan)), (source_NS, previous_NT))
        return logits

    def subnet(self, arch: Architecture) -> HatSubnet:
        plan = self.plan(arch)
        with torch.device("meta"):
            net = HatSubnet(plan)
        own = {k: v.detach().clone(memory_format=torch.contiguous_format) for k, v in self._slices(plan)}
        net.load_state_dict(own, assign=True)
        return net.train(self.training)

    def _slices(self, plan: HatPlan) -> Iterator[tuple[str, Tensor]]:
        """The weights of a subnet under its own names, as views of the shared ones."""
        widths = {"encoder": plan.encoder_embed, "decoder": plan.decoder_embed}
        for side, layers in (("encoder", plan.encoder), ("decoder", plan.decoder)):
            shared, w = cast(_Side, self.get_submodule(side)), widths[side]
            table = shared.embed_tokens.weight[:, :w]
            yield ("encoder.embed.weight", table) if side == "encoder" else ("decoder.embed", table.t())
            yield f"{side}.positions", self.positions[:, :w]
            for i, layer in enumerate(layers):
                full, to, f = cast(_Layer, shared.layers[i]), f"{side}.layers.{i}", layer.ffn
                yield f"{to}.attention.qkv.weight", full.self_attn.in_proj_weight[:, :w]
                yield f"{to}.attention.qkv.bias", full.self_attn.in_proj_bias
                yield from _first(f"{to}.attention.out", full.self_attn.out_proj, w)
                yield from _first(f"{to}.attention_norm", full.self_attn_layer_norm, w)
                if side == "decoder":
                    weight, bias = full.encoder_attn.in_proj_weight, full.encoder_attn.in_proj_bias
                    yield f"{to}.cross.query.weight", weight[: plan.qkv, :w]
                    yield f"{to}.cross.query.bias", bias[: plan.qkv]
                    yield f"{to}.cross.key_value.weight", weight[plan.qkv :, : plan.encoder_embed]
                    yield f"{to}.cross.key_value.bias", bias[plan.qkv :]
                    yield from _first(f"{to}.cross.out", full.encoder_attn.out_proj, w)
                    yield from _first(f"{to}.cross_norm", full.encoder_attn_layer_norm, w)
                yield from _first(f"{to}.fc1", full.fc1, f, w)
                yield from _first(f"{to}.fc2", full.fc2, w, f)
                yield from _first(f"{to}.ffn_norm", full.final_layer_norm, w)

    def check_data(self, data: Data, split: str) -> None:
        if not isinstance(data, TranslationData):
            raise DataError(f"the {split} data {data.name!r} are no translations.")
        data.check(self.config.vocabulary, self.config.positions)

    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Without what fairseq writes beside the weights: version marks, and a place holder for positions.

        The embedding, which fairseq writes twice, may stand there once (safetensors keep no tensor twice); raises
        `CheckpointError` for a file with two different ones.
        """
        marks = (".version", ".embed_positions._float_tensor")
        renamed = {k: v for k, v in state.items() if not k.endswith(marks)}
        shared = {k: renamed[k] for k in EMBEDDINGS if k in renamed}
        if len(shared) == 2 and not torch.equal(*shared.values()):
            raise CheckpointError(
                "encoder and decoder have different embeddings in the file, but this network has one."
            )
        for value in shared.values():
            renamed |= dict.fromkeys(EMBEDDINGS, value)
        return renamed

    # ------------------------------------------------------------------ deployment
    def input_shape(self, arch: Architecture) -> tuple[int]:
        return (self.config.source_tokens,)

    def parts(self, arch: Architecture, net: nn.Module) -> list[Part]:
        """Two models: ``encoder`` runs once a sentence, ``decoder-step`` once a token.

        The encoder gives the keys and values that the decoder's layers attend to. The step takes a token, the source
        (for its padding), those keys and values, and its own of the tokens before, which are empty at first; it gives
        logits and its own keys and values for the next step. It is timed half-way through a sentence.
        """
        assert isinstance(net, HatSubnet)
        c, plan = self.config, self.plan(arch)
        source = Input("source", (c.source_tokens,), c.vocabulary, len(SPECIALS), ("source",))
        token = Input("token", (1,), c.vocabulary, len(SPECIALS))
        memory, past, memory_axes = [], [], []
        for i, layer in enumerate(plan.decoder):
            axis = "source" if layer.memory == 1 else f"source_x{layer.memory}"
            time, heads = layer.memory * c.source_tokens, layer.cross_heads
            for kind in ("keys", "values"):
                axes = (None, axis, None)
                memory.append(Input(f"cross_{kind}_{i}", (heads, time, c.qkv // heads), axes=axes))
                memory_axes.append({0: "batch", 2: axis})
                shape = (layer.heads, c.target_tokens // 2, c.qkv // layer.heads)
                past.append(Input(f"self_{kind}_{i}", shape, axes=(None, "past", None)))
        return [
            Part(
                "encoder",
                EncoderPart(net),
                (source,),
                tuple(m.name for m in memory),
                output_axes=tuple(memory_axes),
            ),
            Part(
                "decoder-step",
                StepPart(net),
                (token, source, *memory, *past),
                ("logits", *(f"next_{p.name}" for p in past)),
                runs=c.target_tokens,
                output_axes=({0: "batch"}, *({0: "batch", 2: "present"} for _ in past)),
            ),
        ]

    # ------------------------------------------------------------------ costs, vectorised
    def _costs(self, rows: IntArray) -> dict[str, FloatArray]:
        """MACs, params and activations of rows (n, genes), whole and by side, for one sentence pair."""
        c, space = self.config, self.space
        rows = space.canonical(rows)
        s, t, q, v = c.source_tokens, c.target_tokens, c.qkv, c.vocabulary

        def gene(name: str) -> FloatArray:
            i = space.names.index(name)
            return np.array(space.choices[i].values, dtype=np.float64)[rows[:, i]]

        e, d = gene("encoder.embed"), gene("decoder.embed")
        zero = np.zeros(len(rows))
        macs = {"encoder": zero, "decoder": zero, "cross": zero, "output": t * d * v}
        acts = {"encoder": zero, "decoder": zero, "output": np.full(len(rows), float(t * v))}
        params = v * (e + d)
        for i in range(c.encoder_layers):
            f, h = gene(f"encoder.ffn[{i}]"), gene(f"encoder.heads[{i}]")
            macs["encoder"] = macs["encoder"] + s * (4 * e * q + 2 * e * f) + 2 * s**2 * q
            acts["encoder"] = acts["encoder"] + s * (4 * q + 2 * e + f) + h * s**2
            params = params + _attention_params(e, e, q) + _ffn_params(e, f) + 4 * e
        for i in range(max(c.decoder_layers)):
            on = rows[:, space.names.index(f"decoder.ffn[{i}]")] >= 0
            f, h, x = (gene(f"decoder.{kind}[{i}]") for kind in ("ffn", "heads", "cross_heads"))
            m = s * np.array([memory_outputs(int(g)) for g in gene(f"decoder.memory[{i}]")], dtype=np.float64)
            cross = 2 * m * e * q + 2 * t * m * q + 2 * t * d * q
            own = t * (4 * d * q + 2 * d * f) + 2 * t**2 * q
            written = t * (6 * q + 3 * d + f) + h * t**2 + x * t * m + 2 * m * q
            weights = _attention_params(d, d, q) + _attention_params(d, e, q) + _ffn_params(d, f) + 6 * d
            macs["cross"] = macs["cross"] + np.where(on, cross, 0)
            macs["decoder"] = macs["decoder"] + np.where(on, cross + own, 0)
            acts["decoder"] = acts["decoder"] + np.where(on, written, 0)
            params = params + np.where(on, weights, 0)
        return {
            "macs": macs["encoder"] + macs["decoder"] + macs["output"],
            "params": params,
            "activations": acts["encoder"] + acts["decoder"] + acts["output"],
            "layers": gene("decoder.layers"),
            **{f"macs_{k}": value for k, value in macs.items()},
            **{f"activations_{k}": value for k, value in acts.items()},
        }

    def macs_array(self, rows: IntArray) -> FloatArray:
        """Multiply-accumulates of linears and of attention's two products, for one sentence pair; rows: (n, genes).

        Of `HatConfig.source_tokens` source and `target_tokens` target tokens, all target tokens in one pass with
        nothing before them cached. The output layer is counted; the authors' figures leave it out.
        """
        return self._costs(rows)["macs"]

    def params_array(self, rows: IntArray) -> FloatArray:
        """Number of weights of the extracted subnets; rows: (n, genes).

        The two model files that deploy a subnet have an embedding each, so both are counted; the authors' figures leave
        the embedding out.
        """
        return self._costs(rows)["params"]

    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        return with_logs(self._costs(rows))


def _first(
    name: str, full: nn.Linear | nn.LayerNorm, outputs: int, inputs: int | None = None
) -> Iterator[tuple[str, Tensor]]:
    """Weight and bias of a subnet's layer: the first outputs, and the first inputs where a gene cuts them."""
    weight = full.weight[:outputs]
    yield f"{name}.weight", weight if inputs is None else weight[:, :inputs]
    yield f"{name}.bias", full.bias[:outputs]


def _attention_params(width: FloatArray, memory_width: FloatArray, qkv: int) -> FloatArray:
    return 2 * width * qkv + 2 * memory_width * qkv + 3 * qkv + width


def _ffn_params(width: FloatArray, ffn: FloatArray) -> FloatArray:
    return 2 * width * ffn + ffn + width


def build_for(state: Mapping[str, Tensor]) -> HatTransformer:
    """The WMT'14 En-De supernet with the vocabulary of a file's embedding."""
    embedding = next((state[k] for k in EMBEDDINGS if k in state), None)
    if embedding is None or embedding.ndim != 2:
        raise CheckpointError(
            f"there is no embedding {EMBEDDINGS[0]!r} in the file.", hint="It is a file of another family."
        )
    return HatTransformer(replace(HatConfig(), vocabulary=len(embedding)))


ENTRY = SupernetEntry(
    name=HatConfig.name,
    summary="HAT Transformer, WMT'14 English-German, space0",
    build=lambda: HatTransformer(HatConfig()),
    build_for=build_for,
    task=TranslationTask(Subwords("en", "de")),
    calibrated=False,
    card={
        "paper": "Wang et al., 2020, arXiv 2005.14187",
        "code_licence": "MIT",
        "weights_licence": "none stated",
        "get": "the file 'HAT_wmt14ende_super_space0.pt' that the README of mit-han-lab/hardware-aware-transformers links",
        "published_bleu": {
            "note": "newstest2014, beam 4, length penalty 0.6, compounds split; subnets trained again from scratch, "
            "of the supernet's own weights none is published",
            "TITAN Xp": {"57.1 ms": 25.8, "91.2 ms": 27.6, "126.0 ms": 27.9, "146.7 ms": 28.1, "208.1 ms": 28.5},
        },
    },
)
