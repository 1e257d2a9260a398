"""Elastic ResNet at full width: masks of all widths, and of blocks, as data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hwsearch.supernets.families.resnet.blocks import ElasticBottleneck, ResNetPlan
from hwsearch.supernets.kernels.masked import MaskedForm, MaskLayout
from hwsearch.supernets.layers.masked import full_conv, masked_channels, masked_norm

if TYPE_CHECKING:
    from hwsearch.supernets.families.resnet.supernet import ElasticResNet


class MaskedResNet(MaskedForm[ResNetPlan]):
    """An elastic ResNet that runs every subnet with the shapes of the largest.

    Parameters
    ----------
    net : ElasticResNet
        The supernet, whose layers are used.
    """

    def __init__(self, net: ElasticResNet) -> None:
        self.net: ElasticResNet = net
        self.layout = MaskLayout()
        entry, _, last = net.input_stem
        self.layout.add("always", 1)
        self.layout.add("stem residual", 1)
        self.layout.add("stem", _channels(entry))
        self.layout.add("stem output", _channels(last))
        self._blocks = [(i, b) for i, b in enumerate(net.blocks) if isinstance(b, ElasticBottleneck)]
        for i, block in self._blocks:
            self.layout.add(f"block {i}", 1)
            self.layout.add(f"middle {i}", _channels(block.conv1))
            self.layout.add(f"outputs {i}", _channels(block.conv3))

    @override
    def counts(self, plan: ResNetPlan) -> dict[str, int]:
        (stem, wide, residual), blocks = plan
        found = {"always": 1, "stem residual": int(residual), "stem": stem, "stem output": wide}
        for p in blocks:
            found |= {f"block {p.index}": 1, f"middle {p.index}": p.middle, f"outputs {p.index}": p.outputs}
        return found

    @override
    def unused(self, plan: ResNetPlan) -> Iterator[nn.Parameter]:
        (_, _, residual), blocks = plan
        if not residual:
            yield from self.net.input_stem[1].parameters()
        present = {p.index for p in blocks}
        for i, block in self._blocks:
            if i not in present:
                yield from block.parameters()

    @override
    def forward(self, x_NCHW: Tensor, masks: Tensor) -> Tensor:
        def view(name: str) -> Tensor:
            return self.layout.view(masks, name)

        always, stem, residual = view("always"), view("stem"), view("stem residual")
        entry, middle, last = self.net.input_stem
        x = F.relu(_normed(entry, x_NCHW, stem, always))
        x = x + masked_channels(F.relu(_normed(middle.conv, x, stem, residual)), residual)
        x = F.max_pool2d(F.relu(_normed(last, x, view("stem output"), always)), 3, 2, 1)
        for i, block in self._blocks:
            x = self._block(block, x, view(f"middle {i}"), view(f"outputs {i}"), view(f"block {i}"))
        return self.net.classifier.linear(x.mean((2, 3)))  # type: ignore[no-any-return]

    def _block(self, block: ElasticBottleneck, x: Tensor, middle: Tensor, outputs: Tensor, gate: Tensor) -> Tensor:
        """Run a block; one that the subnet does not have gives its input, which is the output of a ReLU, back."""
        y = F.relu(_normed(block.conv1, x, middle, gate))
        y = F.relu(_normed(block.conv2, y, middle, gate))
        y = _normed(block.conv3, y, outputs, gate)  # all zeros then, as no output is on
        if hasattr(block, "downsample"):
            stride = block.conv2.conv.stride
            pooled = F.avg_pool2d(x, stride, stride, 0, True) if stride > 1 else x
            x = _normed(block.downsample, pooled, outputs, gate)
        return F.relu(y + x)


def _normed(layer: Tensor | nn.Module, x: Tensor, mask: Tensor, gate: Tensor) -> Tensor:
    return masked_norm(layer.bn, full_conv(layer.conv, x), mask, gate)  # type: ignore[arg-type, union-attr]


def _channels(layer: nn.Module) -> int:
    return int(layer.bn.bn.num_features)  # type: ignore[union-attr, arg-type]
