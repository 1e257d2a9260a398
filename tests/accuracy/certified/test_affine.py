"""Layers with weights: exact at the corners of the box."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import nn

from hwsearch.accuracy.certified import Interval, margin_bounds


def test_the_radius_is_that_of_absolute_weights() -> None:
    """By hand: 1 x - 1 y over the square of side 2 goes from -2 to 2; with W in place of |W| it would be 0."""
    found = F.linear(Interval(-torch.ones(1, 2), torch.ones(1, 2)), torch.tensor([[1.0, -1.0]]))
    assert (found.lower.item(), found.upper.item()) == (-2.0, 2.0)


def test_affine_layers_are_exact_at_the_corners() -> None:
    rng = torch.Generator().manual_seed(0)
    for _ in range(6):
        centre, radius = torch.randn(1, 2, 2, 2, generator=rng), torch.rand(1, 2, 2, 2, generator=rng)
        weight, bias = torch.randn(3, 2, 2, 2, generator=rng), torch.randn(3, generator=rng)
        scale, shift = torch.randn(3, generator=rng), torch.randn(3, generator=rng)

        def f(v, weight=weight, bias=bias, scale=scale, shift=shift):
            y = F.conv2d(v, weight, bias, padding=1)
            return F.batch_norm(y, shift, scale.abs() + 0.1, scale, bias)

        found = f(Interval(centre - radius, centre + radius))
        signs = torch.tensor([*itertools.product((-1.0, 1.0), repeat=8)]).view(-1, 2, 2, 2)
        values = f(centre + radius * signs)
        torch.testing.assert_close(found.lower[0], values.min(0).values, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.upper[0], values.max(0).values, rtol=1e-4, atol=1e-5)


def test_folded_margins_are_exact_at_the_corners_and_tighter_than_differences_of_bounds() -> None:
    rng = torch.Generator().manual_seed(1)
    net = nn.Linear(4, 3)
    centre, radius = torch.randn(5, 4, generator=rng), torch.rand(5, 4, generator=rng)
    labels = torch.tensor([0, 1, 2, 2, 0])
    found = net(Interval(centre - radius, centre + radius))
    margins = margin_bounds(found, labels)
    signs = torch.tensor([*itertools.product((-1.0, 1.0), repeat=4)])
    for k in range(5):
        z = net(centre[k] + radius[k] * signs)
        least = (z[:, labels[k], None] - z).min(0).values
        torch.testing.assert_close(margins[k], least, rtol=1e-4, atol=1e-5)
    found.affine = None
    assert bool((margin_bounds(found, labels) <= margins + 1e-5).all())


def test_products_with_a_matrix_are_those_of_a_linear_layer() -> None:
    weight = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
    x = Interval(torch.tensor([[-1.0, 0.0]]), torch.tensor([[1.0, 2.0]]))
    found, expected = x @ weight, F.linear(x, weight.T)
    assert torch.equal(found.lower, expected.lower) and torch.equal(found.upper, expected.upper)


def test_dropout_in_training_mode_drops_the_same_entries_at_both_ends() -> None:
    torch.manual_seed(0)
    found = F.dropout(Interval(torch.full((1, 100), 1.0), torch.full((1, 100), 2.0)), 0.5, training=True)
    assert torch.equal(found.upper, 2 * found.lower) and 20 < int((found.lower == 0).sum()) < 80
