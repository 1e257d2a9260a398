"""Plain layers of fixed size that elastic networks have at their ends, and copies of them."""

from __future__ import annotations

from torch import Tensor, nn
from typing_extensions import override

from hwsearch.supernets.kernels import ACTIVATIONS, Activation, active
from hwsearch.supernets.layers.containers import Named
from hwsearch.supernets.layers.norm import norm_tensors

#: a plain convolution and the batch norm behind it
ConvNorm = tuple[nn.Conv2d, nn.BatchNorm2d]


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int, groups: int, eps: float) -> Named:
    """Build a convolution without bias and the batch norm behind it; padding keeps the size.

    Parameters
    ----------
    inputs : int
        Input channels.
    outputs : int
        Output channels.
    kernel : int
        Side of the kernel.
    stride : int
        Stride.
    groups : int
        Groups of channels.
    eps : float
        Added to the variance in the norm.

    Returns
    -------
    Named
        Container with the children ``conv`` and ``bn``.
    """
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return Named(conv=conv, bn=nn.BatchNorm2d(outputs, eps=eps))


def conv_norm_act(
    layers: Named, x_NCHW: Tensor, act: Activation = "identity", residual: Tensor | None = None
) -> Tensor:
    """Run a plain convolution, its norm, an activation and a residual; in training mode by the active kernels.

    Parameters
    ----------
    layers : Named
        Container of `conv_norm`.
    x_NCHW : Tensor
        Input of shape (N, C, H, W).
    act : str
        Activation behind the norm.
    residual : Tensor, optional
        What is added in the end, of the output's shape.

    Returns
    -------
    Tensor
        Output.
    """
    conv, bn, kernels = layers.conv, layers.bn, active()
    if not (kernels.fused and bn.training):
        y = ACTIVATIONS[act](bn(conv(x_NCHW)))
        return y if residual is None else residual + y
    bn.num_batches_tracked.add_(1)
    norm, side, stride = norm_tensors(bn, bn.num_features), conv.kernel_size[0], conv.stride[0]
    if side == stride == conv.groups == 1:
        return kernels.pointwise_norm_act(x_NCHW, conv.weight, norm, act, residual)
    if conv.groups == conv.in_channels == conv.out_channels > 1 and residual is None:
        return kernels.depthwise_norm_act(x_NCHW, conv.weight, stride, norm, act)
    return kernels.norm_act(conv(x_NCHW), norm, act, residual)


class Residual(nn.Module):
    """x + body(x).

    Parameters
    ----------
    body : nn.Module
        Layers that keep the shape.
    """

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    @override
    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)  # type: ignore[no-any-return]


def copy_conv(source: nn.Conv2d) -> nn.Conv2d:
    """Copy a convolution, its options and its weights.

    Parameters
    ----------
    source : nn.Conv2d
        The convolution.

    Returns
    -------
    nn.Conv2d
        A copy with weights of its own.
    """
    conv = nn.Conv2d(
        source.in_channels,
        source.out_channels,
        source.kernel_size,  # type: ignore[arg-type]
        source.stride,  # type: ignore[arg-type]
        source.padding,  # type: ignore[arg-type]
        groups=source.groups,
        bias=source.bias is not None,
    )
    conv.load_state_dict(source.state_dict())
    return conv


def copy_conv_norm(source: nn.Module) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """Copy a convolution and the batch norm behind it.

    Parameters
    ----------
    source : nn.Module
        Container with the children ``conv`` and ``bn``, as of `conv_norm`.

    Returns
    -------
    tuple of (nn.Conv2d, nn.BatchNorm2d)
        Copies with weights and statistics of their own.
    """
    full = source.bn
    assert isinstance(source.conv, nn.Conv2d) and isinstance(full, nn.BatchNorm2d)
    bn = nn.BatchNorm2d(full.num_features, eps=full.eps)
    bn.load_state_dict(full.state_dict())
    return copy_conv(source.conv), bn
