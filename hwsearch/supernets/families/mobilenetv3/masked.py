"""Elastic MobileNetV3 at full width: masks of middle channels, kernels and blocks as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn
from typing_extensions import override

from hwsearch.errors import SupernetError
from hwsearch.supernets.families.mobilenetv3.blocks import ElasticInvertedResidual
from hwsearch.supernets.families.mobilenetv3.config import BlockPlan
from hwsearch.supernets.kernels import ACTIVATIONS
from hwsearch.supernets.kernels.masked import MaskedForm, MaskLayout
from hwsearch.supernets.layers.masked import (
    full_conv,
    masked_channels,
    masked_depthwise,
    masked_norm,
    masked_squeeze_excite,
)
from hwsearch.supernets.layers.naming import make_divisible

if TYPE_CHECKING:
    from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3


class MaskedMobileNetV3(MaskedForm[Sequence[BlockPlan]]):
    """An elastic MobileNetV3 that runs every subnet with the shapes of the largest.

    Parameters
    ----------
    net : ElasticMobileNetV3
        The supernet, whose layers are used.

    Raises
    ------
    SupernetError
        If a stage can have no block at all.
    """

    def __init__(self, net: ElasticMobileNetV3) -> None:
        if any(0 in net.config.stage_depths(s) for s in range(len(net.config.stages))):
            raise SupernetError("masked kernels need a block in every stage.", hint="Use --kernels eager.")
        self.net: ElasticMobileNetV3 = net
        self.layout = MaskLayout()
        self._blocks = [
            (i, block) for i, block in enumerate(net.blocks[1:]) if isinstance(block, ElasticInvertedResidual)
        ]
        for i, block in self._blocks:
            depth = block.conv.depth_conv
            middle = depth.bn.bn.num_features
            self.layout.add(f"block {i}", 1)
            self.layout.add(f"middle {i}", middle)
            self.layout.add(f"kernels {i}", len(depth.conv.kernels))
            self.layout.add(f"squeeze {i}", make_divisible(middle // 4))

    @override
    def counts(self, plan: Sequence[BlockPlan]) -> dict[str, int]:
        found: dict[str, int] = {}
        blocks = dict(self._blocks)
        for p in plan:
            sides = blocks[p.index].conv.depth_conv.conv.kernels
            found |= {
                f"block {p.index}": 1,
                f"middle {p.index}": p.middle,
                f"kernels {p.index}": sides.index(p.kernel) + 1,
                f"squeeze {p.index}": make_divisible(p.middle // 4),
            }
        return found

    @override
    def unused(self, plan: Sequence[BlockPlan]) -> Iterator[nn.Parameter]:
        kernels = {p.index: p.kernel for p in plan}
        for i, block in self._blocks:
            if i not in kernels:
                yield from block.parameters()
                continue
            yield from block.conv.depth_conv.conv.unused(kernels[i])

    @override
    def forward(self, x_NCHW: Tensor, masks: Tensor) -> Tensor:
        return self.net.forward_ends(x_NCHW, lambda x: self._through(x, masks))

    def _through(self, x: Tensor, masks: Tensor) -> Tensor:
        for i, block in self._blocks:
            x = self._block(i, block, x, masks)
        return x

    def _block(self, i: int, block: ElasticInvertedResidual, x: Tensor, masks: Tensor) -> Tensor:
        """Run a block; one that the subnet does not have adds nothing to its input."""
        expand, depth, project = block.conv.inverted_bottleneck, block.conv.depth_conv, block.conv.point_linear
        act, view = ACTIVATIONS[block.act], self.layout.view
        gate, middle = view(masks, f"block {i}"), view(masks, f"middle {i}")
        y = act(masked_norm(expand.bn, full_conv(expand.conv, x), middle, gate))
        y = act(masked_norm(depth.bn, masked_depthwise(depth.conv, y, view(masks, f"kernels {i}")), middle, gate))
        if hasattr(depth, "se"):
            y = masked_squeeze_excite(depth.se, y, view(masks, f"squeeze {i}"))
        y = masked_norm(project.bn, full_conv(project.conv, y), None, gate)
        residual = depth.conv.stride == 1 and x.shape[1] == y.shape[1]
        return x + masked_channels(y, gate) if residual else y
