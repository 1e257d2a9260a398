"""The shape of an elastic vision transformer, and how it is read from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt

from torch import Tensor

from hwsearch.errors import CheckpointError, SupernetError
from hwsearch.supernets.checkpoint.reading import shape_of
from hwsearch.supernets.families.encoder.config import EncoderConfig, count_layers, published_heads, scaled_choices
from hwsearch.supernets.families.vit.names import own_names

#: heads by width: DeiT tiny and small (Touvron et al., 2021, arXiv 2012.12877), ViT base, large and huge
HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}


#: what a file should be
EXPECTED = "A ViTForImageClassification of Hugging Face, or a ViT of torchvision or timm, is expected."


@dataclass(frozen=True, kw_only=True)
class ElasticViTConfig(EncoderConfig):
    """All that fixes the shape of the supernet; its defaults are those of ViT-B/16.

    Further fields are those of `EncoderConfig`.

    Attributes
    ----------
    norm_eps : float
        1e-6 in the paper's, torchvision's and timm's code, 1e-12 in Hugging Face's.
    patch : int
        Side of a patch in pixels.
    resolutions : tuple of int
        Elastic choice: sides in pixels; the position embeddings are those of the largest.
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
        """Read the configuration from a file's tensors.

        Parameters
        ----------
        state : mapping
            Name → tensor.
        name : str
            Name of the space where the shape is that of ViT-B/16 at 224 pixels.

        Returns
        -------
        ElasticViTConfig
            Configuration of the network that they fit.

        Raises
        ------
        CheckpointError
            If they are of another kind of model.
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
        heads = published_heads(hidden, HEADS)
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
