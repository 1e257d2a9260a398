"""Inverted residual blocks, elastic and static."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from typing_extensions import override

from hwsearch.supernets.families.mobilenetv3.config import BlockPlan, MobileNetV3Config, Stage
from hwsearch.supernets.kernels import Activation
from hwsearch.supernets.layers.containers import Named
from hwsearch.supernets.layers.conv import ElasticConv
from hwsearch.supernets.layers.depthwise import ElasticDepthwise, expanded
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

#: the same activations as the kernels of training name them
KERNEL_ACTIVATIONS: dict[str, Activation] = {
    "relu": "relu",
    "h_swish": "hardswish",
    "relu6": "relu6",
    "swish": "silu",
}


class ElasticInvertedResidual(nn.Module):
    """Inverted residual block with elastic expansion and kernel: expand, depth-wise, squeeze-and-excite, project.

    Parameters
    ----------
    config : MobileNetV3Config
        Shape of the supernet.
    stage : Stage
        Stage of the block.
    inputs : int
        Input channels.
    stride : int
        Stride.

    References
    ----------
    Sandler et al., 2018, MobileNetV2, arXiv 1801.04381.
    """

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
        self.act = KERNEL_ACTIVATIONS[stage.act]

    def forward(self, x_NCHW: Tensor, plan: BlockPlan) -> Tensor:
        """Run the block as one architecture has it.

        Parameters
        ----------
        x_NCHW : Tensor
            Input of shape (N, inputs, H, W).
        plan : BlockPlan
            Sizes of the block.

        Returns
        -------
        Tensor
            Output of shape (N, outputs, H', W').
        """
        expand, depth, project = self.conv.inverted_bottleneck, self.conv.depth_conv, self.conv.point_linear
        y = expanded(expand, depth, x_NCHW, plan.middle, plan.kernel, self.act)
        if plan.se:
            y = depth.se(y)
        residual = x_NCHW if plan.residual else None
        return project.conv.normed(y, plan.outputs, project.bn, residual=residual)  # type: ignore[no-any-return]

    def sort_channels(self) -> None:
        """Sort the middle channels, and those inside the squeeze-and-excitation, by importance; in place."""
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
        """Extract the static block of a plan, with copies of the sliced weights.

        Parameters
        ----------
        plan : BlockPlan
            Sizes of the block.

        Returns
        -------
        StaticInvertedResidual
            The block.
        """
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
    """Inverted residual block of an extracted subnet.

    Parameters
    ----------
    plan : BlockPlan
        Sizes of the block.
    expand : tuple of (nn.Conv2d, nn.BatchNorm2d)
        Expansion.
    depth : tuple of (nn.Conv2d, nn.BatchNorm2d)
        Depth-wise convolution.
    squeeze_excite : nn.Module
        Squeeze-and-excitation, or an identity.
    project : tuple of (nn.Conv2d, nn.BatchNorm2d)
        Projection.
    """

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

    @override
    def forward(self, x_NCHW: Tensor) -> Tensor:
        y = self.act1(self.expand_bn(self.expand(x_NCHW)))
        y = self.se(self.act2(self.depth_bn(self.depth(y))))
        y = self.project_bn(self.project(y))
        return x_NCHW + y if self.residual else y
