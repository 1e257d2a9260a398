"""Elastic ResNet-50-D: width, expansion, depth and resolution can be chosen.

Family of Once-for-All (Cai, Gan, Wang, Zhang, Han, 2020, arXiv 1908.09791) on the bottleneck blocks of ResNet
(He et al., 2015, arXiv 1512.03385) with the stem and the pooled shortcuts of ResNet-D (He et al., 2018,
arXiv 1812.01187). State-dict names are those of the reference implementation. Genes: ``r`` (input side in pixels),
``d[0]`` (0: the stem's residual is left out, 2: kept), ``d[s + 1]`` (blocks of stage s beyond its fewest), ``w[0]``
and ``w[1]`` (width multipliers of the stem), ``w[s + 2]`` (of stage s), and for block i over all stages ``e[i]``
(middle width as a share of the output width).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SpaceError
from hwsearch.spaces import Architecture, Choice, SearchSpace, When
from hwsearch.supernets.base import Supernet, with_logs
from hwsearch.supernets.layers.containers import GlobalAveragePool, Named
from hwsearch.supernets.layers.conv import ElasticClassifier, ElasticConv
from hwsearch.supernets.layers.naming import make_divisible, make_divisible_array, renamed
from hwsearch.supernets.layers.norm import ElasticBatchNorm
from hwsearch.supernets.layers.ordering import norm_slots, sort_by_importance

#: layer names of the authors' files of 2020 (static spelling), and those of today
SPELLINGS = ((".linear.", ".linear.linear."), ("bn.", "bn.bn."), ("conv.weight", "conv.conv.weight"))


@dataclass(frozen=True)
class ResNetConfig:
    """All that fixes the shape of the supernet; the defaults are the published one.

    widths, blocks, strides : of each stage: output channels at multiplier 1, fewest blocks, stride of the first
    multipliers, expansions, extra, resolutions : the choices; `extra` blocks beyond the fewest of a stage
    """

    name: str = "ofa-resnet50d"
    stem: int = 64
    widths: tuple[int, ...] = (256, 512, 1024, 2048)
    blocks: tuple[int, ...] = (2, 2, 4, 2)
    strides: tuple[int, ...] = (1, 2, 2, 2)
    classes: int = 1000
    multipliers: tuple[float, ...] = (0.65, 0.8, 1.0)
    expansions: tuple[float, ...] = (0.2, 0.25, 0.35)
    extra: tuple[int, ...] = (0, 1, 2)
    resolutions: tuple[int, ...] = field(default=tuple(range(128, 225, 4)))
    bn_eps: float = 1e-5

    @property
    def bases(self) -> tuple[int, ...]:
        """Channels at multiplier 1 of the places that the genes ``w`` stand for."""
        return (make_divisible(self.stem) // 2, self.stem, *self.widths)

    def channels(self, place: int, multiplier: float) -> int:
        """Channels at a place of `bases`; the first stem is half of the second's, rounded twice."""
        if place == 0:
            return make_divisible(make_divisible(self.stem * multiplier) // 2)
        return make_divisible(self.bases[place] * multiplier)

    def multipliers_of(self, place: int) -> tuple[float, ...]:
        """Multipliers that give different channels there (the first of equal ones)."""
        first: dict[int, float] = {}
        for m in self.multipliers:
            first.setdefault(self.channels(place, m), m)
        return tuple(first.values())

    def positions(self) -> Iterator[tuple[int, int, int]]:
        """(block, stage, place in it) of every block of the largest network."""
        i = 0
        for s, fewest in enumerate(self.blocks):
            for j in range(fewest + max(self.extra)):
                yield i, s, j
                i += 1

    def search_space(self) -> SearchSpace:
        choices = [Choice("r", self.resolutions), Choice("d[0]", (0, max(self.extra)))]
        choices += [Choice(f"d[{s + 1}]", self.extra) for s in range(len(self.widths))]
        choices += [Choice(f"w[{p}]", self.multipliers_of(p)) for p in range(len(self.bases))]
        for i, s, j in self.positions():
            deep = tuple(x for x in self.extra if self.blocks[s] + x > j)
            when = When(f"d[{s + 1}]", deep) if len(deep) < len(self.extra) else None
            choices.append(Choice(f"e[{i}]", self.expansions, when))
        return SearchSpace(self.name, choices)


@dataclass(frozen=True)
class BottleneckPlan:
    """One block of one architecture, all sizes resolved; first: whether it is the first of its stage."""

    index: int
    inputs: int
    middle: int
    outputs: int
    stride: int
    first: bool


def _layer(inputs: int, outputs: int, kernel: int, stride: int, eps: float) -> Named:
    return Named(conv=ElasticConv(inputs, outputs, kernel, stride), bn=ElasticBatchNorm(outputs, eps))


class ElasticBottleneck(nn.Module):
    """Bottleneck block with elastic input, middle and output widths; the first of a stage has a pooled shortcut."""

    def __init__(self, inputs: int, middle: int, outputs: int, stride: int, eps: float, *, first: bool) -> None:
        super().__init__()
        self.conv1 = _layer(inputs, middle, 1, 1, eps)
        self.conv2 = _layer(middle, middle, 3, stride, eps)
        self.conv3 = _layer(middle, outputs, 1, 1, eps)
        if first:
            self.downsample = _layer(inputs, outputs, 1, 1, eps)

    def forward(self, x_NCHW: Tensor, plan: BottleneckPlan) -> Tensor:
        y = F.relu(self.conv1.bn(self.conv1.conv(x_NCHW, plan.middle)))
        y = F.relu(self.conv2.bn(self.conv2.conv(y, plan.middle)))
        y = self.conv3.bn(self.conv3.conv(y, plan.outputs))
        if plan.first:
            pooled = F.avg_pool2d(x_NCHW, plan.stride, plan.stride, 0, True) if plan.stride > 1 else x_NCHW
            x_NCHW = self.downsample.bn(self.downsample.conv(pooled, plan.outputs))
        return F.relu(y + x_NCHW)

    def sort_channels(self) -> None:
        """Put the middle channels in order of importance, those behind the second convolution first; in place."""
        pairs = ((self.conv2, self.conv3), (self.conv1, self.conv2))
        for maker, reader in pairs:
            read = (reader.conv.conv.weight, 1)
            sort_by_importance([(maker.conv.conv.weight, 0), *norm_slots(maker.bn), read], [read])

    def static(self, plan: BottleneckPlan) -> Bottleneck:
        """The static block of `plan` with copies of the sliced weights."""
        sizes = ((self.conv1, plan.inputs, plan.middle), (self.conv2, plan.middle, plan.middle))
        layers = [static_layer(layer, a, b) for layer, a, b in (*sizes, (self.conv3, plan.middle, plan.outputs))]
        shortcut: list[nn.Module] = []
        if plan.first:
            pool = [nn.AvgPool2d(plan.stride, plan.stride, 0, ceil_mode=True)] if plan.stride > 1 else []
            shortcut = [*pool, *static_layer(self.downsample, plan.inputs, plan.outputs)]
        return Bottleneck(layers, shortcut)


def static_layer(layer: Named, inputs: int, outputs: int) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """Plain convolution and batch norm with copies of an elastic layer's slices."""
    return layer.conv.static(inputs, outputs), layer.bn.static(outputs)


class Bottleneck(nn.Module):
    """The static bottleneck block of an extracted subnet."""

    def __init__(self, layers: Sequence[tuple[nn.Conv2d, nn.BatchNorm2d]], shortcut: Sequence[nn.Module]) -> None:
        super().__init__()
        (conv1, bn1), (conv2, bn2), (conv3, bn3) = layers
        self.body = nn.Sequential(conv1, bn1, nn.ReLU(), conv2, bn2, nn.ReLU(), conv3, bn3)
        self.shortcut = nn.Sequential(*shortcut) if shortcut else nn.Identity()
        self.act = nn.ReLU()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return self.act(self.body(x_NCHW) + self.shortcut(x_NCHW))  # type: ignore[no-any-return]


class StemResidual(nn.Module):
    """x + act(bn(conv(x))), the part of the stem that can be left out."""

    def __init__(self, conv: nn.Conv2d, bn: nn.BatchNorm2d) -> None:
        super().__init__()
        self.body = nn.Sequential(conv, bn, nn.ReLU())

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return x_NCHW + self.body(x_NCHW)  # type: ignore[no-any-return]


class ResNetSubnet(nn.Module):
    """A plain static subnet: stem, blocks, pool, classifier; no reference to the supernet."""

    def __init__(self, stem: nn.Sequential, blocks: Sequence[Bottleneck], classifier: nn.Linear) -> None:
        super().__init__()
        self.stem = stem
        self.blocks = nn.Sequential(*blocks)
        self.pool = GlobalAveragePool()
        self.classifier = classifier

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x = self.pool(self.blocks(self.stem(x_NCHW)))
        return self.classifier(torch.flatten(x, 1))  # type: ignore[no-any-return]


class ElasticResNet(Supernet):
    """The weight-sharing supernet. See `ResNetConfig` for its shape and `space` for its genes."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config, self.space, self.classes = config, config.search_space(), config.classes
        c, eps = config, config.bn_eps
        widest = [c.channels(p, max(c.multipliers)) for p in range(len(c.bases))]
        self.input_stem = nn.ModuleList(
            [
                _layer(3, widest[0], 3, 2, eps),
                Named(conv=_layer(widest[0], widest[0], 3, 1, eps)),
                _layer(widest[0], widest[1], 3, 1, eps),
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

    def plan(self, arch: Architecture) -> tuple[tuple[int, int, bool], list[BottleneckPlan]]:
        """((stem channels, stem output, stem residual kept), blocks) of `arch`, all sizes resolved."""
        if arch.space_name != self.space.name:
            raise SpaceError(f"architecture {arch.id} is of space {arch.space_name!r}, not {self.space.name!r}.")
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

    def input_shape(self, arch: Architecture) -> tuple[int, int, int]:
        return (3, arch.integer("r"), arch.integer("r"))

    def activate(self, arch: Architecture) -> None:
        self._active = self.plan(arch)

    def forward(self, *inputs: Tensor) -> Tensor:
        (stem, wide, residual), plans = self._active
        entry, middle, last = self.input_stem
        x = F.relu(entry.bn(entry.conv(inputs[0], stem)))  # type: ignore[operator]
        if residual:
            x = x + F.relu(middle.conv.bn(middle.conv.conv(x, stem)))  # type: ignore[operator, union-attr]
        x = F.relu(last.bn(last.conv(x, wide)))  # type: ignore[operator]
        x = F.max_pool2d(x, 3, 2, 1)
        for plan in plans:
            x = self.blocks[plan.index](x, plan)
        return self.classifier.linear(x.mean((2, 3)))  # type: ignore[no-any-return]

    def subnet(self, arch: Architecture) -> ResNetSubnet:
        (stem, wide, residual), plans = self.plan(arch)
        entry, middle, last = self.input_stem
        layers: list[nn.Module] = [*static_layer(entry, 3, stem), nn.ReLU()]  # type: ignore[arg-type]
        if residual:
            layers.append(StemResidual(*static_layer(middle.conv, stem, stem)))  # type: ignore[arg-type]
        layers += [*static_layer(last, stem, wide), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]  # type: ignore[arg-type]
        blocks = [self.blocks[p.index].static(p) for p in plans]  # type: ignore[operator]
        classifier = self.classifier.linear.static(plans[-1].outputs)
        return ResNetSubnet(nn.Sequential(*layers), blocks, classifier).train(self.training)

    def sort_channels(self) -> None:
        """Put every block's middle channels in order of importance; in place, as `ElasticMobileNetV3.sort_channels`."""
        for block in self.blocks:
            block.sort_channels()  # type: ignore[operator]

    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Names of static layers, which the authors' first files have, to those of elastic ones."""
        return renamed(state, self.state_dict(), lambda name: (name.replace(a, b) for a, b in SPELLINGS if a in name))

    # ------------------------------------------------------------------ costs, vectorised
    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        c = self.config
        rows = self.space.canonical(rows)
        column = {n: rows[:, i] for i, n in enumerate(self.space.names)}
        of = lambda p: np.array([float(c.channels(p, m)) for m in c.multipliers_of(p)])[column[f"w[{p}]"]]  # noqa: E731
        expansion = np.array(c.expansions)
        half = lambda n: -(-n // 2)  # noqa: E731
        size = half(np.array(c.resolutions)[column["r"]])
        stem, wide, kept = of(0), of(1), column["d[0]"] > 0
        macs = (27 * stem + np.where(kept, 9 * stem**2, 0) + 9 * stem * wide) * size**2
        params = 27 * stem + np.where(kept, 9 * stem**2 + 2 * stem, 0) + 9 * stem * wide + 2 * (stem + wide)
        acts = (stem * (1 + kept) + wide) * size**2
        size = half(size)
        stages: dict[str, list[FloatArray]] = {
            k: [np.zeros(len(rows)) for _ in c.widths] for k in ("macs", "activations")
        }
        inputs, blocks = wide, np.zeros(len(rows))
        for i, s, j in c.positions():
            gene = column[f"e[{i}]"]
            on, outputs = gene >= 0, of(s + 2)
            middle = make_divisible_array(np.rint(outputs * expansion[gene]))
            before = size
            if j == 0 and c.strides[s] > 1:
                size = -(-size // c.strides[s])
            block_macs = inputs * middle * before**2 + (9 * middle**2 + middle * outputs) * size**2
            block_params = inputs * middle + 9 * middle**2 + middle * outputs + 2 * (2 * middle + outputs)
            if j == 0:
                block_macs = block_macs + inputs * outputs * size**2
                block_params = block_params + inputs * outputs + 2 * outputs
            stages["macs"][s] += np.where(on, block_macs, 0)
            stages["activations"][s] += np.where(on, middle * (before**2 + size**2) + outputs * size**2, 0)
            params = params + np.where(on, block_params, 0)
            blocks += on
            inputs = outputs
        out = {f"{k}_stage{s}": v for k, values in stages.items() for s, v in enumerate(values)}
        macs = macs + sum(stages["macs"]) + inputs * c.classes
        acts = acts + sum(stages["activations"])
        params = params + (inputs + 1) * c.classes
        return with_logs({"macs": macs, "params": params, "activations": acts, "blocks": blocks, **out})
