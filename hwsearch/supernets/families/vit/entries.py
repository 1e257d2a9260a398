"""Catalogue entries of ViT-B/16 for two conventions of preprocessing."""

from __future__ import annotations

from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.families.vit.config import ElasticViTConfig
from hwsearch.supernets.families.vit.supernet import ElasticViT
from hwsearch.tasks.images.preprocess import Preprocess
from hwsearch.tasks.images.task import ImageTask


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
