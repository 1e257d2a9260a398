"""Elastic MobileNetV3: kernel, expansion, depth and resolution can be chosen per layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SpaceError, SupernetError
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Supernet, with_logs
from hwsearch.supernets.families.mobilenetv3.blocks import (
    ACTIVATIONS,
    ElasticBlock,
    _conv_bn,
    _copy_conv,
    _copy_conv_bn,
    _middle_widths,
    _Residual,
    _squeeze_widths,
)
from hwsearch.supernets.families.mobilenetv3.config import SPELLINGS, BlockPlan, MobileNetV3Config
from hwsearch.supernets.layers.containers import GlobalAveragePool, Named
from hwsearch.supernets.layers.naming import make_divisible, renamed


class MobileNetV3Subnet(nn.Module):
    """A plain static subnet: stem, blocks, head; no reference to the supernet."""

    def __init__(self, stem: nn.Sequential, blocks: Sequence[nn.Module], head: nn.Sequential, classifier: nn.Linear):
        super().__init__()
        self.stem = stem
        self.blocks = nn.Sequential(*blocks)
        self.head = head
        self.classifier = classifier

    def forward(self, x_NCHW: Tensor) -> Tensor:
        x = self.head(self.blocks(self.stem(x_NCHW)))
        return self.classifier(torch.flatten(x, 1))  # type: ignore[no-any-return]


class ElasticMobileNetV3(Supernet):
    """The weight-sharing supernet. See `MobileNetV3Config` for its shape and `space` for its genes."""

    def __init__(self, config: MobileNetV3Config) -> None:
        super().__init__()
        for place, act in [
            *(("stage", stage.act) for stage in config.stages),
            *(("stem", config.stem_act), ("first block", config.first_act), ("head", config.head_act)),
        ]:
            if act not in ACTIVATIONS:
                raise SupernetError(f"{place} activation {act!r} is not one of {', '.join(ACTIVATIONS)}.")
        deepest = max(max(config.stage_depths(s)) for s in range(len(config.stages)))
        if deepest > config.max_depth:
            raise SupernetError(f"a stage has up to {deepest} blocks, more than the deepest of depths {config.depths}.")
        self.config = config
        self.space = config.search_space()
        self.classes = config.classes
        eps = config.bn_eps
        stem = config.stem_width
        self.first_conv = _conv_bn(3, stem, 3, config.stem_stride, 1, eps)
        first = Named(
            conv=Named(
                depth_conv=_conv_bn(stem, stem, 3, 1, stem, eps),
                point_linear=_conv_bn(stem, config.first_outputs, 1, 1, 1, eps),
            )
        )
        blocks: list[nn.Module] = [first]
        inputs = config.first_outputs
        for s, j in config.positions():
            stage = config.stages[s]
            blocks.append(ElasticBlock(config, stage, inputs, stage.stride if j == 0 else 1))
            inputs = stage.width
        self.blocks = nn.ModuleList(blocks)
        if config.final_width is None:
            self.feature_mix_layer = _conv_bn(inputs, config.mix_width, 1, 1, 1, eps)
        else:
            self.final_expand_layer = _conv_bn(inputs, config.final_width, 1, 1, 1, eps)
            self.feature_mix_layer = Named(conv=nn.Conv2d(config.final_width, config.mix_width, 1, bias=False))
        self.classifier = Named(linear=nn.Linear(config.mix_width, config.classes))
        self.stem_act = ACTIVATIONS[config.stem_act]()
        self.first_act = ACTIVATIONS[config.first_act]()
        self.head_act = ACTIVATIONS[config.head_act]()
        self._active: list[BlockPlan] = list(self.plan(self.space.largest()))

    # ------------------------------------------------------------------ one architecture, resolved
    def plan(self, arch: Architecture) -> Iterator[BlockPlan]:
        """The blocks of `arch` in order, all sizes resolved; raises `SpaceError` for another space's architecture."""
        if arch.space_name != self.space.name:
            raise SpaceError(f"architecture {arch.id} is of space {arch.space_name!r}, not {self.space.name!r}.")
        c = self.config
        inputs = c.first_outputs
        for s, stage in enumerate(c.stages):
            for j in range(arch.integer(f"d[{s}]")):
                i = s * c.max_depth + j
                middle = make_divisible(round(inputs * float(arch[f"e[{i}]"])), 8)
                stride = stage.stride if j == 0 else 1
                yield BlockPlan(
                    i, s, inputs, middle, stage.width, arch.integer(f"ks[{i}]"), stride, stage.act, stage.se
                )
                inputs = stage.width

    def input_shape(self, arch: Architecture) -> tuple[int, int, int]:
        side = arch.integer("r")
        return (3, side, side)

    def activate(self, arch: Architecture) -> None:
        self._active = list(self.plan(arch))

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.forward_plan(inputs[0], self._active)

    def forward_plan(self, x_NCHW: Tensor, plans: Sequence[BlockPlan]) -> Tensor:
        """Logits (N, classes) with the weights that `plans` share."""
        stem: Any = self.first_conv
        first: Any = self.blocks[0].conv
        x = self.stem_act(stem.bn(stem.conv(x_NCHW)))
        y = self.first_act(first.depth_conv.bn(first.depth_conv.conv(x)))
        y = first.point_linear.bn(first.point_linear.conv(y))
        x = x + y if self.config.first_width is None else y
        for plan in plans:
            x = self.blocks[plan.index + 1](x, plan)
        mix = self.feature_mix_layer
        if self.config.final_width is None:
            x = self.head_act(mix.bn(mix.conv(x))).mean((2, 3))
        else:
            final: Any = self.final_expand_layer
            x = self.head_act(final.bn(final.conv(x)))
            x = self.head_act(mix.conv(x.mean((2, 3), keepdim=True)))
        return self.classifier.linear(torch.flatten(x, 1))  # type: ignore[no-any-return]

    def subnet(self, arch: Architecture) -> MobileNetV3Subnet:
        c = self.config
        act = lambda name: ACTIVATIONS[name]()  # noqa: E731
        first: Any = self.blocks[0].conv
        conv0, bn0 = _copy_conv_bn(self.first_conv)
        (conv1, bn1), (conv2, bn2) = (_copy_conv_bn(p) for p in (first.depth_conv, first.point_linear))
        body = nn.Sequential(conv1, bn1, act(c.first_act), conv2, bn2)
        stem = nn.Sequential(conv0, bn0, act(c.stem_act), _Residual(body) if c.first_width is None else body)
        blocks = [self.blocks[p.index + 1].static(p) for p in self.plan(arch)]  # type: ignore[operator]
        if c.final_width is None:
            head = nn.Sequential(*_copy_conv_bn(self.feature_mix_layer), act(c.head_act), GlobalAveragePool())
        else:
            final = _copy_conv_bn(self.final_expand_layer)
            mix = _copy_conv(self.feature_mix_layer.conv)
            head = nn.Sequential(*final, act(c.head_act), GlobalAveragePool(), mix, act(c.head_act))
        classifier = nn.Linear(self.config.mix_width, self.config.classes)
        classifier.load_state_dict(self.classifier.linear.state_dict())
        net = MobileNetV3Subnet(stem, blocks, head, classifier)
        return net.train(self.training)

    def sort_channels(self) -> None:
        """Put every block's middle channels in order of importance, so that smaller expansions keep the best of them.

        In place; the largest subnet computes the same, up to rounding. Once-for-All does so before it trains with
        elastic expansion (Cai et al., 2020, arXiv 1908.09791); its published weights are sorted already.
        """
        for block in self.blocks[1:]:
            block.sort_channels()  # type: ignore[operator]

    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Names of the authors' older files (``mobile_inverted_conv``; single or doubled layer names) to today's."""

        def spellings(name: str) -> Iterator[str]:
            name = name.replace(".mobile_inverted_conv.", ".conv.")
            yield name
            yield from (name.replace(old, new) for old, new in SPELLINGS if old in name)

        return renamed(state, self.state_dict(), spellings)

    # ------------------------------------------------------------------ costs, vectorised
    @cached_property
    def _block_costs(self) -> dict[str, FloatArray]:
        """MACs, params and activations (blocks, resolutions * kernels * expansions), blocks in `positions`' order."""
        c = self.config
        side, kernel, expand = (
            grid.ravel() for grid in np.meshgrid(c.resolutions, c.kernels, range(len(c.expansions)), indexing="ij")
        )
        size = -(-side // c.stem_stride)
        k2, inputs = kernel**2, c.first_outputs
        out: dict[str, list[FloatArray]] = {"macs": [], "params": [], "activations": []}
        for s, stage in enumerate(c.stages):
            before = size
            size = -(-size // stage.stride)
            for j in range(max(c.stage_depths(s))):
                mid = _middle_widths(inputs, c.expansions)[expand]
                grid_in = (before if j == 0 else size) ** 2
                macs = mid * inputs * grid_in + mid * k2 * size**2 + mid * stage.width * size**2
                weights = mid * inputs + mid * k2 + mid * stage.width + 2 * (2 * mid + stage.width)
                if stage.se:
                    squeeze = _squeeze_widths(inputs, c.expansions)[expand]
                    macs = macs + 2 * mid * squeeze
                    weights = weights + 2 * mid * squeeze + mid + squeeze
                out["macs"].append(macs)
                out["params"].append(weights)
                out["activations"].append(mid * (grid_in + size**2) + stage.width * size**2)
                inputs = stage.width
        return {name: np.array(columns) for name, columns in out.items()}

    def _costs(self, rows: IntArray) -> dict[str, FloatArray]:
        """MACs, params and activations, whole and by stage, vectorised over rows."""
        c, space = self.config, self.space
        rows = space.canonical(rows)
        position = {n: i for i, n in enumerate(space.names)}
        places = [(s, s * c.max_depth + j) for s, j in c.positions()]
        kernel, expand = (rows[:, [position[f"{kind}[{i}]"] for _, i in places]] for kind in ("ks", "e"))
        resolution = rows[:, position["r"]]
        on = kernel >= 0
        table = self._block_costs
        entry = (resolution[:, None] * len(c.kernels) + kernel) * len(c.expansions) + expand
        entry = np.where(on, entry, 0) + np.arange(len(places)) * table["macs"].shape[1]
        stages = np.array([s for s, _ in places])[:, None] == np.arange(len(c.stages))
        by_stage = {name: np.where(on, part.ravel()[entry], 0.0) @ stages for name, part in table.items()}

        side = np.array(c.resolutions)[resolution]
        size = -(-side // c.stem_stride)
        stem, first = c.stem_width, c.first_outputs
        macs = ((27.0 + 9) * stem + stem * first) * size**2 + by_stage["macs"].sum(axis=1)
        params = (27.0 + 9 + 2 * 2) * stem + (stem + 2) * first + by_stage["params"].sum(axis=1)
        acts = (2.0 * stem + first) * size**2 + by_stage["activations"].sum(axis=1)
        for stage in c.stages:
            size = -(-size // stage.stride)
        inputs = c.stages[-1].width
        if c.final_width is None:
            macs = macs + inputs * c.mix_width * size**2
            params = params + (inputs + 2) * c.mix_width
            acts = acts + c.mix_width * size**2
        else:
            macs = macs + inputs * c.final_width * size**2 + c.final_width * c.mix_width
            params = params + (inputs + 2) * c.final_width + c.final_width * c.mix_width
            acts = acts + c.final_width * size**2 + c.mix_width
        macs = macs + c.mix_width * c.classes
        params = params + (c.mix_width + 1) * c.classes
        out = {"macs": macs, "params": params, "activations": acts, "blocks": on.sum(axis=1).astype(np.float64)}
        for s in range(len(c.stages)):
            out[f"macs_stage{s}"], out[f"activations_stage{s}"] = (
                by_stage[name][:, s] for name in ("macs", "activations")
            )
        return out

    def macs_array(self, rows: IntArray) -> FloatArray:
        return self._costs(rows)["macs"]

    def params_array(self, rows: IntArray) -> FloatArray:
        return self._costs(rows)["params"]

    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        return with_logs(self._costs(rows))
