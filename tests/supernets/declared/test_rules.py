"""What operations do to axes, one operation at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from hwsearch.supernets.declared.tracing import trace_network


class Two(nn.Module):
    """linear a, an operation, linear b; a has 6 outputs."""

    def __init__(self, operation: Callable[[Tensor], Tensor], inputs: int = 6) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 6), nn.Linear(inputs, 2)
        self.operation = operation

    def forward(self, x: Tensor) -> Tensor:
        return self.b(self.operation(self.a(x)))


def outcome(operation: Callable[[Tensor], Tensor], inputs: int = 6) -> tuple[bool, str | None]:
    """Whether the output of a is tied to the input of b, and why it cannot be cut."""
    found = trace_network(Two(operation, inputs), [(4,)])
    mine, other = found.axes["a"][1], found.axes["b"][0]
    return found.groups.root(mine) == found.groups.root(other), found.groups.reason(mine)


@pytest.mark.parametrize(
    "operation",
    [
        torch.relu,
        lambda x: x * 2 + 1,
        lambda x: x + x,
        lambda x: x.clamp(0, 1).contiguous(),
        lambda x: x.unsqueeze(1).squeeze(1),
        lambda x: x.unsqueeze(1).mean(1),
        lambda x: x.unsqueeze(-1).transpose(1, 2).flatten(1),
        lambda x: x.view(x.size(0), -1),
    ],
)
def test_operations_that_keep_an_axis(operation: Callable[[Tensor], Tensor]) -> None:
    assert outcome(operation) == (True, None)


@pytest.mark.parametrize(
    ("operation", "inputs", "reason"),
    [
        (lambda x: torch.cat([x, x], 1), 12, "'cat'"),
        (lambda x: x.view(-1, 2, 3).flatten(1), 6, "mixes axes"),
        (lambda x: x.view(-1, 6), 6, "asks for 6"),
        (lambda x: x[:, :3], 3, "'getitem'"),
        (lambda x: x.softmax(1), 6, "'softmax'"),
    ],
)
def test_operations_that_forbid_a_cut(operation: Callable[[Tensor], Tensor], inputs: int, reason: str) -> None:
    _, found = outcome(operation, inputs)
    assert found is not None and reason in found


def test_grouped_convolutions_and_paddings_that_copy_pixels_are_not_cut() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 1),
        nn.Conv2d(8, 8, 3, padding=1, groups=2),
        nn.Conv2d(8, 4, 3, padding=1, padding_mode="reflect"),
    )
    found = trace_network(net, [(3, 8, 8)])
    assert "grouped convolution (2 groups)" in str(found.groups.reason(found.axes["0"][1]))
    assert "'reflect'" in str(found.groups.reason(found.axes["2"][0])) or "grouped" in str(
        found.groups.reason(found.axes["2"][0])
    )
