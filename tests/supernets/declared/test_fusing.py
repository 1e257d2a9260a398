"""Norms of declared networks that kernels compute with their activation, and those that they must not."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwsearch.supernets.declared import Depth, ElasticModule, Width, elastic
from hwsearch.supernets.declared.fusing import norm_activations
from hwsearch.supernets.declared.tracing import trace_network
from hwsearch.supernets.kernels import EAGER, Activation, Kernels, Norm, choose, using
from hwsearch.supernets.layers.sliced import norm as sliced_norm
from tests.supernets.layers.watched import Watched


class Block(nn.Module):
    """One ReLU in two places, the second behind a sum in place, as torchvision writes it."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n, n, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n)
        self.conv2 = nn.Conv2d(n, n, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += x
        return self.relu(y)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.blocks = nn.Sequential(Block(8), Block(8))
        self.mid = nn.Conv2d(8, 12, 1, bias=False)
        self.mid_bn = nn.BatchNorm2d(12)
        self.silu = nn.SiLU()
        self.last = nn.Conv2d(12, 12, 1, bias=False)
        self.last_bn = nn.BatchNorm2d(12)
        self.fc = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.mid_bn(self.mid(self.blocks(self.stem(x))))
        y = self.silu(y) + y.mean((2, 3), keepdim=True)  # two readers
        return self.fc(torch.relu(self.last_bn(self.last(y))).mean((2, 3)))


def supernet() -> ElasticModule:
    torch.manual_seed(0)
    declaration = {"stem.0": Width((0.5, 1.0)), "blocks.*.conv1": Width((0.5, 1.0)), "mid": Width((0.5, 1.0)),
                   "last": Width((0.5, 1.0)), "blocks": Depth((1, 2))}  # fmt: skip
    return elastic(Net(), declaration, input_shape=(3, 8, 8))


@pytest.fixture(autouse=True)
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sliced_norm, "LEAST_FUSED", 1)


def step(net: ElasticModule, kernels: Kernels, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Outputs, gradients and statistics of three subnets."""
    net = copy.deepcopy(net).to(dtype).train()
    found: list[Tensor] = []
    archs = [net.space.smallest(), net.space.largest(), *net.space.sample(1, np.random.default_rng(0))]
    with using(kernels):
        for k, arch in enumerate(archs):
            net.activate(arch)
            y = net(torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(k)).to(dtype))
            y.square().mean().backward()
            found.append(y.detach())
    return [*found, *(p.grad for p in net.parameters() if p.grad is not None), *net.buffers()]


def test_pairs_are_those_that_stay_together() -> None:
    net = Net()
    modules = dict(net.named_modules())
    found = trace_network(net, [(3, 8, 8)])
    pairs = set(norm_activations(found, modules, {"blocks"}))
    assert pairs == {("stem.1", "stem.2"), ("blocks.0.bn1", "blocks.0.relu"), ("blocks.1.bn1", "blocks.1.relu")}
    # a depth that could leave the activation out and keep its norm
    assert set(norm_activations(found, modules, {"stem", ""})) == {p for p in pairs if p[0].startswith("blocks")}


@pytest.mark.parametrize("name", ["watched", "native"])
def test_steps_are_those_of_eager_kernels(name: str) -> None:
    net = supernet()
    kernels: Any = Watched() if name == "watched" else choose("auto").kernels
    dtype, tolerance = (torch.float64, 1e-10) if name == "watched" else (torch.float32, 2e-5)
    for a, b in zip(step(net, kernels, dtype), step(net, EAGER, dtype), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)
    if name == "watched":
        assert "norm_act" in kernels.asked


def test_norms_name_their_activation(monkeypatch: pytest.MonkeyPatch) -> None:
    acts: list[str] = []

    class Noted(Kernels):
        fused = True

        def norm_act(self, x_NCHW: Tensor, norm: Norm, act: Activation = "identity", residual: Any = None) -> Tensor:
            acts.append(act)
            return super().norm_act(x_NCHW, norm, act, residual)

    net = supernet().train()
    with using(Noted()):
        net(torch.randn(2, 3, 8, 8))
        assert acts == ["hardswish", "relu", "relu"]
        net.eval()(torch.randn(2, 3, 8, 8))
        assert len(acts) == 3, "evaluation is eager"
        monkeypatch.setattr(sliced_norm, "LEAST_FUSED", 1 << 20)
        net.train()(torch.randn(2, 3, 8, 8))
    assert len(acts) == 3, "torch is faster on few elements"


def test_subnets_and_weights_know_nothing_of_it() -> None:
    net = supernet()
    assert net.state_dict().keys() == Net().state_dict().keys()
    subnet = net.subnet(net.space.smallest())
    assert type(subnet.stem[2]) is nn.Hardswish and type(subnet.blocks[0].relu) is nn.ReLU  # type: ignore[index, union-attr]
    assert subnet.blocks[0].relu.inplace and "Handed" not in repr(subnet)  # type: ignore[index, union-attr]
    assert set(vars(subnet.stem[2])) == set(vars(nn.Hardswish()))  # type: ignore[index]
    y = copy.deepcopy(net).train()
    assert y._activations[0].handover is next(m for m in y.modules() if getattr(m, "act", "") == "hardswish").handover
