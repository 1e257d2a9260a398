"""AttentiveNAS and AlphaNet at full width: masks of all widths, kernels, blocks and shortcuts as data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hwsearch.errors import SupernetError
from hwsearch.supernets.families.attentivenas.blocks import ElasticWideBlock, WideBlockPlan
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
    from hwsearch.supernets.families.attentivenas.supernet import AttentiveNAS

#: channels of the stem, blocks, channels of the feature mix
WidePlan = tuple[int, list[WideBlockPlan], int]


class MaskedAttentiveNAS(MaskedForm[WidePlan]):
    """An AttentiveNAS that runs every subnet with the shapes of the largest.

    Parameters
    ----------
    net : AttentiveNAS
        The supernet, whose layers are used.

    Raises
    ------
    SupernetError
        If a stage can have no block at all.
    """

    def __init__(self, net: AttentiveNAS) -> None:
        if any(0 in stage.depths for stage in net.config.stages):
            raise SupernetError("masked kernels need a block in every stage.", hint="Use --kernels eager.")
        self.net: AttentiveNAS = net
        self.layout = MaskLayout()
        self._blocks = [block for block in net.blocks if isinstance(block, ElasticWideBlock)]
        final = net.last_conv.final_expand_layer
        self.layout.add("always", 1)
        self.layout.add("stem", net.first_conv.bn.bn.num_features)
        self.layout.add("final", final.bn.bn.num_features)
        self.layout.add("mix", net.last_conv.feature_mix_layer.conv.conv.out_channels)
        for i, block in enumerate(self._blocks):
            depth, project = block.mobile_inverted_conv.depth_conv, block.mobile_inverted_conv.point_linear
            middle = depth.bn.bn.num_features
            self.layout.add(f"block {i}", 1)
            self.layout.add(f"middle {i}", middle)
            self.layout.add(f"kernels {i}", len(depth.conv.kernels))
            self.layout.add(f"squeeze {i}", make_divisible(middle // 4))
            self.layout.add(f"outputs {i}", project.bn.bn.num_features)
            self.layout.add(f"shortcut {i}", 1)

    @override
    def counts(self, plan: WidePlan) -> dict[str, int]:
        stem, blocks, mix = plan
        final = blocks[-1].outputs * self.net.config.head_expansion
        found = {"always": 1, "stem": stem, "final": final, "mix": mix}
        for p in blocks:
            block = self._blocks[p.index]
            middle = p.middle if block.expands else p.inputs
            found |= {
                f"block {p.index}": 1,
                f"middle {p.index}": middle,
                f"kernels {p.index}": block.mobile_inverted_conv.depth_conv.conv.kernels.index(p.kernel) + 1,
                f"squeeze {p.index}": make_divisible(middle // 4),
                f"outputs {p.index}": p.outputs,
                f"shortcut {p.index}": int(p.inputs != p.outputs),
            }
        return found

    @override
    def unused(self, plan: WidePlan) -> Iterator[nn.Parameter]:
        plans = {p.index: p for p in plan[1]}
        for i, block in enumerate(self._blocks):
            if i not in plans:
                yield from block.parameters()
            elif plans[i].inputs == plans[i].outputs:
                yield from block.shortcut.parameters()

    @override
    def forward(self, x_NCHW: Tensor, masks: Tensor) -> Tensor:
        net, view = self.net, self.layout.view
        always, first = view(masks, "always"), net.first_conv
        final, mix = net.last_conv.final_expand_layer, net.last_conv.feature_mix_layer
        x = F.silu(masked_norm(first.bn, full_conv(first.conv, x_NCHW), view(masks, "stem"), always))
        for i, block in enumerate(self._blocks):
            x = self._block(i, block, x, masks)
        x = F.silu(masked_norm(final.bn, full_conv(final.conv, x), view(masks, "final"), always))
        x = F.silu(masked_channels(full_conv(mix.conv, x.mean((2, 3), keepdim=True)), view(masks, "mix")))
        return net.classifier.linear(torch.flatten(x, 1))  # type: ignore[no-any-return]

    def _block(self, i: int, block: ElasticWideBlock, x: Tensor, masks: Tensor) -> Tensor:
        """Run a block; one that the subnet does not have returns its input."""
        layers, view, y = block.mobile_inverted_conv, self.layout.view, x
        depth, project = layers.depth_conv, layers.point_linear
        gate, middle, outputs = view(masks, f"block {i}"), view(masks, f"middle {i}"), view(masks, f"outputs {i}")
        if block.expands:
            expand = layers.inverted_bottleneck
            y = F.silu(masked_norm(expand.bn, full_conv(expand.conv, y), middle, gate))
        y = masked_depthwise(depth.conv, y, view(masks, f"kernels {i}"))
        y = F.silu(masked_norm(depth.bn, y, middle, gate))
        if block.se:
            y = masked_squeeze_excite(depth.se, y, view(masks, f"squeeze {i}"))
        y = masked_norm(project.bn, full_conv(project.conv, y), outputs, gate)
        stride, same, left = depth.conv.stride, x, view(masks, f"shortcut {i}")
        if stride > 1:
            same = F.avg_pool2d(x, stride, stride, x.shape[-1] % 2)
        # of equal widths the shortcut is the input, at full width cut or filled up with channels that are zero
        more = y.shape[1] - same.shape[1]
        short = masked_channels(full_conv(block.shortcut.conv, same), outputs * left)
        y = y + short + masked_channels(F.pad(same, (0, 0, 0, 0, 0, more)), 1 - left)
        if stride > 1 or x.shape[1] != y.shape[1]:
            return y  # the first of its stage, which every subnet has
        return masked_channels(y, gate) + masked_channels(x, 1 - gate)
