"""Gates: frozen, they are the cut network; open for an example, they are that example's own network."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwsearch.errors import SupernetError, TrainingError
from hwsearch.supernets.declared import Depth, KernelSize, Width, elastic
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.supernets.gates import DepthGates, WidthGates
from hwsearch.training.parts.gates import GAIN, MARGIN, SPACING, Gates, disagreement, prove_gates
from tests.training.gated import SIDE, small

IMAGES = torch.randn(6, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def net():
    return small().eval()


@torch.no_grad()
def scattered(gates: Gates) -> None:
    """Give gates levels around their thresholds, so that examples differ: each gene's mean is put in the middle."""
    generator = torch.Generator().manual_seed(1)
    for layer in gates.levels:
        layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator) * 20)
    for k, (site, layer) in enumerate(zip(gates.sites, gates.levels, strict=True)):
        layer.bias.zero_()
        gates(IMAGES)
        above = gates.soft[k].double().clamp(1e-9, 1 - 1e-9).logit()[:, 0]
        layer.bias.fill_((SPACING * (site.count - 1) / 2 - float(above.median())) / GAIN)


def test_the_sites_are_the_depth_and_the_widths_in_the_order_of_the_slices(net) -> None:
    sites = {s.gene: s for s in net.gate_sites()}
    assert list(sites) == ["depth[stage]", *(f"width[stage.{i}.conv1]" for i in range(3))]
    depth, width = sites["depth[stage]"], sites["width[stage.1.conv1]"]
    assert isinstance(depth, DepthGates) and isinstance(width, WidthGates)
    blocks = list(net.model.stage._modules.values())
    assert depth.blocks == ((blocks[1],), (blocks[2],)) and depth.reader is blocks[1]
    assert width.bounds == (2, 4, 8) and width.reader is blocks[1].conv1 and width.consumers == (blocks[1].conv2,)


@torch.no_grad()
def test_frozen_gates_compute_every_architecture(net) -> None:
    gates, space = Gates(net, IMAGES[:2], 0), net.space
    assert space.cardinality == 3 + 9 + 27
    for arch in space.enumerate():
        gates.freeze(arch)
        torch.testing.assert_close(gates(IMAGES), net.subnet(arch)(IMAGES), rtol=1e-5, atol=1e-5)
    gates.freeze(None)
    assert gates.frozen.tolist() == [-1] * 4


@torch.no_grad()
def test_each_example_gets_the_network_that_its_gates_say(net) -> None:
    gates = Gates(net, IMAGES[:2], 0)
    scattered(gates)
    out = gates(IMAGES)
    rows = gates.rows(gates.hard)
    archs = net.space.from_array(rows)
    assert len(set(archs)) > 2
    for i, arch in enumerate(archs):
        torch.testing.assert_close(out[i : i + 1], net.subnet(arch)(IMAGES[i : i + 1]), rtol=1e-4, atol=1e-5)


def test_gates_begin_open_and_leave_no_trace_in_the_network(net) -> None:
    gates = Gates(net, IMAGES[:2], 0)
    torch.testing.assert_close(gates(IMAGES), net.subnet(net.space.largest())(IMAGES), rtol=1e-5, atol=1e-5)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert {n.split(".")[0] for n, _ in gates.named_parameters()} == {"levels"}
    assert all(float(s.detach().min()) > 0.5 for s in gates.soft)
    assert MARGIN > 0


def test_the_gradient_is_that_of_the_sigmoid(net) -> None:
    """By hand: d gate / d bias = gain s (1 - s), whatever the gate's value."""
    gates = Gates(net, IMAGES[:2], 0)
    scattered(gates)
    gates(IMAGES)
    k = next(i for i, h in enumerate(gates.hard) if 0 < float(h.detach().mean()) < 1)
    assert set(gates.hard[k].detach().round(decimals=5).flatten().tolist()) == {0.0, 1.0}
    (found,) = torch.autograd.grad(gates.hard[k].sum(), gates.levels[k].bias)
    s = gates.soft[k].detach()
    torch.testing.assert_close(found, (GAIN * s * (1 - s)).sum().view(1))


def test_open_gates_are_always_the_first_ones(net) -> None:
    gates = Gates(net, IMAGES[:2], 0)
    scattered(gates)
    gates(IMAGES)
    for hard in gates.hard:
        assert bool((hard.detach().diff(dim=1) <= 1e-6).all())


def test_the_proof_passes_and_leaves_the_gates_as_they_were(net) -> None:
    gates = Gates(net, IMAGES[:2], 0)
    prove_gates(gates, net, IMAGES[:2], np.random.default_rng(0))
    assert gates.frozen.tolist() == [-1] * 4 and not net.training


class Normed(nn.Module):
    """A norm over the channels that a gate would close."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.norm(self.first(x))))


def test_a_norm_over_gated_channels_is_refused() -> None:
    net = elastic(Normed(), {"first": Width((0.5, 1.0), divisor=2)}, input_shape=(4,), name="normed").eval()
    gates = Gates(net, torch.randn(2, 4), 0)
    with pytest.raises(TrainingError, match=r"'width\[first\]' cannot be gated: .* differ"):
        prove_gates(gates, net, torch.randn(2, 4), np.random.default_rng(0))


class Looped(nn.Module):
    """A loop that adds what a block gives: a closed gate would leave its input there twice."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))
        self.last = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = x + torch.relu(block(x))
        return self.last(x)


def test_work_of_a_loop_around_its_blocks_is_refused() -> None:
    net = elastic(Looped(), {"blocks": Depth((1, 3))}, input_shape=(4,), name="looped").eval()
    with pytest.raises(TrainingError, match=r"'depth\[blocks\]' cannot be gated"):
        prove_gates(Gates(net, torch.randn(2, 4), 0), net, torch.randn(2, 4), np.random.default_rng(0))


def test_a_space_without_depths_and_widths_is_refused(small_supernet: ElasticMobileNetV3) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3, 1, 1), nn.Flatten(), nn.Linear(32, 3))
    net = elastic(model, {"0": KernelSize((1, 3))}, input_shape=(1, 4, 4), name="kernels")
    with pytest.raises(TrainingError, match=r"no depth and no width of several values, only kernel\[0\]"):
        Gates(net, torch.randn(2, 1, 4, 4), 0)
    with pytest.raises(SupernetError, match="ElasticMobileNetV3 has no places for gates"):
        Gates(small_supernet, torch.randn(2, 3, 16, 16), 0)


def test_watching_tells_shares_and_log_odds(net) -> None:
    gates = Gates(net, IMAGES[:2], 0)
    scattered(gates)
    gates(IMAGES)
    expected = [h.detach().round().double().mean(0).numpy() for h in gates.hard]
    odds = [a.double().mean(0).numpy() for a in gates.above]
    for soft, above in zip(gates.soft, gates.above, strict=True):
        torch.testing.assert_close(soft.detach(), 1 / (1 + (-above).exp()))
    labels = torch.zeros(3)
    shares, levels = gates.watch(iter([(IMAGES[:3], labels), (IMAGES[3:], labels)]))
    for mine, theirs, level, odd in zip(shares, expected, levels, odds, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
        np.testing.assert_allclose(level, odd, rtol=1e-4, atol=1e-4)


def test_disagreement_by_hand() -> None:
    assert disagreement([np.array([0.5]), np.array([1.0, 0.2])]) == pytest.approx((0.25 + 0 + 0.16) / 3)
    assert math.isclose(disagreement([np.array([0.0, 1.0])]), 0)
