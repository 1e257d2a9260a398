"""ResNets with torchvision's state-dict names; bottlenecks stride in their 3×3 convolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from hwsearch.supernets.families.plain.init import init_convolutions


# ---------------------------------------------------------------------- ResNet
class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a residual.

    Parameters
    ----------
    inputs : int
        Input channels.
    width : int
        Channels of both convolutions.
    stride : int
        Stride of the first.
    """

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    @override
    def forward(self, x_NCHW: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x_NCHW)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + (x_NCHW if self.downsample is None else self.downsample(x_NCHW)))  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1 convolutions and a residual; the output is four times as wide as the middle.

    Parameters
    ----------
    inputs : int
        Input channels.
    width : int
        Middle channels.
    stride : int
        Stride of the 3×3 convolution.
    """

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

    @override
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
    """ResNet: stem, four stages of residual blocks, pool, classifier.

    Parameters
    ----------
    block : type
        `BasicBlock` or `Bottleneck`.
    depths : tuple of int
        Blocks of each stage.
    classes : int, default 1000
        Number of classes.
    width : int, default 64
        Channels of the stem and of the first stage's blocks.

    References
    ----------
    He, Zhang, Ren, Sun, 2015, Deep Residual Learning, arXiv 1512.03385.
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
        init_convolutions(self)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Compute logits of images.

        Parameters
        ----------
        x_NCHW : Tensor
            Images of shape (N, 3, H, W).

        Returns
        -------
        Tensor
            Logits of shape (N, classes).
        """
        x = self.maxpool(self.relu(self.bn1(self.conv1(x_NCHW))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))  # type: ignore[no-any-return]


def resnet18(classes: int = 1000, width: int = 64) -> ResNet:
    """Build a ResNet-18.

    Parameters
    ----------
    classes : int, default 1000
        Number of classes.
    width : int, default 64
        Channels of the stem.

    Returns
    -------
    ResNet
        The network, with random weights.
    """
    return ResNet(BasicBlock, (2, 2, 2, 2), classes, width)


def resnet34(classes: int = 1000, width: int = 64) -> ResNet:
    """Build a ResNet-34.

    Parameters
    ----------
    classes : int, default 1000
        Number of classes.
    width : int, default 64
        Channels of the stem.

    Returns
    -------
    ResNet
        The network, with random weights.
    """
    return ResNet(BasicBlock, (3, 4, 6, 3), classes, width)


def resnet50(classes: int = 1000, width: int = 64) -> ResNet:
    """Build a ResNet-50.

    Parameters
    ----------
    classes : int, default 1000
        Number of classes.
    width : int, default 64
        Channels of the stem.

    Returns
    -------
    ResNet
        The network, with random weights.
    """
    return ResNet(Bottleneck, (3, 4, 6, 3), classes, width)


def resnet101(classes: int = 1000, width: int = 64) -> ResNet:
    """Build a ResNet-101.

    Parameters
    ----------
    classes : int, default 1000
        Number of classes.
    width : int, default 64
        Channels of the stem.

    Returns
    -------
    ResNet
        The network, with random weights.
    """
    return ResNet(Bottleneck, (3, 4, 23, 3), classes, width)


def resnet152(classes: int = 1000, width: int = 64) -> ResNet:
    """Build a ResNet-152.

    Parameters
    ----------
    classes : int, default 1000
        Number of classes.
    width : int, default 64
        Channels of the stem.

    Returns
    -------
    ResNet
        The network, with random weights.
    """
    return ResNet(Bottleneck, (3, 8, 36, 3), classes, width)
