"""Elastic MobileNetV3: kernel, expansion and depth can be chosen for each block or stage, and the resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from hwsearch._typing import FloatArray, IntArray
from hwsearch.errors import SupernetError
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Supernet, with_logs
from hwsearch.supernets.families.mobilenetv3.blocks import ACTIVATIONS, KERNEL_ACTIVATIONS, ElasticInvertedResidual
from hwsearch.supernets.families.mobilenetv3.config import BlockPlan, MobileNetV3Config
from hwsearch.supernets.families.mobilenetv3.costs import block_costs, network_costs
from hwsearch.supernets.families.mobilenetv3.masked import MaskedMobileNetV3
from hwsearch.supernets.families.mobilenetv3.subnet import MobileNetV3Subnet
from hwsearch.supernets.kernels import ACTIVATIONS as FUNCTIONS
from hwsearch.supernets.kernels import active
from hwsearch.supernets.kernels.masked import MaskedKernels
from hwsearch.supernets.layers.containers import GlobalAveragePool, Named
from hwsearch.supernets.layers.fixed import Residual, conv_norm, conv_norm_act, copy_conv, copy_conv_norm
from hwsearch.supernets.layers.naming import make_divisible, renamed

#: layer names of static and of elastic layers in the authors' files, tried in this order
SPELLINGS = (
    (".bn.bn.", ".bn."),
    (".conv.conv.weight", ".conv.weight"),
    (".linear.linear.", ".linear."),
    (".linear.", ".linear.linear."),
    ("bn.", "bn.bn."),
    ("conv.weight", "conv.conv.weight"),
)


class ElasticMobileNetV3(Supernet):
    """The weight-sharing MobileNetV3 supernet of Once-for-All.

    Parameters
    ----------
    config : MobileNetV3Config
        Shape and elastic choices; `space` has its genes.

    Raises
    ------
    SupernetError
        If an activation is unknown, or a stage is deeper than the deepest of the configuration's depths.

    References
    ----------
    Cai, Gan, Wang, Zhang, Han, 2020, Once-for-All, arXiv 1908.09791.
    Howard et al., 2019, Searching for MobileNetV3, arXiv 1905.02244.
    """

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
        self.first_conv = conv_norm(3, stem, 3, config.stem_stride, 1, eps)
        first = Named(
            conv=Named(
                depth_conv=conv_norm(stem, stem, 3, 1, stem, eps),
                point_linear=conv_norm(stem, config.first_outputs, 1, 1, 1, eps),
            )
        )
        blocks: list[nn.Module] = [first]
        inputs = config.first_outputs
        for s, j in config.positions():
            stage = config.stages[s]
            blocks.append(ElasticInvertedResidual(config, stage, inputs, stage.stride if j == 0 else 1))
            inputs = stage.width
        self.blocks = nn.ModuleList(blocks)
        if config.final_width is None:
            self.feature_mix_layer = conv_norm(inputs, config.mix_width, 1, 1, 1, eps)
        else:
            self.final_expand_layer = conv_norm(inputs, config.final_width, 1, 1, 1, eps)
            self.feature_mix_layer = Named(conv=nn.Conv2d(config.final_width, config.mix_width, 1, bias=False))
        self.classifier = Named(linear=nn.Linear(config.mix_width, config.classes))
        self.stem_act = KERNEL_ACTIVATIONS[config.stem_act]
        self.first_act = KERNEL_ACTIVATIONS[config.first_act]
        self.head_act = KERNEL_ACTIVATIONS[config.head_act]
        self._active: list[BlockPlan] = list(self.plan(self.space.largest()))

    # ------------------------------------------------------------------ one architecture, resolved
    def plan(self, arch: Architecture) -> Iterator[BlockPlan]:
        """Resolve the sizes of all blocks of an architecture.

        Parameters
        ----------
        arch : Architecture
            Architecture of this space.

        Yields
        ------
        BlockPlan
            Blocks in order.

        Raises
        ------
        SpaceError
            If the architecture is of another space.
        """
        self.space.check_space(arch)
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

    @override
    def input_shape(self, arch: Architecture) -> tuple[int, int, int]:
        side = arch.integer("r")
        return (3, side, side)

    @override
    def activate(self, arch: Architecture) -> None:
        self._active = list(self.plan(arch))

    @override
    def forward(self, *inputs: Tensor) -> Tensor:
        kernels = active()
        if self.training and isinstance(kernels, MaskedKernels):
            return kernels.run(self, MaskedMobileNetV3, self._active, inputs[0])
        return self.forward_plan(inputs[0], self._active)

    def forward_plan(self, x_NCHW: Tensor, plans: Sequence[BlockPlan]) -> Tensor:
        """Compute logits with the shared weights, for given blocks.

        Parameters
        ----------
        x_NCHW : Tensor
            Images of shape (N, 3, H, W).
        plans : sequence of BlockPlan
            Blocks in order.

        Returns
        -------
        Tensor
            Logits of shape (N, classes).
        """

        def blocks(x: Tensor) -> Tensor:
            for plan in plans:
                x = self.blocks[plan.index + 1](x, plan)
            return x

        return self.forward_ends(x_NCHW, blocks)

    def forward_ends(self, x_NCHW: Tensor, blocks: Callable[[Tensor], Tensor]) -> Tensor:
        """Compute logits with the fixed layers at both ends, and what stands between them.

        Parameters
        ----------
        x_NCHW : Tensor
            Images of shape (N, 3, H, W).
        blocks : callable
            Runs the elastic blocks.

        Returns
        -------
        Tensor
            Logits of shape (N, classes).
        """
        first: Any = self.blocks[0].conv
        x = conv_norm_act(self.first_conv, x_NCHW, self.stem_act)
        y = conv_norm_act(first.depth_conv, x, self.first_act)
        x = conv_norm_act(first.point_linear, y, residual=x if self.config.first_width is None else None)
        x = blocks(x)
        mix = self.feature_mix_layer
        if self.config.final_width is None:
            x = conv_norm_act(mix, x, self.head_act).mean((2, 3))
        else:
            x = conv_norm_act(self.final_expand_layer, x, self.head_act)
            x = FUNCTIONS[self.head_act](mix.conv(x.mean((2, 3), keepdim=True)))
        return self.classifier.linear(torch.flatten(x, 1))  # type: ignore[no-any-return]

    @override
    def subnet(self, arch: Architecture) -> MobileNetV3Subnet:
        c = self.config
        act = lambda name: ACTIVATIONS[name]()  # noqa: E731
        first: Any = self.blocks[0].conv
        conv0, bn0 = copy_conv_norm(self.first_conv)
        (conv1, bn1), (conv2, bn2) = (copy_conv_norm(p) for p in (first.depth_conv, first.point_linear))
        body = nn.Sequential(conv1, bn1, act(c.first_act), conv2, bn2)
        stem = nn.Sequential(conv0, bn0, act(c.stem_act), Residual(body) if c.first_width is None else body)
        blocks = [self.blocks[p.index + 1].static(p) for p in self.plan(arch)]  # type: ignore[operator]
        if c.final_width is None:
            head = nn.Sequential(*copy_conv_norm(self.feature_mix_layer), act(c.head_act), GlobalAveragePool())
        else:
            final = copy_conv_norm(self.final_expand_layer)
            mix = copy_conv(self.feature_mix_layer.conv)
            head = nn.Sequential(*final, act(c.head_act), GlobalAveragePool(), mix, act(c.head_act))
        classifier = nn.Linear(self.config.mix_width, self.config.classes)
        classifier.load_state_dict(self.classifier.linear.state_dict())
        net = MobileNetV3Subnet(stem, blocks, head, classifier)
        return net.train(self.training)

    def sort_channels(self) -> None:
        """Sort every block's middle channels by importance, so that smaller expansions keep the best of them; in place.

        The largest subnet computes the same, up to rounding. Once-for-All does so before it trains with elastic
        expansion; its published weights are sorted already.
        """
        for block in self.blocks[1:]:
            block.sort_channels()  # type: ignore[operator]

    def rename(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename tensors of the authors' older files (``mobile_inverted_conv``; single or doubled layer names).

        Parameters
        ----------
        state : mapping
            Name → tensor in the file.

        Returns
        -------
        dict
            Name in this network → tensor.
        """

        def spellings(name: str) -> Iterator[str]:
            name = name.replace(".mobile_inverted_conv.", ".conv.")
            yield name
            yield from (name.replace(old, new) for old, new in SPELLINGS if old in name)

        return renamed(state, self.state_dict(), spellings)

    # ------------------------------------------------------------------ costs, vectorised
    @cached_property
    def _block_costs(self) -> dict[str, FloatArray]:
        return block_costs(self.config)

    def _costs(self, rows: IntArray) -> dict[str, FloatArray]:
        return network_costs(self.config, self.space, self._block_costs, rows)

    @override
    def macs_array(self, rows: IntArray) -> FloatArray:
        return self._costs(rows)["macs"]

    @override
    def params_array(self, rows: IntArray) -> FloatArray:
        return self._costs(rows)["params"]

    @override
    def cost_features(self, rows: IntArray) -> dict[str, FloatArray]:
        return with_logs(self._costs(rows))
