"""Plain ResNets and MobileNetV2, as they are trained everywhere, and as search spaces.

ResNet (He, Zhang, Ren, Sun, 2015, arXiv 1512.03385), with the stride of a bottleneck on its 3×3 convolution, and
MobileNetV2 (Sandler et al., 2018, arXiv 1801.04381). State-dict names are those of torchvision, whose files load
unchanged. The catalogue's entries declare them elastic (`hwsearch.supernets.declared.module`) and sort the channels of a
plain file by importance, so that narrow subnets keep what matters most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hwsearch.errors import CheckpointError
from hwsearch.supernets.declared.module import Declaration, Depth, ElasticModule, Width
from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.layers.naming import make_divisible
from hwsearch.tasks.images.preprocess import Preprocess
from hwsearch.tasks.images.task import ImageTask


# ---------------------------------------------------------------------- ResNet
class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a residual."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x_NCHW)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x_NCHW if self.downsample is None else self.downsample(x_NCHW)))  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 convolutions and a residual; the output is four times as wide as the middle."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x_NCHW)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + (x_NCHW if self.downsample is None else self.downsample(x_NCHW)))  # type: ignore[no-any-return]


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    """Stem, four stages of residual blocks, pool, classifier.

    depths : blocks of each stage; width : channels of the stem and of the first stage's blocks, 64 as published
    """

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: tuple[int, int, int, int],
        classes: int = 1000,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = width
        for s, depth in enumerate(depths):
            middle = width * 2**s
            blocks = []
            for j in range(depth):
                blocks.append(block(inputs, middle, 2 if s and j == 0 else 1))
                inputs = middle * block.expansion
            self.add_module(f"layer{s + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inputs, classes)
        _initialise(self)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x_NCHW))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))  # type: ignore[no-any-return]


def resnet18(classes: int = 1000, width: int = 64) -> ResNet:
    return ResNet(BasicBlock, (2, 2, 2, 2), classes, width)


def resnet34(classes: int = 1000, width: int = 64) -> ResNet:
    return ResNet(BasicBlock, (3, 4, 6, 3), classes, width)


def resnet50(classes: int = 1000, width: int = 64) -> ResNet:
    return ResNet(Bottleneck, (3, 4, 6, 3), classes, width)


def resnet101(classes: int = 1000, width: int = 64) -> ResNet:
    return ResNet(Bottleneck, (3, 4, 23, 3), classes, width)


def resnet152(classes: int = 1000, width: int = 64) -> ResNet:
    return ResNet(Bottleneck, (3, 8, 36, 3), classes, width)


# ---------------------------------------------------------------------- MobileNetV2
#: expansion, output channels, blocks and first stride of each stage (Table 2 of the paper)
MOBILENET_V2_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _conv_bn_act(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU6(inplace=True))


class InvertedResidual(nn.Module):
    """1×1 expansion, 3×3 depth-wise and 1×1 projecting convolutions; a residual where the shape stays."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = inputs * expansion
        layers: list[nn.Module] = [_conv_bn_act(inputs, middle, 1)] if expansion > 1 else []
        layers.append(_conv_bn_act(middle, middle, 3, stride, groups=middle))
        layers += [nn.Conv2d(middle, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x_NCHW: Tensor) -> Tensor:
        y: Tensor = self.conv(x_NCHW)
        return x_NCHW + y if self.residual else y


class MobileNetV2(nn.Module):
    """Stem, inverted residuals, last convolution, pool, classifier. width : multiplier of all channels"""

    def __init__(self, classes: int = 1000, width: float = 1.0) -> None:
        super().__init__()
        inputs = make_divisible(32 * width)
        layers: list[nn.Module] = [_conv_bn_act(3, inputs, 3, 2)]
        for expansion, channels, blocks, stride in MOBILENET_V2_STAGES:
            for j in range(blocks):
                outputs = make_divisible(channels * width)
                layers.append(InvertedResidual(inputs, outputs, stride if j == 0 else 1, expansion))
                inputs = outputs
        last = make_divisible(1280 * max(1.0, width))
        layers.append(_conv_bn_act(inputs, last, 1))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))
        _initialise(self)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x_NCHW)), 1))  # type: ignore[no-any-return]


def _initialise(net: nn.Module) -> None:
    """Convolutions as in He et al., 2015, arXiv 1502.01852, by fan out; norms and linears keep torch's initial values."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


# ---------------------------------------------------------------------- as search spaces
SHARES = (0.5, 0.75, 1.0)
RESOLUTIONS = tuple(range(128, 225, 16))


class PlainSupernet(ElasticModule):
    """A declared plain network whose channels are sorted when a plain file is loaded.

    A file saved by this class says so in the tensor ``importance_sorted``: its slices were trained as they are, and
    loading leaves them in their order.
    """

    importance_sorted: Tensor

    def __init__(self, model: nn.Module, declaration: Declaration, **options: Any) -> None:
        super().__init__(model, declaration, **options)
        self.register_buffer("importance_sorted", torch.tensor(True))

    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"importance_sorted": torch.tensor(False), **state}

    def after_loading(self) -> None:
        if not self.importance_sorted:
            self.sort_channels()
            self.importance_sorted.fill_(True)


def resnet_declaration(depths: tuple[int, int, int, int], expansion: int) -> dict[str, Any]:
    """Widths inside every block, and up to two blocks less in each stage."""
    widths = {f"layer*.*.conv{i}": Width(SHARES) for i in ((1,) if expansion == 1 else (1, 2))}
    return widths | {f"layer{s}": Depth(tuple(range(max(1, d - 2), d + 1))) for s, d in enumerate(depths, 1)}


def mobilenet_v2_declaration() -> dict[str, Any]:
    """Expanded widths of every block with an expansion, and one block to all of each stage of several blocks."""
    declared: dict[str, Any] = {f"features.{i}.conv.0.0": Width(SHARES) for i in range(2, 18)}
    depths, first = [], 1
    for _, _, blocks, _ in MOBILENET_V2_STAGES:
        if blocks > 1:
            depths.append(Depth(tuple(range(1, blocks + 1)), children=range(first, first + blocks)))
        first += blocks
    return declared | {"features": depths}


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
