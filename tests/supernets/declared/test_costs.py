"""Costs of declared networks, by hand and against torch."""

from __future__ import annotations

import numpy as np
import pytest
from torch import Tensor, nn

from hwsearch.supernets.declared import Depth, ElasticModule, KernelSize, Width, elastic
from hwsearch.supernets.declared.costs import CostTable


class Net(nn.Module):
    """Stem, two residual convolutions of which one may go, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(16, 16, 1), nn.Conv2d(16, 16, 1))
        self.fc = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(self.stem(x)).mean((2, 3)))


@pytest.fixture(scope="module")
def net() -> ElasticModule:
    declared = {"stem": [Width((0.5, 1.0)), KernelSize((1, 3))], "body": Depth((1, 2))}
    return elastic(Net(), declared, input_shape=(3, 8, 8), resolutions=(4, 8))


def by_hand(side: int, width: int, kernel: int, depth: int) -> tuple[int, int]:
    """MACs and parameters. The stem's output is tied to the body's first input only; the body keeps 16 channels."""
    macs = side**2 * (3 * kernel**2 * width + width * 16 + (depth - 1) * 16 * 16) + 16 * 5
    params = (3 * kernel**2 + 1) * width + (width + 1) * 16 + (depth - 1) * 17 * 16 + 17 * 5
    return macs, params


def test_macs_and_parameters_by_hand(net: ElasticModule) -> None:
    for side in (4, 8):
        for width, share in ((8, 0.5), (16, 1.0)):
            for kernel in (1, 3):
                for depth in (1, 2):
                    values = {"r": side, "width[stem]": share, "kernel[stem]": kernel, "depth[body]": depth}
                    arch = net.space.architecture(values)
                    assert (net.macs(arch), net.params(arch)) == by_hand(side, width, kernel, depth)


def test_stages_add_up(net: ElasticModule) -> None:
    rows = net.space.sample_array(20, np.random.default_rng(0))
    costs = net.cost_features(rows)
    for kind in ("macs", "activations"):
        stages = [v for k, v in costs.items() if k.startswith(f"{kind}_")]
        np.testing.assert_allclose(np.sum(stages, axis=0), costs[kind])
    assert {"macs_stem", "macs_body", "macs_fc"} <= set(costs)


def test_terms_of_one_kind_are_added() -> None:
    table = CostTable()
    table.add((("outer", 1), ("inner", 2)), ("b", "a"), 3.0)
    table.add((("inner", 2),), ("a", "b"), 4.0)
    table.add((), (), np.array([1.0, 2.0]))
    assert {k: v.tolist() for k, v in table.terms.items()} == {
        ((("inner", 2),), ("a", "b")): [7.0],
        ((), ()): [1.0, 2.0],
    }
