"""Elastic ResNet-50-D: width, expansion, depth and resolution can be chosen.

Family of Once-for-All (Cai, Gan, Wang, Zhang, Han, 2020, arXiv 1908.09791) on the bottleneck blocks of ResNet (He et
al., 2015, arXiv 1512.03385) with the stem and the pooled shortcuts of ResNet-D (He et al., 2018, arXiv 1812.01187).
State-dict names are those of the reference implementation. Genes: ``r`` (input side in pixels), ``d[0]`` (0: the
stem's residual is left out, 2: kept), ``d[s + 1]`` (blocks of stage s beyond its fewest), ``w[0]`` and ``w[1]``
(width multipliers of the stem), ``w[s + 2]`` (of stage s), and for block i over all stages ``e[i]`` (middle width as
a share of the output width).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hwsearch._typing import FloatArray, IntArray
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.families.resnet.blocks import (
    BottleneckPlan,
    ElasticBottleneck,
    ResNetPlan,
    StemResidual,
    elastic_conv_norm,
    static_conv_norm,
)
from hwsearch.supernets.families.resnet.config import ResNetConfig
from hwsearch.supernets.families.resnet.costs import network_costs
from hwsearch.supernets.families.resnet.masked import MaskedResNet
from hwsearch.supernets.families.resnet.subnet import ResNetSubnet
from hwsearch.supernets.kernels import active
from hwsearch.supernets.kernels.masked import MaskedKernels
from hwsearch.supernets.layers.containers import Named
from hwsearch.supernets.layers.conv import ElasticClassifier
from hwsearch.supernets.layers.naming import make_divisible, renamed

#: layer names of the authors' files of 2020 (static spelling), and those of today
SPELLINGS = ((".linear.", ".linear.linear."), ("bn.", "bn.bn."), ("conv.weight", "conv.conv.weight"))


class ElasticResNet(Supernet):
    """The weight-sharing ResNet-50-D supernet of Once-for-All.

    Parameters
    ----------
    config : ResNetConfig
        Shape and elastic choices; `space` has its genes.
    """

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config, self.space, self.classes = config, config.search_space(), config.classes
        c, eps = config, config.bn_eps
        widest = [c.channels(p, max(c.multipliers)) for p in range(len(c.bases))]
        self.input_stem = nn.ModuleList(
            [
                elastic_conv_norm(3, widest[0], 3, 2, eps),
                Named(conv=elastic_conv_norm(widest[0], widest[0], 3, 1, eps)),
                elastic_conv_norm(widest[0], widest[1], 3, 1, eps),
            ]
        )
        blocks: list[nn.Module] = []
        inputs = widest[1]
        for _, s, j in c.positions():
            middle = make_divisible(round(widest[s + 2] * max(c.expansions)))
            stride = c.strides[s] if j == 0 else 1
            blocks.append(ElasticBottleneck(inputs, middle, widest[s + 2], stride, eps, first=j == 0))
            inputs = widest[s + 2]
        self.blocks = nn.ModuleList(blocks)
        self.classifier = Named(linear=ElasticClassifier(inputs, c.classes))
        self._active = self.plan(self.space.largest())

    def plan(self, arch: Architecture) -> ResNetPlan:
        """Resolve all sizes of an architecture.

        Parameters
        ----------
        arch : Architecture
            Architecture of this space.

        Returns
        -------
        stem : tuple of (int, int, bool)
            Channels of the stem, of its output, and whether its residual is kept.
        blocks : list of BottleneckPlan
            Blocks in order.

        Raises
        ------
        SpaceError
            If the architecture is of another space.
        """
        self.space.check_space(arch)
        c = self.config
        width = [c.channels(p, float(arch[f"w[{p}]"])) for p in range(len(c.bases))]
        plans, inputs = [], width[1]
        for i, s, j in c.positions():
            if j >= c.blocks[s] + arch.integer(f"d[{s + 1}]"):
                continue
            outputs = width[s + 2]
            middle = make_divisible(round(outputs * float(arch[f"e[{i}]"])))
            plans.append(BottleneckPlan(i, inputs, middle, outputs, c.strides[s] if j == 0 else 1, j == 0))
            inputs = outputs
        return (width[0], width[1], arch.integer("d[0]") > 0), plans

    @override
    def input_shape(self, arch: Architecture) -> tuple[int, int, int]:
        return (3, arch.integer("r"), arch.integer("r"))

    @override
    def activate(self, arch: Architecture) -> None:
        self._active = self.plan(arch)

    @override
    def forward(self, *inputs: Tensor) -> Tensor:
        kernels = active()
        if self.training and isinstance(kernels, MaskedKernels):
            return kernels.run(self, MaskedResNet, self._active, inputs[0])
        (stem, wide, residual), plans = self._active
        entry, middle, last = self.input_stem
        x = entry.conv.normed(inputs[0], stem, entry.bn, "relu")  # type: ignore[operator, union-attr]
        if residual:
            x = middle.conv.conv.normed(x, stem, middle.conv.bn, "relu", x)  # type: ignore[operator, union-attr]
        x = last.conv.normed(x, wide, last.bn, "relu")  # type: ignore[operator, union-attr]
        x = F.max_pool2d(x, 3, 2, 1)
        for plan in plans:
            x = self.blocks[plan.index](x, plan)
        return self.classifier.linear(x.mean((2, 3)))  # type: ignore[no-any-return]

    @override
    def subnet(self, arch: Architecture) -> ResNetSubnet:
        (stem, wide, residual), plans = self.plan(arch)
        entry, middle, last = self.input_stem
        layers: list[nn.Module] = [*static_conv_norm(entry, 3, stem), nn.ReLU()]  # type: ignore[arg-type]
        if residual:
            layers.append(StemResidual(*static_conv_norm(middle.conv, stem, stem)))  # type: ignore[arg-type]
        layers += [*static_conv_norm(last, stem, wide), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]  # type: ignore[arg-type]
        blocks = [self.blocks[p.index].static(p) for p in plans]  # type: ignore[operator]
        classifier = self.classifier.linear.static(plans[-1].outputs)
        return ResNetSubnet(nn.Sequential(*layers), blocks, classifier).train(self.training)

    def sort_channels(self) -> None:
        """Sort every block's middle channels by importance; in place, as `ElasticMobileNetV3.sort_channels`."""
        for block in self.blocks:
            block.sort_channels()  # type: ignore[operator]

    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename tensors of the authors' first files, which have the names of static layers.

        Parameters
        ----------
        state : mapping
            Name → tensor in the file.

        Returns
        -------
        dict
            Name in this network → tensor.
        """
        return renamed(state, self.state_dict(), lambda name: (name.replace(a, b) for a, b in SPELLINGS if a in name))

    @override
    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        return network_costs(self.config, self.space, rows)
