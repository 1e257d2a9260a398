"""Each rule against brute force over a fine grid, and by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hwsearch.accuracy.certified import Interval

ACTIVATIONS = {
    "relu": F.relu,
    "relu6": F.relu6,
    "hardtanh": F.hardtanh,
    "hardsigmoid": F.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": F.softplus,
    "hardswish": F.hardswish,
    "silu": F.silu,
    "gelu": F.gelu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "clamp": lambda v: v.clamp(-0.5, 2.0),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_bounded_tightly(name: str) -> None:
    """Least and largest value over 4,001 points of 400 intervals: never outside, and no wider than the grid is coarse."""
    f = ACTIVATIONS[name]
    rng = torch.Generator().manual_seed(0)
    a, b = 12 * torch.rand(2, 400, generator=rng, dtype=torch.float64) - 6
    lower, upper = torch.minimum(a, b), torch.maximum(a, b)
    lower[:3], upper[:3] = -7.0, torch.tensor([-6.0, 0.0, 7.0], dtype=torch.float64)
    found = f(Interval(lower, upper))
    grid = lower[:, None] + (upper - lower)[:, None] * torch.linspace(0, 1, 4001, dtype=torch.float64)
    values = f(grid)
    least, most = values.min(1).values, values.max(1).values
    assert bool((found.lower <= least + 1e-6).all() and (found.upper >= most - 1e-6).all())
    torch.testing.assert_close(found.lower, least, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.upper, most, rtol=0, atol=1e-5)


def corners(boxes: list[Interval], f) -> tuple[Tensor, Tensor]:
    """Least and largest value over points of all boxes, the ends among them."""
    rng = torch.Generator().manual_seed(1)
    values = []
    for k in range(3000):
        share = [torch.rand(x.shape, generator=rng) for x in boxes]
        share = [s.round() for s in share] if k % 3 else share
        values.append(f(*(x.lower + (x.upper - x.lower) * s for x, s in zip(boxes, share, strict=True))))
    stacked = torch.stack(values)
    return stacked.min(0).values, stacked.max(0).values


def drawn(seed: int, *shape: int) -> Interval:
    rng = torch.Generator().manual_seed(seed)
    centre, radius = torch.randn(shape, generator=rng), torch.rand(shape, generator=rng)
    return Interval(centre - radius, centre + radius)


@pytest.mark.parametrize(
    "f",
    [
        lambda a, b: a * b,
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: -a - 2 * b,
        lambda a, b: 1.5 - a,
        lambda a, b: a * torch.tensor([[-2.0, 0.5]]),
        lambda a, b: a / -3.0,
        lambda a, b: torch.tensor([[1.0, -1.0]]) * a + b,
        lambda a, b: torch.sub(a, b, alpha=2.0),
        lambda a, b: torch.maximum(a, b),
    ],
)
def test_sums_and_products_are_bounded_tightly(f) -> None:
    """Two entries of either sign: the best of 2,000 corners is the bound."""
    for seed in range(5):
        boxes = [drawn(seed, 1, 2), drawn(seed + 50, 1, 2)]
        found, (least, most) = f(*boxes), corners(boxes, f)
        torch.testing.assert_close(found.lower, least, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.upper, most, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "f",
    [
        lambda v: F.max_pool2d(v, 2),
        lambda v: F.avg_pool2d(v, 2),
        lambda v: F.adaptive_avg_pool2d(v, 1),
        lambda v: F.adaptive_max_pool2d(v, 1),
        lambda v: v.mean((2, 3)),
        lambda v: torch.flatten(v, 1),
        lambda v: torch.cat([v, v], 1),
        lambda v: v.chunk(2, 1)[1],
        lambda v: F.pad(v, (1, 1, 0, 0)),
        lambda v: F.interpolate(v, scale_factor=2, mode="bilinear"),
        lambda v: v.permute(0, 2, 3, 1)[:, 0],
        lambda v: F.dropout(v, 0.5, training=False),
    ],
)
def test_pools_and_shapes_hold_every_point(f) -> None:
    x = drawn(3, 1, 2, 4, 4)
    found = f(x)
    assert torch.equal(found.lower, f(x.lower)) and torch.equal(found.upper, f(x.upper))
    least, most = corners([x], f)
    assert bool((found.lower <= least + 1e-6).all() and (found.upper >= most - 1e-6).all())


def test_a_gate_by_hand() -> None:
    """A feature in [-1, 2] times a gate in [0.25, 0.5]: from -0.5 to 1."""
    found = Interval(torch.tensor([-1.0]), torch.tensor([2.0])) * Interval(torch.tensor([0.25]), torch.tensor([0.5]))
    assert (found.lower.item(), found.upper.item()) == (-0.5, 1.0)
