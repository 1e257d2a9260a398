"""Elastic MobileNetV3: kernel, expansion, depth and resolution can be chosen per layer."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from hwsearch.supernets.families.mobilenetv3.config import BlockPlan, MobileNetV3Config, Stage
from hwsearch.supernets.layers.containers import Named
from hwsearch.supernets.layers.conv import ElasticConv
from hwsearch.supernets.layers.depthwise import ElasticDepthwise
from hwsearch.supernets.layers.fixed import ConvNorm
from hwsearch.supernets.layers.naming import make_divisible
from hwsearch.supernets.layers.norm import ElasticBatchNorm
from hwsearch.supernets.layers.ordering import norm_slots, sort_by_importance
from hwsearch.supernets.layers.squeeze_excite import ElasticSqueezeExcite

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "h_swish": nn.Hardswish,
    "relu6": nn.ReLU6,
    "swish": nn.SiLU,
}


class ElasticInvertedResidual(nn.Module):
    """Inverted residual block with elastic expansion and kernel: expand, depth-wise, SE, project."""

    def __init__(self, config: MobileNetV3Config, stage: Stage, inputs: int, stride: int) -> None:
        super().__init__()
        middle = make_divisible(round(inputs * max(config.expansions)), 8)
        bn = lambda n: ElasticBatchNorm(n, config.bn_eps)  # noqa: E731
        depth = Named(conv=ElasticDepthwise(middle, config.kernels, stride), bn=bn(middle))
        if stage.se:
            depth.add_module("se", ElasticSqueezeExcite(middle))
        self.conv = Named(
            inverted_bottleneck=Named(conv=ElasticConv(inputs, middle), bn=bn(middle)),
            depth_conv=depth,
            point_linear=Named(conv=ElasticConv(middle, stage.width), bn=bn(stage.width)),
        )
        self.act = ACTIVATIONS[stage.act]()

    def forward(self, x_NCHW: Tensor, plan: BlockPlan) -> Tensor:
        expand, depth, project = self.conv.inverted_bottleneck, self.conv.depth_conv, self.conv.point_linear
        y: Tensor = self.act(expand.bn(expand.conv(x_NCHW, plan.middle)))
        y = self.act(depth.bn(depth.conv(y, plan.kernel)))
        if plan.se:
            y = depth.se(y)
        y = project.bn(project.conv(y, plan.outputs))
        return x_NCHW + y if plan.residual else y

    def sort_channels(self) -> None:
        """Put the middle channels, and those inside the squeeze-excitation, in order of importance; in place."""
        expand, depth, project = self.conv.inverted_bottleneck, self.conv.depth_conv, self.conv.point_linear
        slots = [(expand.conv.conv.weight, 0), *norm_slots(expand.bn)]
        slots += [(depth.conv.conv.weight, 0), *norm_slots(depth.bn), (project.conv.conv.weight, 1)]
        if hasattr(depth, "se"):
            reduce, gate = depth.se.fc["reduce"], depth.se.fc["expand"]
            slots += [(reduce.weight, 1), (gate.weight, 0), (gate.bias, 0)]
        sort_by_importance(slots, [(project.conv.conv.weight, 1)])
        if hasattr(depth, "se"):
            inner = [(reduce.weight, 0), (reduce.bias, 0), (gate.weight, 1)]
            sort_by_importance(inner, [(gate.weight, 1)])

    def static(self, plan: BlockPlan) -> StaticInvertedResidual:
        """The static block of `plan` with copies of the sliced weights."""
        expand, depth, project = self.conv.inverted_bottleneck, self.conv.depth_conv, self.conv.point_linear
        se = depth.se.static(plan.middle) if plan.se else nn.Identity()
        return StaticInvertedResidual(
            plan,
            (expand.conv.static(plan.inputs, plan.middle), expand.bn.static(plan.middle)),
            (depth.conv.static(plan.middle, plan.kernel), depth.bn.static(plan.middle)),
            se,
            (project.conv.static(plan.middle, plan.outputs), project.bn.static(plan.outputs)),
        )


class StaticInvertedResidual(nn.Module):
    """The static inverted residual block of an extracted subnet."""

    def __init__(
        self, plan: BlockPlan, expand: ConvNorm, depth: ConvNorm, squeeze_excite: nn.Module, project: ConvNorm
    ) -> None:
        super().__init__()
        self.expand, self.expand_bn = expand
        self.act1 = ACTIVATIONS[plan.act]()
        self.depth, self.depth_bn = depth
        self.act2 = ACTIVATIONS[plan.act]()
        self.se = squeeze_excite
        self.project, self.project_bn = project
        self.residual = plan.residual

    def forward(self, x_NCHW: Tensor) -> Tensor:
        y = self.act1(self.expand_bn(self.expand(x_NCHW)))
        y = self.se(self.act2(self.depth_bn(self.depth(y))))
        y = self.project_bn(self.project(y))
        return x_NCHW + y if self.residual else y
