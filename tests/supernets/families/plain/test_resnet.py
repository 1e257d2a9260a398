"""Plain ResNets: published numbers of parameters, names and shapes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from hwsearch.supernets.families.plain.resnet import (
    BasicBlock,
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
)


@pytest.mark.parametrize(
    ("build", "params"),
    [
        (resnet18, 11_689_512),
        (resnet34, 21_797_672),
        (resnet50, 25_557_032),
        (resnet101, 44_549_160),
        (resnet152, 60_192_808),
    ],
)
def test_numbers_of_parameters_are_those_of_torchvision(build: Callable[[], ResNet], params: int) -> None:
    with torch.device("meta"):
        net = build()
    assert sum(p.numel() for p in net.parameters()) == params


def test_stages_halve_the_side_and_double_the_width() -> None:
    net = resnet18(classes=5, width=8).eval()
    x = net.maxpool(net.conv1(torch.zeros(1, 3, 64, 64)))
    shapes = []
    for stage in (net.layer1, net.layer2, net.layer3, net.layer4):
        x = stage(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(8, 16, 16), (16, 8, 8), (32, 4, 4), (64, 2, 2)]
    assert net(torch.zeros(2, 3, 64, 64)).shape == (2, 5)


@torch.no_grad()
def test_a_block_adds_its_input() -> None:
    block = BasicBlock(4, 4, 1).eval()
    nn.init.zeros_(block.bn2.weight)
    x = torch.rand(1, 4, 5, 5)
    assert block.downsample is None and torch.equal(block(x), x)
    assert BasicBlock(4, 4, 2).downsample is not None and BasicBlock(4, 8, 1).downsample is not None
