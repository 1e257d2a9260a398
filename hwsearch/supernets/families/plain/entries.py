"""Catalogue entries of plain ResNets and MobileNetV2, whose torchvision files load unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from hwsearch.errors import CheckpointError
from hwsearch.supernets.declared.declaration import Declaration
from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.families.plain.mobilenet_v2 import MobileNetV2
from hwsearch.supernets.families.plain.resnet import BasicBlock, Bottleneck, resnet18, resnet50
from hwsearch.supernets.families.plain.supernet import (
    RESOLUTIONS,
    PlainSupernet,
    mobilenet_v2_declaration,
    resnet_declaration,
)
from hwsearch.tasks.images.preprocess import Preprocess
from hwsearch.tasks.images.task import ImageTask


def _entry(
    name: str, title: str, paper: str, top1: float, model: Callable[[int], nn.Module], declared: Declaration, head: str
) -> SupernetEntry:
    def build(classes: int = 1000) -> PlainSupernet:
        return PlainSupernet(model(classes), declared, name=name, resolutions=RESOLUTIONS)

    def build_for(state: Mapping[str, Tensor]) -> PlainSupernet:
        weight = state.get(head)
        if weight is None or weight.ndim != 2:
            raise CheckpointError(f"the file has no matrix {head!r}, from which the number of classes is read.")
        return build(len(weight))

    return SupernetEntry(
        name=name,
        summary=f"{title} with elastic widths and depths, ImageNet, {RESOLUTIONS[0]}–{RESOLUTIONS[-1]} px",
        build=build,
        build_for=build_for,
        task=ImageTask(Preprocess(crop=0.875)),
        card={
            "paper": paper,
            "code_licence": "BSD-3-Clause (torchvision)",
            "weights_licence": "none stated separately",
            "get": f"the state dict of torchvision.models.{name.replace('-', '_')} with ImageNet weights, or your own of that layout",
            "published_top1_percent": {"the plain network (IMAGENET1K_V1)": top1},
            "note": "The weights are those of one plain network: subnets cut from it need fine-tuning or supernet training.",
        },
    )


RESNET18 = _entry(
    "resnet18",
    "ResNet-18",
    "He et al., 2015, arXiv 1512.03385",
    69.758,
    resnet18,
    resnet_declaration((2, 2, 2, 2), BasicBlock.expansion),
    "fc.weight",
)


RESNET50 = _entry(
    "resnet50",
    "ResNet-50",
    "He et al., 2015, arXiv 1512.03385",
    76.130,
    resnet50,
    resnet_declaration((3, 4, 6, 3), Bottleneck.expansion),
    "fc.weight",
)


MOBILENET_V2 = _entry(
    "mobilenet-v2",
    "MobileNetV2",
    "Sandler et al., 2018, arXiv 1801.04381",
    71.878,
    MobileNetV2,
    mobilenet_v2_declaration(),
    "classifier.1.weight",
)
