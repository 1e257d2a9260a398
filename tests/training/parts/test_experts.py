"""Weights mixed from experts."""

from __future__ import annotations

import pytest
import torch

from hwsearch.training.strategies.mixture import MixtureOfSupernets


@pytest.mark.parametrize("granularity", ["layer", "neuron"])
def test_experts_start_as_the_supernet_and_are_mixed_by_the_architecture(start, granularity: str) -> None:
    case = start(MixtureOfSupernets(granularity=granularity, hidden=4))
    view, net = case.recipe.view, case.net.eval()
    arch, other = net.space.largest(), net.space.smallest()
    x, _ = next(case.run.data.batches(16, 8))
    view.bind(arch)
    with torch.no_grad():
        torch.testing.assert_close(view.forward(x), net(x), rtol=0.1, atol=0.2)
        view.extra.router[2].weight.normal_(generator=torch.Generator().manual_seed(0))
        assert not torch.allclose(view.forward(x), net(x), atol=1e-4)
    weights = [view.extra.weights(net, a)["blocks.1.conv.point_linear.conv.conv.weight"] for a in (arch, other)]
    assert not torch.equal(*weights)
    own = dict(net.named_parameters())["blocks.1.conv.point_linear.conv.conv.weight"]
    assert float((weights[0] - own).norm() / own.norm()) < 0.05  # experts differ by 1 % yet
