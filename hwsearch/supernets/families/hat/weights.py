"""The shared weights of HAT at full size, under the names of the authors' files, and their slices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn

from hwsearch.supernets.families.hat.config import HatConfig
from hwsearch.supernets.families.hat.plan import HatPlan

#: one tensor under two names
EMBEDDINGS = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")


class AttentionWeights(nn.Module):
    """Weights of one attention: rows of the input projection are queries, keys, values; no gene cuts them.

    Parameters
    ----------
    embed : int
        Width of a token at full size.
    qkv : int
        Width of queries, of keys and of values.
    """

    def __init__(self, embed: int, qkv: int) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * qkv, embed))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * qkv))
        self.out_proj = nn.Linear(qkv, embed)
        nn.init.xavier_uniform_(self.in_proj_weight)


class LayerWeights(nn.Module):
    """Weights of one encoder or decoder layer at full size.

    Parameters
    ----------
    c : HatConfig
        Shape of the supernet.
    cross : bool
        Whether it has encoder-decoder attention.
    """

    def __init__(self, c: HatConfig, *, cross: bool) -> None:
        super().__init__()
        embed, ffn = max(c.embeds), max(c.ffns)
        self.self_attn = AttentionWeights(embed, c.qkv)
        self.self_attn_layer_norm = nn.LayerNorm(embed)
        if cross:
            self.encoder_attn = AttentionWeights(embed, c.qkv)
            self.encoder_attn_layer_norm = nn.LayerNorm(embed)
        self.fc1 = nn.Linear(embed, ffn)
        self.fc2 = nn.Linear(ffn, embed)
        self.final_layer_norm = nn.LayerNorm(embed)


class SideWeights(nn.Module):
    """The embedding, which both sides share, and the layers of one side.

    Parameters
    ----------
    c : HatConfig
        Shape of the supernet.
    embed_tokens : nn.Embedding
        The embedding.
    layers : int
        Number of layers.
    cross : bool
        Whether they have encoder-decoder attention.
    """

    def __init__(self, c: HatConfig, embed_tokens: nn.Embedding, layers: int, *, cross: bool) -> None:
        super().__init__()
        self.embed_tokens = embed_tokens
        self.layers = nn.ModuleList(LayerWeights(c, cross=cross) for _ in range(layers))


def first_parameters(
    name: str, full: nn.Linear | nn.LayerNorm, outputs: int, inputs: int | None = None
) -> Iterator[tuple[str, Tensor]]:
    """Slice weight and bias of a subnet's layer.

    Parameters
    ----------
    name : str
        Name of the layer in the subnet.
    full : nn.Linear or nn.LayerNorm
        Layer at full size.
    outputs : int
        Outputs, the first ones.
    inputs : int, optional
        Inputs, the first ones, where a gene cuts them.

    Yields
    ------
    tuple of (str, Tensor)
        Name of the parameter, and a view.
    """
    weight = full.weight[:outputs]
    yield f"{name}.weight", weight if inputs is None else weight[:, :inputs]
    yield f"{name}.bias", full.bias[:outputs]


def sliced_weights(
    encoder: SideWeights, decoder: SideWeights, positions: Tensor, plan: HatPlan
) -> Iterator[tuple[str, Tensor]]:
    """Slice the weights of a subnet out of the shared ones, as views.

    Parameters
    ----------
    encoder, decoder : SideWeights
        Shared weights.
    positions : Tensor
        Position table of full width, of shape (rows, width).
    plan : HatPlan
        Sizes of the subnet.

    Yields
    ------
    tuple of (str, Tensor)
        Name in `HatSubnet`, and the slice.
    """
    sides = {"encoder": encoder, "decoder": decoder}
    widths = {"encoder": plan.encoder_embed, "decoder": plan.decoder_embed}
    for side, layers in (("encoder", plan.encoder), ("decoder", plan.decoder)):
        shared, w = sides[side], widths[side]
        table = shared.embed_tokens.weight[:, :w]
        yield ("encoder.embed.weight", table) if side == "encoder" else ("decoder.embed", table.t())
        yield f"{side}.positions", positions[:, :w]
        for i, layer in enumerate(layers):
            full, to, f = cast(LayerWeights, shared.layers[i]), f"{side}.layers.{i}", layer.ffn
            yield f"{to}.attention.qkv.weight", full.self_attn.in_proj_weight[:, :w]
            yield f"{to}.attention.qkv.bias", full.self_attn.in_proj_bias
            yield from first_parameters(f"{to}.attention.out", full.self_attn.out_proj, w)
            yield from first_parameters(f"{to}.attention_norm", full.self_attn_layer_norm, w)
            if side == "decoder":
                weight, bias = full.encoder_attn.in_proj_weight, full.encoder_attn.in_proj_bias
                yield f"{to}.cross.query.weight", weight[: plan.qkv, :w]
                yield f"{to}.cross.query.bias", bias[: plan.qkv]
                yield f"{to}.cross.key_value.weight", weight[plan.qkv :, : plan.encoder_embed]
                yield f"{to}.cross.key_value.bias", bias[plan.qkv :]
                yield from first_parameters(f"{to}.cross.out", full.encoder_attn.out_proj, w)
                yield from first_parameters(f"{to}.cross_norm", full.encoder_attn_layer_norm, w)
            yield from first_parameters(f"{to}.fc1", full.fc1, f, w)
            yield from first_parameters(f"{to}.fc2", full.fc2, w, f)
            yield from first_parameters(f"{to}.ffn_norm", full.final_layer_norm, w)
