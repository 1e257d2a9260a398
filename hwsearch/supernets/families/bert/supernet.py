"""Elastic BERT for sequence classification: layers, heads and feed-forward units can be chosen.

State-dict names are those of Hugging Face's ``BertForSequenceClassification``. Genes: ``layers``, and for layer i =
0, 1, … ``heads[i]`` and ``ffn[i]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from hwsearch._typing import FloatArray, IntArray
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.supernets.base import Part
from hwsearch.supernets.families.bert.config import ElasticBertConfig
from hwsearch.supernets.families.bert.names import own_names
from hwsearch.supernets.families.bert.subnet import BertEmbeddings, BertSubnet, mask_bias
from hwsearch.supernets.families.encoder.layers import ElasticEncoderLayer, EncoderLayerPlan, LayerNames
from hwsearch.supernets.families.encoder.supernet import ElasticEncoder
from hwsearch.supernets.layers.paths import register_at
from hwsearch.tasks.data import Data
from hwsearch.tasks.inputs import Input
from hwsearch.tasks.text.data import TextData

NAMES = LayerNames("attention.self", "attention.output.LayerNorm", "output.LayerNorm")


class ElasticBert(ElasticEncoder):
    """The weight-sharing BERT supernet, with the search space of DyNAS-T (Intel, Apache-2.0).

    Parameters
    ----------
    config : ElasticBertConfig
        Shape and elastic choices; `space` has its genes.

    References
    ----------
    Devlin, Chang, Lee, Toutanova, 2019, BERT, arXiv 1810.04805.
    """

    config: ElasticBertConfig

    def __init__(self, config: ElasticBertConfig) -> None:
        super().__init__(config, SearchSpace(config.name, config.choices()))
        layers = [ElasticEncoderLayer(config, NAMES, pre_norm=False) for _ in range(max(config.layers))]
        register_at(self, "bert.embeddings", BertEmbeddings(config))
        register_at(self, "bert.encoder.layer", nn.ModuleList(layers))
        register_at(self, "bert.pooler.dense", nn.Linear(config.hidden, config.hidden))
        self.classifier = nn.Linear(config.hidden, config.classes)
        self._active: list[EncoderLayerPlan] = self.plan(self.space.largest())

    @property
    @override
    def encoder_layers(self) -> Sequence[ElasticEncoderLayer]:
        return cast("Sequence[ElasticEncoderLayer]", self.get_submodule("bert.encoder.layer"))

    @override
    def input_shape(self, arch: Architecture) -> tuple[int, ...]:
        return (self.config.tokens,)

    @override
    def activate(self, arch: Architecture) -> None:
        self._active = self.plan(arch)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Compute logits of the active architecture.

        Parameters
        ----------
        *inputs : Tensor
            input_ids, attention_mask (1: a token, 0: padding) and token_type_ids, of shape (N, T) each.

        Returns
        -------
        Tensor
            Logits of shape (N, classes).
        """
        input_ids, attention_mask, token_type_ids = inputs
        x = self.get_submodule("bert.embeddings")(input_ids, token_type_ids)
        bias = mask_bias(attention_mask)
        for layer, plan in zip(self.encoder_layers, self._active, strict=False):
            x = layer(x, plan, bias)
        pooled = torch.tanh(self.get_submodule("bert.pooler.dense")(x[:, 0]))
        return self.classifier(pooled)  # type: ignore[no-any-return]

    @override
    def subnet(self, arch: Architecture) -> BertSubnet:
        layers = [layer.extract(plan) for layer, plan in zip(self.encoder_layers, self.plan(arch), strict=False)]
        embeddings, pooler = (self.get_submodule(n) for n in ("bert.embeddings", "bert.pooler.dense"))
        net = BertSubnet(
            deepcopy(cast(BertEmbeddings, embeddings)),
            layers,
            deepcopy(cast(nn.Linear, pooler)),
            deepcopy(self.classifier),
        )
        return net.train(self.training)

    @override
    def parts(self, arch: Architecture, net: nn.Module) -> list[Part]:
        c = self.config
        inputs = (
            Input("input_ids", (c.tokens,), high=c.vocabulary, axes=("tokens",)),
            Input("attention_mask", (c.tokens,), low=1, high=2, axes=("tokens",)),
            Input("token_type_ids", (c.tokens,), high=1, axes=("tokens",)),
        )
        return [Part("", net, inputs, output_axes=({0: "batch"},))]

    @override
    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return own_names(state)

    @override
    def check_data(self, data: Data, split: str) -> None:
        super().check_data(data, split)
        if isinstance(data, TextData):
            data.check_vocabulary(self.config.vocabulary)

    @override
    def tokens_array(self, rows: IntArray) -> IntArray:
        return np.full(len(rows), self.config.tokens, np.int64)

    @override
    def outer_costs(self, tokens: IntArray) -> dict[str, FloatArray]:
        c = self.config
        macs = c.hidden * (c.hidden + c.classes)
        rows = c.vocabulary + c.positions + c.types + 2
        params = c.hidden * rows + macs + c.hidden + c.classes
        ones = np.ones(len(tokens))
        return {"macs": macs * ones, "params": params * ones, "activations": (c.hidden + c.classes) * ones}
