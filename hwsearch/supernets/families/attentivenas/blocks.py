"""Inverted residual blocks with elastic widths and a shortcut everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from hwsearch.supernets.families.attentivenas.config import WideStage
from hwsearch.supernets.layers.containers import Named
from hwsearch.supernets.layers.conv import ElasticConv
from hwsearch.supernets.layers.depthwise import ElasticDepthwise, expanded
from hwsearch.supernets.layers.fixed import ConvNorm
from hwsearch.supernets.layers.naming import make_divisible
from hwsearch.supernets.layers.norm import ElasticBatchNorm
from hwsearch.supernets.layers.squeeze_excite import ElasticSqueezeExcite


@dataclass(frozen=True)
class WideBlockPlan:
    """One block of one architecture, all sizes resolved.

    Attributes
    ----------
    index : int
        Index of the block in the largest network.
    inputs : int
        Input channels.
    middle : int
        Channels after the expansion.
    outputs : int
        Output channels.
    kernel : int
        Side of the depth-wise kernel.
    stride : int
        Stride.
    side : int
        Side of its input in pixels.
    """

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

    Parameters
    ----------
    stage : WideStage
        Stage of the block.
    inputs : int
        Input channels at full size.
    stride : int
        Stride.
    eps : float
        Added to the variance in batch norms.
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
        """Run the block as one architecture has it.

        Parameters
        ----------
        x_NCHW : Tensor
            Input of shape (N, inputs, H, W).
        plan : WideBlockPlan
            Sizes of the block.

        Returns
        -------
        Tensor
            Output of shape (N, outputs, H', W').
        """
        layers, y = self.mobile_inverted_conv, x_NCHW
        depth, project = layers.depth_conv, layers.point_linear
        if self.expands:
            y = expanded(layers.inverted_bottleneck, depth, y, plan.middle, plan.kernel, "silu")
        else:
            y = depth.conv.normed(y, plan.kernel, depth.bn, "silu")
        if self.se:
            y = depth.se(y)
        if plan.stride > 1:
            x_NCHW = F.avg_pool2d(x_NCHW, plan.stride, plan.stride, x_NCHW.shape[-1] % 2)
        if plan.inputs != plan.outputs:
            x_NCHW = self.shortcut.conv(x_NCHW, plan.outputs)
        return project.conv.normed(y, plan.outputs, project.bn, residual=x_NCHW)  # type: ignore[no-any-return]

    def static(self, plan: WideBlockPlan) -> WideBlock:
        """Extract the static block of a plan, with copies of the sliced weights.

        Parameters
        ----------
        plan : WideBlockPlan
            Sizes of the block.

        Returns
        -------
        WideBlock
            The block.
        """
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
    """Inverted residual block of an extracted subnet.

    Parameters
    ----------
    expand : tuple of (nn.Conv2d, nn.BatchNorm2d) or None
        Expansion, or None without one.
    depth : tuple of (nn.Conv2d, nn.BatchNorm2d)
        Depth-wise convolution.
    squeeze_excite : nn.Module or None
        Squeeze-and-excitation, or None without it.
    project : tuple of (nn.Conv2d, nn.BatchNorm2d)
        Projection.
    shortcut : sequence of nn.Module
        Layers of the shortcut; none for the input itself.
    """

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

    @override
    def forward(self, x_NCHW: Tensor) -> Tensor:
        return self.shortcut(x_NCHW) + self.body(x_NCHW)  # type: ignore[no-any-return]
