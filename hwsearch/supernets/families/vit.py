"""Elastic vision transformer: layers, heads, feed-forward units and resolution can be chosen.

ViT (Dosovitskiy et al., 2021, arXiv 2010.11929) with the choices of layers, heads and units of DyNAS-T (Intel,
Apache-2.0). At another resolution the grid of position embeddings is interpolated (section 3.2 of the paper),
bicubic, corners not aligned, as Hugging Face's ``interpolate_pos_encoding`` does. State-dict names are those of
Hugging Face's ``ViTForImageClassification``; files of torchvision and timm are renamed. Genes: ``r`` (input side in
pixels), ``layers``, and for the layer i = 0, 1, … ``heads[i]`` and ``ffn[i]``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import isqrt
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import CheckpointError, SupernetError
from hwsearch.spaces import Architecture, Choice, SearchSpace
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
from hwsearch.tasks.images.preprocess import Preprocess
from hwsearch.tasks.images.task import ImageTask

#: heads by width: DeiT tiny and small (Touvron et al., 2021, arXiv 2012.12877), ViT base, large and huge
HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}
NAMES = LayerNames("attention.attention", "layernorm_before", "layernorm_after")
#: names of torchvision and of timm, and ours; queries, keys and values that lie in one tensor are parted afterwards
SPELLINGS = (
    (r"^(class_token|cls_token)$", "vit.embeddings.cls_token"),
    (r"^(encoder\.pos_embedding|pos_embed)$", "vit.embeddings.position_embeddings"),
    (r"^(conv_proj|patch_embed\.proj)\.", "vit.embeddings.patch_embeddings.projection."),
    (r"^(encoder\.layers\.encoder_layer_|blocks\.)(\d+)\.", r"vit.encoder.layer.\2."),
    (r"\.(ln_1|norm1)\.", ".layernorm_before."),
    (r"\.(ln_2|norm2)\.", ".layernorm_after."),
    (r"\.(self_attention\.in_proj_|attn\.qkv\.)", ".attention.attention.qkv."),
    (r"\.(self_attention\.out_proj|attn\.proj)\.", ".attention.output.dense."),
    (r"\.mlp\.(0|linear_1|fc1)\.", ".intermediate.dense."),
    (r"\.mlp\.(3|linear_2|fc2)\.", ".output.dense."),
    (r"^(encoder\.ln|norm)\.", "vit.layernorm."),
    (r"^(heads\.head|head)\.", "classifier."),
)


#: what a file should be
EXPECTED = "A ViTForImageClassification of Hugging Face, or a ViT of torchvision or timm, is expected."


@dataclass(frozen=True, kw_only=True)
class ElasticViTConfig(EncoderConfig):
    """All that fixes the shape of the supernet; its defaults are those of ViT-B/16.

    norm_eps : 1e-6 in the paper's, torchvision's and timm's code, 1e-12 in Hugging Face's
    patch : side of a patch in pixels
    resolutions : sides in pixels; the position embeddings are those of the largest
    """

    classes: int = 1000
    norm_eps: float = 1e-6
    layers: tuple[int, ...] = (10, 11, 12)
    patch: int = 16
    resolutions: tuple[int, ...] = (160, 192, 224)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.resolutions or any(r % self.patch for r in self.resolutions):
            raise SupernetError(f"{self.name!r}: resolutions {self.resolutions} are not multiples of {self.patch}.")

    @classmethod
    def of(cls, state: Mapping[str, Tensor], name: str) -> ElasticViTConfig:
        """The configuration that a file's tensors call for; raises `CheckpointError` where they are another model's.

        name : of the space where the shape is that of ViT-B/16 at 224 pixels
        """
        hugging_face = any(n.startswith("vit.") for n in state)
        state = own_names(state)
        shape = lambda name, axes: shape_of(state, name, axes, EXPECTED)  # noqa: E731
        hidden, _, patch, _ = shape("vit.embeddings.patch_embeddings.projection.weight", 4)
        positions = shape("vit.embeddings.position_embeddings", 3)[1]
        ffn = shape("vit.encoder.layer.0.intermediate.dense.weight", 2)[0]
        classes = shape("classifier.weight", 2)[0]
        grid = isqrt(positions)
        if grid**2 + 1 != positions:
            raise CheckpointError(f"{positions} position embeddings are not those of a square grid and a class token.")
        layers = count_layers(list(state), "vit.encoder.layer.")
        heads = heads_of(hidden, HEADS)
        some_heads, some_units = scaled_choices(heads, ffn)
        base = (layers, hidden, ffn, patch, grid) == (12, 768, 3072, 16, 14)
        return cls(
            name=name if base else f"vit-l{layers}-h{hidden}-f{ffn}-p{patch}-r{grid * patch}",
            classes=classes,
            norm_eps=float(state["norm_eps"]) if "norm_eps" in state else 1e-12 if hugging_face else 1e-6,
            hidden=hidden,
            head_size=hidden // heads,
            layers=tuple(range(max(1, layers * 5 // 6), layers + 1)),
            heads=some_heads,
            ffn=some_units,
            patch=patch,
            resolutions=tuple(sorted({patch * max(1, round(grid * s / 7)) for s in (5, 6, 7)})),
        )


def at_grid(positions_1TC: Tensor, grid: int) -> Tensor:
    """Position embeddings (1, 1 + grid², C): that of the class token, and the others interpolated to another grid."""
    own = isqrt(positions_1TC.shape[1] - 1)
    if own == grid:
        return positions_1TC
    image = positions_1TC[:, 1:].reshape(1, own, own, -1).permute(0, 3, 1, 2)
    image = F.interpolate(image, size=(grid, grid), mode="bicubic", align_corners=False)
    return torch.cat([positions_1TC[:, :1], image.permute(0, 2, 3, 1).reshape(1, grid**2, -1)], dim=1)


def embed(x_NCHW: Tensor, patches: nn.Module, class_token: Tensor, positions_1TC: Tensor) -> Tensor:
    """(N, 1 + patches, C): the class token and the patches' projections, with their positions added."""
    x = patches(x_NCHW).flatten(2).transpose(1, 2)
    return torch.cat([class_token.expand(x.shape[0], -1, -1), x], dim=1) + positions_1TC


class ViTSubnet(nn.Module):
    """A plain static subnet; no reference to the supernet."""

    def __init__(
        self,
        patches: nn.Conv2d,
        class_token: Tensor,
        positions_1TC: Tensor,
        layers: Sequence[EncoderLayer],
        norm: nn.LayerNorm,
        classifier: nn.Linear,
    ) -> None:
        super().__init__()
        self.patches = patches
        self.class_token = nn.Parameter(class_token)
        self.positions = nn.Parameter(positions_1TC)
        self.layers = nn.ModuleList(layers)
        self.norm = norm
        self.classifier = classifier

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x = embed(x_NCHW, self.patches, self.class_token, self.positions)
        for layer in self.layers:
            x = layer(x)
        return self.classifier(self.norm(x[:, 0]))  # type: ignore[no-any-return]


class ElasticViT(ElasticEncoder):
    """The weight-sharing supernet. See `ElasticViTConfig` for its shape and `space` for its genes."""

    config: ElasticViTConfig

    def __init__(self, config: ElasticViTConfig) -> None:
        super().__init__(config, SearchSpace(config.name, [Choice("r", config.resolutions), *config.choices()]))
        hidden, grid = config.hidden, max(config.resolutions) // config.patch
        embeddings = nn.Module()
        embeddings.cls_token = nn.Parameter(torch.zeros(1, 1, hidden))
        embeddings.position_embeddings = nn.Parameter(torch.zeros(1, grid**2 + 1, hidden))
        place(embeddings, "patch_embeddings.projection", nn.Conv2d(3, hidden, config.patch, config.patch))
        layers = [ElasticEncoderLayer(config, NAMES, pre_norm=True) for _ in range(max(config.layers))]
        place(self, "vit.embeddings", embeddings)
        place(self, "vit.encoder.layer", nn.ModuleList(layers))
        place(self, "vit.layernorm", nn.LayerNorm(hidden, eps=config.norm_eps))
        self.classifier = nn.Linear(hidden, config.classes)
        # part of the weights: names alone, which `convert` changes, do not tell it
        self.register_buffer("norm_eps", torch.tensor(config.norm_eps, dtype=torch.float64))
        self.activate(self.space.largest())

    @property
    def encoder_layers(self) -> Sequence[ElasticEncoderLayer]:
        return cast("Sequence[ElasticEncoderLayer]", self.get_submodule("vit.encoder.layer"))

    def input_shape(self, arch: Architecture) -> tuple[int, ...]:
        side = arch.integer("r")
        return (3, side, side)

    def activate(self, arch: Architecture) -> None:
        self._active: list[LayerPlan] = self.plan(arch)

    def _embedding(self) -> tuple[nn.Module, Tensor, Tensor]:
        """The patches' projection, the class token and the position embeddings."""
        embeddings = self.get_submodule("vit.embeddings")
        return (
            embeddings.get_submodule("patch_embeddings.projection"),
            embeddings.get_parameter("cls_token"),
            embeddings.get_parameter("position_embeddings"),
        )

    def forward(self, *inputs: Tensor) -> Tensor:
        """Logits (N, classes) of images (N, 3, r, r)."""
        (x_NCHW,) = inputs
        patches, class_token, positions = self._embedding()
        x = embed(x_NCHW, patches, class_token, at_grid(positions, x_NCHW.shape[2] // self.config.patch))
        for layer, plan in zip(self.encoder_layers, self._active, strict=False):
            x = layer(x, plan)
        return self.classifier(self.get_submodule("vit.layernorm")(x[:, 0]))  # type: ignore[no-any-return]

    @torch.no_grad()
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

    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"norm_eps": torch.tensor(self.config.norm_eps, dtype=torch.float64), **own_names(state)}

    def tokens_array(self, rows: IntArray) -> IntArray:
        sides = np.array(self.config.resolutions)[rows[:, self.space.names.index("r")]]
        return (sides // self.config.patch) ** 2 + 1

    def outer_costs(self, tokens: IntArray) -> dict[str, FloatArray]:
        c = self.config
        pixels, head = 3 * c.patch**2, c.hidden * c.classes
        n = tokens.astype(np.float64)
        return {
            "macs": (n - 1) * pixels * c.hidden + head,
            "params": (pixels + n + 4) * c.hidden + head + c.classes,
            "activations": (n - 1) * c.hidden + c.classes,
        }


def own_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under Hugging Face's names, from its files, torchvision's or timm's; an unused pooler is left out."""
    renamed: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.startswith("vit.pooler."):
            continue
        if not name.startswith("vit."):
            for pattern, own in SPELLINGS:
                name = re.sub(pattern, own, name)
        if ".qkv." in name:
            parts = zip(("query", "key", "value"), value.chunk(3), strict=True)
            renamed |= {name.replace(".qkv.", f".{part}."): tensor for part, tensor in parts}
        else:
            renamed[name] = value
    return renamed


def _entry(name: str, summary: str, preprocess: Preprocess, get: str) -> SupernetEntry:
    return SupernetEntry(
        name=name,
        summary=summary,
        build=lambda: ElasticViT(ElasticViTConfig(name=name)),
        build_for=lambda state: ElasticViT(ElasticViTConfig.of(state, name)),
        task=ImageTask(preprocess),
        calibrated=False,
        card={
            "paper": "Dosovitskiy et al., 2021, arXiv 2010.11929; search space of DyNAS-T (Intel)",
            "code_licence": "Apache-2.0",
            "weights_licence": "that of the file you bring",
            "get": get,
        },
    )


B16 = _entry(
    "vit-b16",
    "ViT-B/16, ImageNet, 160–224 px, ImageNet's mean and deviation",
    Preprocess(crop=0.875),
    "a file of torchvision's vit_b_16, or of another ViT that was trained with ImageNet's mean and deviation",
)
B16_HALF = _entry(
    "vit-b16-half",
    "ViT-B/16, ImageNet, 160–224 px, mean and deviation 0.5",
    Preprocess((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "a file of Hugging Face's google/vit-base-patch16-224, or of another ViT that was trained with mean and deviation 0.5",
)
