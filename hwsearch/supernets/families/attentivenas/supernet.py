"""Elastic MobileNetV3 with elastic widths: BigNAS, AttentiveNAS, AlphaNet."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SpaceError
from hwsearch.spaces import Architecture
from hwsearch.spaces.choice import Value
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.families.attentivenas.blocks import ElasticWideBlock, WideBlockPlan
from hwsearch.supernets.families.attentivenas.config import AttentiveNASConfig
from hwsearch.supernets.families.attentivenas.costs import network_costs
from hwsearch.supernets.families.mobilenetv3.subnet import MobileNetV3Subnet
from hwsearch.supernets.layers.containers import GlobalAveragePool, Named
from hwsearch.supernets.layers.conv import ElasticClassifier, ElasticConv
from hwsearch.supernets.layers.naming import make_divisible
from hwsearch.supernets.layers.norm import ElasticBatchNorm


class AttentiveNAS(Supernet):
    """The weight-sharing supernet. See `AttentiveNASConfig` for its shape and `space` for its genes."""

    def __init__(self, config: AttentiveNASConfig) -> None:
        super().__init__()
        self.config, self.space, self.classes = config, config.search_space(), config.classes
        self._fixed = {n: v[0] for n, v in config.options().items() if len(v) == 1}
        eps, inputs = config.bn_eps, max(config.stem)
        self.first_conv = Named(conv=ElasticConv(3, inputs, 3, 2), bn=ElasticBatchNorm(inputs, eps))
        blocks: list[nn.Module] = []
        for _, s, j in config.positions():
            stage = config.stages[s]
            blocks.append(ElasticWideBlock(stage, inputs, stage.stride if j == 0 else 1, eps))
            inputs = max(stage.widths)
        self.blocks = nn.ModuleList(blocks)
        final, mix = inputs * config.head_expansion, max(config.mix)
        self.last_conv = Named(
            final_expand_layer=Named(conv=ElasticConv(inputs, final), bn=ElasticBatchNorm(final, eps)),
            feature_mix_layer=Named(conv=ElasticConv(final, mix)),
        )
        self.classifier = Named(linear=ElasticClassifier(mix, config.classes))
        self._active = self.plan(self.space.largest())

    def _value(self, arch: Architecture, name: str) -> int:
        value: Value = arch[name] if name in arch else self._fixed[name]
        return int(value)

    def plan(self, arch: Architecture) -> tuple[int, list[WideBlockPlan], int]:
        """(stem channels, blocks, feature-mix channels) of `arch`, all sizes resolved."""
        if arch.space_name != self.space.name:
            raise SpaceError(f"architecture {arch.id} is of space {arch.space_name!r}, not {self.space.name!r}.")
        c = self.config
        value = lambda name: self._value(arch, name)  # noqa: E731
        stem, side = value("w[0]"), -(-value("r") // 2)
        plans, inputs = [], stem
        for i, s, j in c.positions():
            if j >= value(f"d[{s}]"):
                continue
            outputs, stride = value(f"w[{s + 1}]"), c.stages[s].stride if j == 0 else 1
            middle = make_divisible(inputs * value(f"e[{s}]"))
            plans.append(WideBlockPlan(i, inputs, middle, outputs, value(f"ks[{s}]"), stride, side))
            inputs, side = outputs, -(-side // stride)
        return stem, plans, value(f"w[{len(c.stages) + 1}]")

    def input_shape(self, arch: Architecture) -> tuple[int, int, int]:
        side = self._value(arch, "r")
        return (3, side, side)

    def activate(self, arch: Architecture) -> None:
        self._active = self.plan(arch)

    def forward(self, *inputs: Tensor) -> Tensor:
        stem, plans, mix = self._active
        x = F.silu(self.first_conv.bn(self.first_conv.conv(inputs[0], stem)))
        for plan in plans:
            x = self.blocks[plan.index](x, plan)
        final, feature_mix = self.last_conv.final_expand_layer, self.last_conv.feature_mix_layer
        x = F.silu(final.bn(final.conv(x, x.shape[1] * self.config.head_expansion)))
        x = F.silu(feature_mix.conv(x.mean((2, 3), keepdim=True), mix))
        return self.classifier.linear(torch.flatten(x, 1))  # type: ignore[no-any-return]

    def subnet(self, arch: Architecture) -> MobileNetV3Subnet:
        stem, plans, mix = self.plan(arch)
        first, final = self.first_conv, self.last_conv.final_expand_layer
        outputs = plans[-1].outputs
        wide = outputs * self.config.head_expansion
        head = nn.Sequential(
            *(final.conv.static(outputs, wide), final.bn.static(wide), nn.SiLU()),
            *(GlobalAveragePool(), self.last_conv.feature_mix_layer.conv.static(wide, mix), nn.SiLU()),
        )
        blocks = [self.blocks[p.index].static(p) for p in plans]  # type: ignore[operator]
        entry = nn.Sequential(first.conv.static(3, stem), first.bn.static(stem), nn.SiLU())
        return MobileNetV3Subnet(entry, blocks, head, self.classifier.linear.static(mix)).train(self.training)

    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Leaves out the statistics of the largest and the smallest network that the authors' files hold besides."""
        return {k: v for k, v in state.items() if ".bn_tracking." not in k}

    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        return network_costs(self.config, self.space, rows)
