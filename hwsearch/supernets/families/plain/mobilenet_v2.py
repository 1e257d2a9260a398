"""MobileNetV2 with torchvision's state-dict names."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from typing_extensions import override

from hwsearch.supernets.families.plain.init import init_convolutions
from hwsearch.supernets.layers.naming import make_divisible

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
    """1×1 expansion, 3×3 depth-wise and 1×1 projecting convolutions; a residual where the shape stays.

    Parameters
    ----------
    inputs : int
        Input channels.
    outputs : int
        Output channels.
    stride : int
        Stride.
    expansion : int
        Middle channels by input channels.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = inputs * expansion
        layers: list[nn.Module] = [_conv_bn_act(inputs, middle, 1)] if expansion > 1 else []
        layers.append(_conv_bn_act(middle, middle, 3, stride, groups=middle))
        layers += [nn.Conv2d(middle, outputs, 1, bias=False), nn.BatchNorm2d(outputs)]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    @override
    def forward(self, x_NCHW: Tensor) -> Tensor:
        y: Tensor = self.conv(x_NCHW)
        return x_NCHW + y if self.residual else y


class MobileNetV2(nn.Module):
    """MobileNetV2: stem, inverted residuals, last convolution, pool, classifier.

    Parameters
    ----------
    classes : int, default 1000
        Number of classes.
    width : float, default 1.0
        Multiplier of all channels.

    References
    ----------
    Sandler et al., 2018, MobileNetV2, arXiv 1801.04381.
    """

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
        return self.classifier(torch.flatten(self.avgpool(self.features(x_NCHW)), 1))  # type: ignore[no-any-return]
