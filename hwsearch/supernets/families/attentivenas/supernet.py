"""Elastic MobileNetV3 with elastic widths: BigNAS, AttentiveNAS, AlphaNet.

State-dict names are those of the authors' files. Genes: ``r`` (input side in pixels), ``w[0]`` (stem), ``w[s + 1]``
(output channels of stage s), the last ``w`` (feature mix), ``d[s]``, ``ks[s]`` and ``e[s]`` (depth, kernel and
expansion, one for all blocks of a stage); what has one value only is no gene. The stored batch-norm statistics mean
nothing: a subnet must be recalibrated.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hwsearch._typing import FloatArray, IntArray
from hwsearch.spaces import Architecture
from hwsearch.spaces.choice import Value
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.families.attentivenas.blocks import ElasticWideBlock, WideBlockPlan
from hwsearch.supernets.families.attentivenas.config import AttentiveNASConfig
from hwsearch.supernets.families.attentivenas.costs import network_costs
from hwsearch.supernets.families.attentivenas.masked import MaskedAttentiveNAS
from hwsearch.supernets.families.mobilenetv3.subnet import MobileNetV3Subnet
from hwsearch.supernets.kernels import active
from hwsearch.supernets.kernels.masked import MaskedKernels
from hwsearch.supernets.layers.containers import GlobalAveragePool, Named
from hwsearch.supernets.layers.conv import ElasticClassifier, ElasticConv
from hwsearch.supernets.layers.naming import make_divisible
from hwsearch.supernets.layers.norm import ElasticBatchNorm


class AttentiveNAS(Supernet):
    """The weight-sharing supernet of AttentiveNAS and AlphaNet.

    Parameters
    ----------
    config : AttentiveNASConfig
        Shape and elastic choices; `space` has its genes.

    References
    ----------
    Yu et al., 2020, BigNAS, arXiv 2003.11142.
    Wang et al., 2021, AttentiveNAS, arXiv 2011.09011.
    Wang et al., 2021, AlphaNet, arXiv 2102.07954.
    """

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
        """Resolve all sizes of an architecture.

        Parameters
        ----------
        arch : Architecture
            Architecture of this space.

        Returns
        -------
        stem : int
            Channels of the stem.
        blocks : list of WideBlockPlan
            Blocks in order.
        mix : int
            Channels of the feature mix.

        Raises
        ------
        SpaceError
            If the architecture is of another space.
        """
        self.space.check_space(arch)
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

    @override
    def input_shape(self, arch: Architecture) -> tuple[int, int, int]:
        side = self._value(arch, "r")
        return (3, side, side)

    @override
    def activate(self, arch: Architecture) -> None:
        self._active = self.plan(arch)

    @override
    def forward(self, *inputs: Tensor) -> Tensor:
        kernels = active()
        if self.training and isinstance(kernels, MaskedKernels):
            return kernels.run(self, MaskedAttentiveNAS, self._active, inputs[0])
        stem, plans, mix = self._active
        x = self.first_conv.conv.normed(inputs[0], stem, self.first_conv.bn, "silu")
        for plan in plans:
            x = self.blocks[plan.index](x, plan)
        final, feature_mix = self.last_conv.final_expand_layer, self.last_conv.feature_mix_layer
        x = final.conv.normed(x, x.shape[1] * self.config.head_expansion, final.bn, "silu")
        x = F.silu(feature_mix.conv(x.mean((2, 3), keepdim=True), mix))
        return self.classifier.linear(torch.flatten(x, 1))  # type: ignore[no-any-return]

    @override
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
        """Leave out the statistics of the largest and the smallest network that the authors' files also hold.

        Parameters
        ----------
        state : mapping
            Name → tensor in the file.

        Returns
        -------
        dict
            Name in this network → tensor.
        """
        return {k: v for k, v in state.items() if ".bn_tracking." not in k}

    @override
    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        return network_costs(self.config, self.space, rows)
