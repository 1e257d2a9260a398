"""Elastic MobileNetV3 with elastic widths: BigNAS, AttentiveNAS, AlphaNet.

BigNAS (Yu et al., 2020, arXiv 2003.11142) trains one set of weights whose channels, kernels, depths and input
sizes can all be cut; AttentiveNAS (Wang et al., 2021, arXiv 2011.09011) and AlphaNet (Wang et al., 2021,
arXiv 2102.07954) share one such space and network. State-dict names are those of their files. Genes: ``r`` (input
side in pixels), ``w[0]`` (stem), ``w[s + 1]`` (output channels of stage s), ``w[-1]``'s place last (feature mix),
``d[s]``, ``ks[s]`` and ``e[s]`` (depth, kernel and expansion, one for all blocks of a stage); what has one value
only is no gene. The stored batch-norm statistics mean nothing: a subnet must be recalibrated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SpaceError
from hwsearch.spaces import Architecture, Choice, SearchSpace
from hwsearch.spaces.choice import Value
from hwsearch.supernets.base import Supernet, with_logs
from hwsearch.supernets.entry import SupernetEntry
from hwsearch.supernets.families.mobilenetv3.blocks import ConvNorm
from hwsearch.supernets.families.mobilenetv3.supernet import MobileNetV3Subnet
from hwsearch.supernets.layers.containers import GlobalAveragePool, Named
from hwsearch.supernets.layers.conv import ElasticClassifier, ElasticConv
from hwsearch.supernets.layers.depthwise import ElasticDepthwise
from hwsearch.supernets.layers.naming import make_divisible, make_divisible_array
from hwsearch.supernets.layers.norm import ElasticBatchNorm
from hwsearch.supernets.layers.squeeze_excite import ElasticSqueezeExcite
from hwsearch.tasks.images.preprocess import Preprocess
from hwsearch.tasks.images.task import ImageTask


@dataclass(frozen=True)
class WideStage:
    """Choices of one stage, equal for all its blocks; stride of the first block; squeeze-excitation."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    expansions: tuple[int, ...]
    stride: int
    se: bool
    kernels: tuple[int, ...] = (3, 5)


@dataclass(frozen=True)
class AttentiveNASConfig:
    """All that fixes the shape of the supernet; the defaults are the published one."""

    name: str = "attentivenas"
    stem: tuple[int, ...] = (16, 24)
    stages: tuple[WideStage, ...] = (
        WideStage((16, 24), (1, 2), (1,), 1, False),
        WideStage((24, 32), (3, 4, 5), (4, 5, 6), 2, False),
        WideStage((32, 40), (3, 4, 5, 6), (4, 5, 6), 2, True),
        WideStage((64, 72), (3, 4, 5, 6), (4, 5, 6), 2, False),
        WideStage((112, 120, 128), (3, 4, 5, 6, 7, 8), (4, 5, 6), 1, True),
        WideStage((192, 200, 208, 216), (3, 4, 5, 6, 7, 8), (6,), 2, True),
        WideStage((216, 224), (1, 2), (6,), 1, True),
    )
    mix: tuple[int, ...] = (1792, 1984)
    head_expansion: int = 6
    classes: int = 1000
    resolutions: tuple[int, ...] = (192, 224, 256, 288)
    bn_eps: float = 1e-5

    def options(self) -> dict[str, tuple[int, ...]]:
        """Every choice, genes and fixed ones, by name."""
        last = len(self.stages) + 1
        found = {"r": self.resolutions, "w[0]": self.stem}
        found |= {f"w[{s + 1}]": stage.widths for s, stage in enumerate(self.stages)}
        found[f"w[{last}]"] = self.mix
        for kind, name in (("d", "depths"), ("ks", "kernels"), ("e", "expansions")):
            found |= {f"{kind}[{s}]": getattr(stage, name) for s, stage in enumerate(self.stages)}
        return found

    def search_space(self) -> SearchSpace:
        return SearchSpace(self.name, [Choice(n, values) for n, values in self.options().items() if len(values) > 1])

    def positions(self) -> Iterator[tuple[int, int, int]]:
        """(block, stage, place in it) of every block of the largest network."""
        i = 0
        for s, stage in enumerate(self.stages):
            for j in range(max(stage.depths)):
                yield i, s, j
                i += 1


@dataclass(frozen=True)
class WideBlockPlan:
    """One block of one architecture, all sizes resolved; side: of its input, in pixels."""

    index: int
    inputs: int
    middle: int
    outputs: int
    kernel: int
    stride: int
    side: int

    @property
    def identity(self) -> bool:
        """Whether the shortcut is the input itself."""
        return self.stride == 1 and self.inputs == self.outputs


class ElasticWideBlock(nn.Module):
    """Inverted residual block with every width elastic and a shortcut everywhere.

    The shortcut pools where the block strides and has a 1×1 convolution where the widths differ.
    """

    def __init__(self, stage: WideStage, inputs: int, stride: int, eps: float) -> None:
        super().__init__()
        middle, outputs = make_divisible(inputs * max(stage.expansions)), max(stage.widths)
        bn = lambda n: ElasticBatchNorm(n, eps)  # noqa: E731
        depth = Named(conv=ElasticDepthwise(middle, stage.kernels, stride, transform=False), bn=bn(middle))
        if stage.se:
            depth.add_module("se", ElasticSqueezeExcite(middle))
        layers: dict[str, nn.Module] = {
            "depth_conv": depth,
            "point_linear": Named(conv=ElasticConv(middle, outputs), bn=bn(outputs)),
        }
        self.expands = max(stage.expansions) > 1
        if self.expands:
            layers = {"inverted_bottleneck": Named(conv=ElasticConv(inputs, middle), bn=bn(middle)), **layers}
        self.se = stage.se
        self.mobile_inverted_conv = Named(**layers)
        self.shortcut = Named(conv=ElasticConv(inputs, outputs))

    def forward(self, x_NCHW: Tensor, plan: WideBlockPlan) -> Tensor:
        layers, y = self.mobile_inverted_conv, x_NCHW
        if self.expands:
            y = F.silu(layers.inverted_bottleneck.bn(layers.inverted_bottleneck.conv(y, plan.middle)))
        y = F.silu(layers.depth_conv.bn(layers.depth_conv.conv(y, plan.kernel)))
        if self.se:
            y = layers.depth_conv.se(y)
        y = layers.point_linear.bn(layers.point_linear.conv(y, plan.outputs))
        if plan.stride > 1:
            x_NCHW = F.avg_pool2d(x_NCHW, plan.stride, plan.stride, x_NCHW.shape[-1] % 2)
        if plan.inputs != plan.outputs:
            x_NCHW = self.shortcut.conv(x_NCHW, plan.outputs)
        return x_NCHW + y

    def static(self, plan: WideBlockPlan) -> WideBlock:
        """The static block of `plan` with copies of the sliced weights."""
        layers, m = self.mobile_inverted_conv, plan.middle
        expand = layers.inverted_bottleneck if self.expands else None
        depth, project = layers.depth_conv, layers.point_linear
        shortcut: list[nn.Module] = []
        if plan.stride > 1:
            shortcut.append(nn.AvgPool2d(plan.stride, plan.stride, plan.side % 2))
        if plan.inputs != plan.outputs:
            shortcut.append(self.shortcut.conv.static(plan.inputs, plan.outputs))
        return WideBlock(
            (expand.conv.static(plan.inputs, m), expand.bn.static(m)) if expand is not None else None,
            (depth.conv.static(m, plan.kernel), depth.bn.static(m)),
            depth.se.static(m) if self.se else None,
            (project.conv.static(m, plan.outputs), project.bn.static(plan.outputs)),
            shortcut,
        )


class WideBlock(nn.Module):
    """The static inverted residual block of an extracted subnet."""

    def __init__(
        self,
        expand: ConvNorm | None,
        depth: ConvNorm,
        squeeze_excite: nn.Module | None,
        project: ConvNorm,
        shortcut: Sequence[nn.Module],
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [*expand, nn.SiLU()] if expand else []
        layers += [*depth, nn.SiLU()]
        if squeeze_excite is not None:
            layers.append(squeeze_excite)
        self.body = nn.Sequential(*layers, *project)
        self.shortcut = nn.Sequential(*shortcut) if shortcut else nn.Identity()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return self.shortcut(x_NCHW) + self.body(x_NCHW)  # type: ignore[no-any-return]


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

    # ------------------------------------------------------------------ costs, vectorised
    def _column(self, rows: IntArray, name: str) -> FloatArray:
        """Values (n,) of a choice, gene or fixed."""
        values = np.array(self.config.options()[name], dtype=np.float64)
        if name in self._fixed:
            return np.full(len(rows), values[0])
        return values[rows[:, self.space.names.index(name)]]

    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        c = self.config
        rows = self.space.canonical(rows)
        of = lambda name: self._column(rows, name)  # noqa: E731
        half = lambda n: -(-n // 2)  # noqa: E731
        size, inputs = half(of("r")), of("w[0]")
        macs, params, acts = 27 * inputs * size**2, 29 * inputs, inputs * size**2
        blocks = np.zeros(len(rows))
        stages = {k: [np.zeros(len(rows)) for _ in c.stages] for k in ("macs", "activations")}
        for _, s, j in c.positions():
            stage = c.stages[s]
            on, outputs, k2 = of(f"d[{s}]") > j, of(f"w[{s + 1}]"), of(f"ks[{s}]") ** 2
            middle = make_divisible_array(inputs * of(f"e[{s}]"))
            before = size
            if j == 0:
                size = -(-size // stage.stride)
            block_macs = middle * (k2 + outputs) * size**2
            block_params = middle * (k2 + outputs) + 2 * (middle + outputs)
            if max(stage.expansions) > 1:
                block_macs = block_macs + inputs * middle * before**2
                block_params = block_params + (inputs + 2) * middle
            if stage.se:
                squeeze = make_divisible_array(middle // 4)
                block_macs = block_macs + 2 * middle * squeeze
                block_params = block_params + 2 * middle * squeeze + middle + squeeze
            shortcut = np.where(inputs != outputs, inputs * outputs, 0)
            stages["macs"][s] += np.where(on, block_macs + shortcut * size**2, 0)
            stages["activations"][s] += np.where(on, middle * (before**2 + size**2) + outputs * size**2, 0)
            params = params + np.where(on, block_params + shortcut, 0)
            blocks += on
            inputs = np.where(on, outputs, inputs)
        wide, mix = inputs * c.head_expansion, of(f"w[{len(c.stages) + 1}]")
        macs = macs + sum(stages["macs"]) + inputs * wide * size**2 + wide * mix + mix * c.classes
        params = params + inputs * wide + 2 * wide + wide * mix + (mix + 1) * c.classes
        acts = acts + sum(stages["activations"]) + wide * size**2 + mix
        out = {f"{k}_stage{s}": v for k, values in stages.items() for s, v in enumerate(values)}
        return with_logs({"macs": macs, "params": params, "activations": acts, "blocks": blocks, **out})


def _build(name: str, state: Mapping[str, Tensor] | None = None) -> AttentiveNAS:
    bias = (state or {}).get("classifier.linear.linear.bias")
    return AttentiveNAS(AttentiveNASConfig(name, classes=len(bias) if bias is not None else 1000))


def _entry(name: str, title: str, file: str, paper: str, top1: dict[str, float]) -> SupernetEntry:
    return SupernetEntry(
        name=name,
        summary=f"{title}, ImageNet, 192–288 px",
        build=lambda: _build(name),
        build_for=lambda state: _build(name, state),
        task=ImageTask(Preprocess(crop=0.875, base=224)),
        card={
            "paper": paper,
            "code_licence": "CC-BY-NC-4.0 (the authors' code; this is an implementation of its own)",
            "weights_licence": "none stated; take them as non-commercial",
            "get": f"the file {file!r} that the authors' repository links to",
            "published_top1_percent": top1,
        },
    )


ATTENTIVENAS = _entry(
    "attentivenas",
    "AttentiveNAS MobileNetV3",
    "attentive_nas_pretrained.pth.tar",
    "Wang et al., 2021, arXiv 2011.09011",
    {"A0": 77.3, "A1": 78.4, "A2": 78.8, "A3": 79.1, "A4": 79.8, "A5": 80.1, "A6": 80.7},
)
ALPHANET = _entry(
    "alphanet",
    "AlphaNet MobileNetV3",
    "alphanet_pretrained.pth.tar",
    "Wang et al., 2021, arXiv 2102.07954",
    {"A0": 77.87, "A1": 78.94, "A2": 79.20, "A3": 79.41, "A4": 80.01, "A5": 80.29, "A6": 80.78},
)
