"""Pools: output sizes worked by hand, and numbers against torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwsearch.exporters import run_onnx, serialise
from hwsearch.exporters.onnx.dims import NoRuleError
from hwsearch.exporters.onnx.lower import by_rules


def written_sides(net: nn.Module, side: int) -> list[int]:
    """Height and width of the output as the model file states them, for images (1, side, side)."""
    shape = by_rules(net.eval(), (1, side, side)).graph.output[0].type.tensor_type.shape
    return [d.dim_value for d in shape.dim[2:]]


@pytest.mark.parametrize("kind", [nn.MaxPool2d, nn.AvgPool2d])
@pytest.mark.parametrize(
    ("side", "kernel", "stride", "pad", "expected"),
    [
        # windows begin at -1, 1, 3; that at 3 holds only the padding at 3, so torch leaves it out
        (3, 2, 2, 1, 2),
        # windows begin at -1, 1, 3; that at 3 holds the last pixel, so it stays
        (4, 3, 2, 1, 3),
        # windows begin at -1, 2, 5; none holds anything at 5
        (4, 3, 3, 1, 2),
        # without padding the last window is cut, but has a pixel
        (5, 2, 2, 0, 3),
    ],
)
def test_a_ceil_mode_window_that_lies_in_the_padding_is_left_out(
    kind: type[nn.Module], side: int, kernel: int, stride: int, pad: int, expected: int
) -> None:
    net = kind(kernel, stride, pad, ceil_mode=True)
    assert written_sides(net, side) == [expected, expected]
    x = torch.randn(2, 1, side, side, generator=torch.Generator().manual_seed(0))
    y = net(x)
    assert y.shape == (2, 1, expected, expected)
    (found,) = run_onnx(serialise(by_rules(net.eval(), (1, side, side))), x.numpy())
    np.testing.assert_allclose(found, y.numpy(), rtol=1e-6, atol=1e-6)


def test_the_floor_is_taken_without_ceil_mode() -> None:
    """(3 + 2·1 - 2) // 2 + 1 and (6 - 3) // 2 + 1."""
    assert written_sides(nn.MaxPool2d(2, 2, 1), 3) == [2, 2]
    assert written_sides(nn.AvgPool2d(3, 2), 6) == [2, 2]


def test_the_size_behind_a_ceil_mode_pool_is_what_later_layers_count_on() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.MaxPool2d(2, 2, 1, ceil_mode=True)

        def forward(self, x: Tensor) -> Tensor:
            y = self.pool(x)
            return y.reshape(y.shape[0], y.shape[2] * y.shape[3])

    x = torch.randn(1, 1, 3, 3, generator=torch.Generator().manual_seed(1))
    (found,) = run_onnx(serialise(by_rules(Net().eval(), (1, 3, 3))), x.numpy())
    assert found.shape == (1, 4)


def test_padding_counts_in_the_mean_only_where_it_is_asked_to() -> None:
    """A corner window of 2×2 holds one pixel of value 4: 4 / 4 with the padding, 4 / 1 without."""
    x = torch.full((1, 1, 2, 2), 4.0)
    for included, corner in ((True, 1.0), (False, 4.0)):
        net = nn.AvgPool2d(2, 2, 1, count_include_pad=included).eval()
        (found,) = run_onnx(serialise(by_rules(net, (1, 2, 2))), x.numpy())
        assert found[0, 0, 0, 0] == corner


@pytest.mark.parametrize(
    "net",
    [nn.MaxPool2d(3, dilation=2), nn.AvgPool2d(2, divisor_override=3), nn.AdaptiveAvgPool2d(3)],
    ids=["dilation", "divisor", "uneven adaptive windows"],
)
def test_pools_without_an_onnx_counterpart_are_refused(net: nn.Module) -> None:
    with pytest.raises(NoRuleError):
        by_rules(net.eval(), (1, 10, 10))
