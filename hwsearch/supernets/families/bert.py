"""Elastic BERT for sequence classification: layers, heads and feed-forward units can be chosen.

BERT (Devlin, Chang, Lee, Toutanova, 2019, arXiv 1810.04805) with the search space of DyNAS-T (Intel, Apache-2.0).
State-dict names are those of Hugging Face's ``BertForSequenceClassification``. Genes: ``layers``, and for the layer
i = 0, 1, … ``heads[i]`` and ``ffn[i]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import CheckpointError
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.supernets.base import Part
from hwsearch.supernets.checkpoint import shape_of
from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.layers.attention import (
    ElasticEncoder,
    ElasticEncoderLayer,
    EncoderConfig,
    EncoderLayer,
    LayerNames,
    LayerPlan,
    count_layers,
    heads_of,
    place,
    scaled_choices,
)
from hwsearch.tasks.data import Data
from hwsearch.tasks.inputs import Input
from hwsearch.tasks.text.data import TextData
from hwsearch.tasks.text.task import TextTask

#: heads by width: BERT base and large; the smaller ones of Turc et al. (2019, arXiv 1908.08962); MiniLM (Wang et al.,
#: 2020, arXiv 2002.10957), whose heads are 32 wide
HEADS = {128: 2, 256: 4, 384: 12, 512: 8, 768: 12, 1024: 16}
#: added to the score of a padded token; its share underflows to zero
MASKED = -10000.0
EXPECTED = "A BertForSequenceClassification of Hugging Face is expected."
NAMES = LayerNames("attention.self", "attention.output.LayerNorm", "output.LayerNorm")


@dataclass(frozen=True, kw_only=True)
class ElasticBertConfig(EncoderConfig):
    """All that fixes the shape of the supernet; its defaults are those of BERT base.

    vocabulary, positions, types : rows of the three embeddings
    tokens : length of the sequences that are timed, counted and judged; longer ones are cut
    """

    classes: int = 2
    norm_eps: float = 1e-12
    layers: tuple[int, ...] = (6, 7, 8, 9, 10, 11, 12)
    vocabulary: int = 30522
    positions: int = 512
    types: int = 2
    tokens: int = 128

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> ElasticBertConfig:
        """The configuration that a file's tensors call for; raises `CheckpointError` where they are another model's."""
        state = own_names(state)
        shape = lambda name, axes: shape_of(state, name, axes, EXPECTED)  # noqa: E731
        vocabulary, hidden = shape("bert.embeddings.word_embeddings.weight", 2)
        positions, types = (shape(f"bert.embeddings.{n}_embeddings.weight", 2)[0] for n in ("position", "token_type"))
        ffn = shape("bert.encoder.layer.0.intermediate.dense.weight", 2)[0]
        classes = shape("classifier.weight", 2)[0]
        if classes < 2:
            raise CheckpointError("the weights have one output, as for a regression; a classification is expected.")
        layers = count_layers(list(state), "bert.encoder.layer.")
        heads = heads_of(hidden, HEADS)
        some_heads, some_units = scaled_choices(heads, ffn)
        base = (layers, hidden, ffn) == (12, 768, 3072)
        return cls(
            name=BASE.name if base else f"bert-l{layers}-h{hidden}-f{ffn}",
            classes=classes,
            hidden=hidden,
            head_size=hidden // heads,
            layers=tuple(range((layers + 1) // 2, layers + 1)),
            heads=some_heads,
            ffn=some_units,
            vocabulary=vocabulary,
            positions=positions,
            types=types,
            tokens=min(128, positions),
        )


class Embeddings(nn.Module):
    """Word, position and type embeddings, added and normalised."""

    def __init__(self, config: ElasticBertConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocabulary, config.hidden)
        self.position_embeddings = nn.Embedding(config.positions, config.hidden)
        self.token_type_embeddings = nn.Embedding(config.types, config.hidden)
        self.LayerNorm = nn.LayerNorm(config.hidden, eps=config.norm_eps)

    def forward(self, input_ids_NT: Tensor, token_type_ids_NT: Tensor) -> Tensor:
        positions = self.position_embeddings.weight[: input_ids_NT.shape[1]]
        x = self.word_embeddings(input_ids_NT) + self.token_type_embeddings(token_type_ids_NT) + positions
        return self.LayerNorm(x)  # type: ignore[no-any-return]


class BertSubnet(nn.Module):
    """A plain static subnet; no reference to the supernet."""

    def __init__(
        self, embeddings: Embeddings, layers: Sequence[EncoderLayer], pooler: nn.Linear, classifier: nn.Linear
    ) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.layers = nn.ModuleList(layers)
        self.pooler = pooler
        self.act = nn.Tanh()
        self.classifier = classifier

    def forward(self, input_ids_NT: Tensor, attention_mask_NT: Tensor, token_type_ids_NT: Tensor) -> Tensor:
        x = self.embeddings(input_ids_NT, token_type_ids_NT)
        bias = mask_bias(attention_mask_NT)
        for layer in self.layers:
            x = layer(x, bias)
        return self.classifier(self.act(self.pooler(x[:, 0])))  # type: ignore[no-any-return]


def mask_bias(attention_mask_NT: Tensor) -> Tensor:
    """(N, 1, 1, T): 0 for tokens, `MASKED` for padding."""
    return ((1.0 - attention_mask_NT.float()) * MASKED)[:, None, None, :]


class ElasticBert(ElasticEncoder):
    """The weight-sharing supernet. See `ElasticBertConfig` for its shape and `space` for its genes."""

    config: ElasticBertConfig

    def __init__(self, config: ElasticBertConfig) -> None:
        super().__init__(config, SearchSpace(config.name, config.choices()))
        layers = [ElasticEncoderLayer(config, NAMES, pre_norm=False) for _ in range(max(config.layers))]
        place(self, "bert.embeddings", Embeddings(config))
        place(self, "bert.encoder.layer", nn.ModuleList(layers))
        place(self, "bert.pooler.dense", nn.Linear(config.hidden, config.hidden))
        self.classifier = nn.Linear(config.hidden, config.classes)
        self._active: list[LayerPlan] = self.plan(self.space.largest())

    @property
    def encoder_layers(self) -> Sequence[ElasticEncoderLayer]:
        return cast("Sequence[ElasticEncoderLayer]", self.get_submodule("bert.encoder.layer"))

    def input_shape(self, arch: Architecture) -> tuple[int, ...]:
        return (self.config.tokens,)

    def activate(self, arch: Architecture) -> None:
        self._active = self.plan(arch)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits (N, classes); inputs: input_ids, attention_mask (1: a token, 0: padding), token_type_ids, (N, T) each."""
        input_ids, attention_mask, token_type_ids = inputs
        x = self.get_submodule("bert.embeddings")(input_ids, token_type_ids)
        bias = mask_bias(attention_mask)
        for layer, plan in zip(self.encoder_layers, self._active, strict=False):
            x = layer(x, plan, bias)
        pooled = torch.tanh(self.get_submodule("bert.pooler.dense")(x[:, 0]))
        return self.classifier(pooled)  # type: ignore[no-any-return]

    def subnet(self, arch: Architecture) -> BertSubnet:
        layers = [layer.extract(plan) for layer, plan in zip(self.encoder_layers, self.plan(arch), strict=False)]
        embeddings, pooler = (self.get_submodule(n) for n in ("bert.embeddings", "bert.pooler.dense"))
        net = BertSubnet(
            deepcopy(cast(Embeddings, embeddings)), layers, deepcopy(cast(nn.Linear, pooler)), deepcopy(self.classifier)
        )
        return net.train(self.training)

    def parts(self, arch: Architecture, net: nn.Module) -> list[Part]:
        c = self.config
        inputs = (
            Input("input_ids", (c.tokens,), high=c.vocabulary, axes=("tokens",)),
            Input("attention_mask", (c.tokens,), low=1, high=2, axes=("tokens",)),
            Input("token_type_ids", (c.tokens,), high=1, axes=("tokens",)),
        )
        return [Part("", net, inputs, output_axes=({0: "batch"},))]

    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return own_names(state)

    def check_data(self, data: Data, split: str) -> None:
        super().check_data(data, split)
        if isinstance(data, TextData):
            data.check_vocabulary(self.config.vocabulary)

    def tokens_array(self, rows: IntArray) -> IntArray:
        return np.full(len(rows), self.config.tokens, np.int64)

    def outer_costs(self, tokens: IntArray) -> dict[str, FloatArray]:
        c = self.config
        macs = c.hidden * (c.hidden + c.classes)
        rows = c.vocabulary + c.positions + c.types + 2
        params = c.hidden * rows + macs + c.hidden + c.classes
        ones = np.ones(len(tokens))
        return {"macs": macs * ones, "params": params * ones, "activations": (c.hidden + c.classes) * ones}


def own_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under today's names: older files say gamma and beta, and keep the numbers of the positions."""
    renamed = {}
    for name, value in state.items():
        if name != "bert.embeddings.position_ids":
            renamed[name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")] = (
                value
            )
    return renamed


BASE = ElasticBertConfig(name="bert-base-sst2")
ENTRY = SupernetEntry(
    name=BASE.name,
    summary="BERT base, sentence classification (SST-2), 128 tokens",
    build=lambda: ElasticBert(BASE),
    build_for=lambda state: ElasticBert(ElasticBertConfig.of(state)),
    task=TextTask(),
    calibrated=False,
    card={
        "paper": "Devlin et al., 2019, arXiv 1810.04805; search space of DyNAS-T (Intel)",
        "code_licence": "Apache-2.0",
        "weights_licence": "that of the file you bring",
        "get": "a BertForSequenceClassification of Hugging Face, fine-tuned on the task (model.safetensors)",
    },
)
