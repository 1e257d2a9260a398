"""Groups of coupled channels, worked by hand on small networks."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hwsearch.errors import SupernetError
from hwsearch.supernets.declared.channel_groups import ChannelGroups, NetworkTrace
from hwsearch.supernets.declared.tracing import trace_network


def test_ties_are_transitive_and_reasons_hold_for_the_whole_group() -> None:
    groups = ChannelGroups()
    a, b, c, d = (groups.new(n) for n in (4, 4, 4, 6))
    groups.fix([b], "first")
    groups.tie(a, b)
    groups.tie(b, c)
    assert groups.root(a) == groups.root(b) == groups.root(c) != groups.root(d)
    assert [groups.reason(x) for x in (a, b, c, d)] == ["first", "first", "first", None]
    groups.fix([c], "second")
    assert groups.reason(a) == "first"
    assert [groups.size(x) for x in (a, d)] == [4, 6]


class Residual(nn.Module):
    """y = conv2(bn(conv1(x))) + conv1(x), then a linear classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 1)
        self.body = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.norm = nn.BatchNorm2d(8)
        self.point = nn.Conv2d(8, 8, 1)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        return self.fc((y + self.point(self.norm(self.body(y)))).mean((2, 3)))


@pytest.fixture(scope="module")
def residual() -> NetworkTrace:
    return trace_network(Residual(), [(3, 8, 8), (3, 4, 4)])


def test_a_residual_add_ties_what_it_adds_and_layers_that_keep_the_width_follow(residual: NetworkTrace) -> None:
    root = {n: tuple(residual.groups.root(a) for a in axes) for n, axes in residual.axes.items()}
    width = root["stem"][1]
    assert root["body"] == root["norm"] == root["point"] == (width, width)
    assert root["fc"][0] == width and root["fc"][1] != width
    assert residual.groups.reason(width) is None


def test_inputs_and_outputs_of_the_network_cannot_be_cut(residual: NetworkTrace) -> None:
    assert "input" in str(residual.groups.reason(residual.axes["stem"][0]))
    assert "output" in str(residual.groups.reason(residual.axes["fc"][1]))
    assert residual.output == (1, 5)


def test_costs_are_those_of_each_resolution(residual: NetworkTrace) -> None:
    """MACs at 8×8 and 4×4 pixels: 3·8, 9·8 and 8·8 for each pixel, 8·5 for the classifier."""
    found = {c.layer: c for c in residual.calls if c.layer}
    assert found["stem"].macs == (24 * 64, 24 * 16) and found["stem"].outputs == (8 * 64, 8 * 16)
    assert found["body"].macs == (72 * 64, 72 * 16)
    assert found["point"].macs == (64 * 64, 64 * 16)
    assert found["fc"].macs == (40, 40)


def test_an_operation_without_a_rule_names_itself_as_the_reason() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(torch.cumsum(self.a(x), 1))

    found = trace_network(Odd(), [(4,)])
    assert "'cumsum'" in str(found.groups.reason(found.axes["a"][1]))


def test_a_network_that_does_not_run_is_refused_with_the_shape() -> None:
    with pytest.raises(SupernetError, match=r"\(2, 8, 8\)"):
        trace_network(Residual(), [(2, 8, 8)])
