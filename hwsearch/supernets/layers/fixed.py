"""Elastic MobileNetV3: kernel, expansion, depth and resolution can be chosen per layer."""

from __future__ import annotations

from torch import Tensor, nn

from hwsearch.supernets.layers.containers import Named

#: a plain convolution and the batch norm behind it
ConvNorm = tuple[nn.Conv2d, nn.BatchNorm2d]


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int, groups: int, eps: float) -> Named:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return Named(conv=conv, bn=nn.BatchNorm2d(outputs, eps=eps))


class Residual(nn.Module):
    """x + body(x)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)  # type: ignore[no-any-return]


def copy_conv(source: nn.Conv2d) -> nn.Conv2d:
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
    full = source.bn
    assert isinstance(source.conv, nn.Conv2d) and isinstance(full, nn.BatchNorm2d)
    bn = nn.BatchNorm2d(full.num_features, eps=full.eps)
    bn.load_state_dict(full.state_dict())
    return copy_conv(source.conv), bn
