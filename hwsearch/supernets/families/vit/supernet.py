"""Elastic vision transformer: layers, heads, feed-forward units and resolution can be chosen.

At another resolution the grid of position embeddings is interpolated (section 3.2 of the paper), as Hugging Face's
``interpolate_pos_encoding`` does. State-dict names are those of Hugging Face's ``ViTForImageClassification``; files
of torchvision and timm are renamed. Genes: ``r`` (input side in pixels), ``layers``, and for layer i = 0, 1, …
``heads[i]`` and ``ffn[i]``.
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
from hwsearch.spaces import Architecture, Choice, SearchSpace
from hwsearch.supernets.families.encoder.layers import ElasticEncoderLayer, EncoderLayerPlan, LayerNames
from hwsearch.supernets.families.encoder.supernet import ElasticEncoder
from hwsearch.supernets.families.vit.config import ElasticViTConfig
from hwsearch.supernets.families.vit.names import own_names
from hwsearch.supernets.families.vit.subnet import ViTSubnet, at_grid, embed
from hwsearch.supernets.layers.paths import register_at

NAMES = LayerNames("attention.attention", "layernorm_before", "layernorm_after")


class ElasticViT(ElasticEncoder):
    """The weight-sharing ViT supernet, with the choices of layers, heads and units of DyNAS-T (Intel, Apache-2.0).

    Parameters
    ----------
    config : ElasticViTConfig
        Shape and elastic choices; `space` has its genes.

    References
    ----------
    Dosovitskiy et al., 2021, An Image is Worth 16x16 Words, arXiv 2010.11929.
    """

    config: ElasticViTConfig

    def __init__(self, config: ElasticViTConfig) -> None:
        super().__init__(config, SearchSpace(config.name, [Choice("r", config.resolutions), *config.choices()]))
        hidden, grid = config.hidden, max(config.resolutions) // config.patch
        embeddings = nn.Module()
        embeddings.cls_token = nn.Parameter(torch.zeros(1, 1, hidden))
        embeddings.position_embeddings = nn.Parameter(torch.zeros(1, grid**2 + 1, hidden))
        register_at(embeddings, "patch_embeddings.projection", nn.Conv2d(3, hidden, config.patch, config.patch))
        layers = [ElasticEncoderLayer(config, NAMES, pre_norm=True) for _ in range(max(config.layers))]
        register_at(self, "vit.embeddings", embeddings)
        register_at(self, "vit.encoder.layer", nn.ModuleList(layers))
        register_at(self, "vit.layernorm", nn.LayerNorm(hidden, eps=config.norm_eps))
        self.classifier = nn.Linear(hidden, config.classes)
        # part of the weights: names alone, which `convert` changes, do not tell it
        self.register_buffer("norm_eps", torch.tensor(config.norm_eps, dtype=torch.float64))
        self.activate(self.space.largest())

    @property
    @override
    def encoder_layers(self) -> Sequence[ElasticEncoderLayer]:
        return cast("Sequence[ElasticEncoderLayer]", self.get_submodule("vit.encoder.layer"))

    @override
    def input_shape(self, arch: Architecture) -> tuple[int, ...]:
        side = arch.integer("r")
        return (3, side, side)

    @override
    def activate(self, arch: Architecture) -> None:
        self._active: list[EncoderLayerPlan] = self.plan(arch)

    def _embedding(self) -> tuple[nn.Module, Tensor, Tensor]:
        """Look up the patches' projection, the class token and the position embeddings."""
        embeddings = self.get_submodule("vit.embeddings")
        return (
            embeddings.get_submodule("patch_embeddings.projection"),
            embeddings.get_parameter("cls_token"),
            embeddings.get_parameter("position_embeddings"),
        )

    @override
    def forward(self, *inputs: Tensor) -> Tensor:
        (x_NCHW,) = inputs
        patches, class_token, positions = self._embedding()
        x = embed(x_NCHW, patches, class_token, at_grid(positions, x_NCHW.shape[2] // self.config.patch))
        for layer, plan in zip(self.encoder_layers, self._active, strict=False):
            x = layer(x, plan)
        return self.classifier(self.get_submodule("vit.layernorm")(x[:, 0]))  # type: ignore[no-any-return]

    @torch.no_grad()
    @override
    def subnet(self, arch: Architecture) -> ViTSubnet:
        layers = [layer.extract(plan) for layer, plan in zip(self.encoder_layers, self.plan(arch), strict=False)]
        patches, class_token, positions = self._embedding()
        net = ViTSubnet(
            deepcopy(cast(nn.Conv2d, patches)),
            class_token.clone(),
            at_grid(positions, arch.integer("r") // self.config.patch).clone(),
            layers,
            deepcopy(cast(nn.LayerNorm, self.get_submodule("vit.layernorm"))),
            deepcopy(self.classifier),
        )
        return net.train(self.training)

    @override
    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"norm_eps": torch.tensor(self.config.norm_eps, dtype=torch.float64), **own_names(state)}

    @override
    def tokens_array(self, rows: IntArray) -> IntArray:
        sides = np.array(self.config.resolutions)[rows[:, self.space.names.index("r")]]
        return (sides // self.config.patch) ** 2 + 1

    @override
    def outer_costs(self, tokens: IntArray) -> dict[str, FloatArray]:
        c = self.config
        pixels, head = 3 * c.patch**2, c.hidden * c.classes
        n = tokens.astype(np.float64)
        return {
            "macs": (n - 1) * pixels * c.hidden + head,
            "params": (pixels + n + 4) * c.hidden + head + c.classes,
            "activations": (n - 1) * c.hidden + c.classes,
        }
