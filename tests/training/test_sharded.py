"""FSDP2 with sliced weights, which `Trainer` does not offer: what holds, and what would have to be rebuilt for it."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from hwsearch.supernets.families.vit.supernet import ElasticViT
from hwsearch.training.ranks import Ranks
from tests.supernets.conftest import make_small_vit
from tests.training.several import together

pytestmark = pytest.mark.timeout(120)


def passes(net: ElasticViT, x: torch.Tensor, y: torch.Tensor, sharded: bool) -> None:
    """Backward passes of a sandwich; shards exchange gradients in the last one only."""
    archs = [net.space.largest(), net.space.smallest(), *net.space.sample(2, np.random.default_rng(0))]
    for k, arch in enumerate(archs):
        if sharded:
            net.set_requires_gradient_sync(k == len(archs) - 1)  # type: ignore[operator]
        net.activate(arch)
        F.cross_entropy(net(F.interpolate(x, size=net.input_size(arch))), y).backward()


def test_gradients_of_subnets_are_right_but_a_sharded_supernet_cannot_be_cut_or_copied(tmp_path: Path) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 4, 3, 20, 20, generator=generator)
    y = torch.randint(0, 5, (2, 4), generator=generator)

    def work(ranks: Ranks) -> float:
        net, plain = make_small_vit().train(), make_small_vit().train()
        for part in range(2):
            passes(plain, x[part], y[part], False)
        mesh = init_device_mesh("cpu", (2,))
        for layer in net.encoder_layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(net, mesh=mesh)
        passes(net, x[ranks.rank], y[ranks.rank], True)
        worst = 0.0
        for (name, p), (_, q) in zip(net.named_parameters(), plain.named_parameters(), strict=True):
            assert p.to_local().numel() < q.numel() or q.shape[0] == 1, name  # type: ignore[operator]
            assert p.grad is not None and q.grad is not None
            worst = max(worst, float((p.grad.full_tensor() - q.grad / 2).abs().max() / q.grad.abs().max()))  # type: ignore[attr-defined]
        with pytest.raises(RuntimeError, match="DTensor"):
            net.subnet(net.space.smallest())
        with pytest.raises(AssertionError, match="does not support deepcopy"):
            copy.deepcopy(net)
        return worst

    found = together(2, work, tmp_path)
    assert all(isinstance(worst, float) and worst < 1e-6 for worst in found), found
