"""Plain ResNets and MobileNetV2 in torchvision's layout, and as search spaces."""

from hwsearch.supernets.families.plain.entries import MOBILENET_V2, RESNET18, RESNET50
from hwsearch.supernets.families.plain.mobilenet_v2 import InvertedResidual, MobileNetV2
from hwsearch.supernets.families.plain.resnet import (
    BasicBlock,
    Bottleneck,
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
)
from hwsearch.supernets.families.plain.supernet import PlainSupernet

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "InvertedResidual",
    "MOBILENET_V2",
    "MobileNetV2",
    "PlainSupernet",
    "RESNET18",
    "RESNET50",
    "ResNet",
    "resnet101",
    "resnet152",
    "resnet18",
    "resnet34",
    "resnet50",
]
