"""Catalogue entries of AttentiveNAS and AlphaNet."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.families.attentivenas.config import AttentiveNASConfig
from hwsearch.supernets.families.attentivenas.supernet import AttentiveNAS
from hwsearch.tasks.images.preprocess import Preprocess
from hwsearch.tasks.images.task import ImageTask


def _build(name: str, state: Mapping[str, Tensor] | None = None) -> AttentiveNAS:
    bias = (state or {}).get("classifier.linear.linear.bias")
    return AttentiveNAS(AttentiveNASConfig(name, classes=len(bias) if bias is not None else 1000))


def _entry(name: str, title: str, file: str, paper: str, top1: dict[str, float]) -> SupernetEntry:
    return SupernetEntry(
        name=name,
        summary=f"{title}, ImageNet, 192–288 px",
        build=lambda: _build(name),
        build_for=lambda state: _build(name, state),
        task=ImageTask(Preprocess(crop=0.875, base=224)),
        card={
            "paper": paper,
            "code_licence": "CC-BY-NC-4.0 (the authors' code; this is an implementation of its own)",
            "weights_licence": "none stated; take them as non-commercial",
            "get": f"the file {file!r} that the authors' repository links to",
            "published_top1_percent": top1,
        },
    )


ATTENTIVENAS = _entry(
    "attentivenas",
    "AttentiveNAS MobileNetV3",
    "attentive_nas_pretrained.pth.tar",
    "Wang et al., 2021, arXiv 2011.09011",
    {"A0": 77.3, "A1": 78.4, "A2": 78.8, "A3": 79.1, "A4": 79.8, "A5": 80.1, "A6": 80.7},
)


ALPHANET = _entry(
    "alphanet",
    "AlphaNet MobileNetV3",
    "alphanet_pretrained.pth.tar",
    "Wang et al., 2021, arXiv 2102.07954",
    {"A0": 77.87, "A1": 78.94, "A2": 79.20, "A3": 79.41, "A4": 80.01, "A5": 80.29, "A6": 80.78},
)
