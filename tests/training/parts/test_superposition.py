"""Superposed weights and the search by gradients: against subnets at the corners, and with a cost that decides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from hwsearch.errors import TrainingError
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.declared import Depth, Width, elastic
from hwsearch.tasks.images import ImageData, ImageTask
from hwsearch.training import Run, Trainer, TrainingConfig
from hwsearch.training.parts.superposition import Superposition, used_entries
from hwsearch.training.strategies.tangle import TangleNAS


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.stage = nn.Sequential(Residual(8), Residual(8))
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.stage(torch.relu(self.stem(x))).mean((2, 3)))


@pytest.fixture
def net() -> Supernet:
    torch.manual_seed(0)
    return elastic(
        Net(),
        {"stage": Depth((1, 2)), "stage.*.conv1": Width((0.25, 0.5, 1.0), divisor=2)},
        input_shape=(3, 16, 16),
        name="net",
    ).train()


def view_of(net: Supernet, toy: ImageData) -> Superposition:
    view = Superposition()
    view.prepare(Run(net, ImageTask(toy.preprocess), toy, TrainingConfig(steps=8, batch=16)))
    return view


def test_entries_are_found_by_their_numbers(net: Supernet) -> None:
    found = used_entries(net)
    gene = net.space.names.index("width[stage.0.conv1]")
    mask = found["model.stage.0.conv1.weight"][gene]
    assert mask.flatten(1).sum(1).tolist() == [2 * 72, 4 * 72, 8 * 72] and bool((mask[0, :2] == 1).all())
    assert set(found["model.stage.0.bn1.weight"]) == {gene}
    depth = net.space.names.index("depth[stage]")
    assert found["model.stage.1.bn2.bias"][depth].sum(1).tolist() == [0, 8]
    assert "model.stem.weight" not in found and depth not in found["model.stage.0.conv1.weight"]


def test_a_superposition_with_certain_genes_is_the_subnet(net: Supernet, toy: ImageData) -> None:
    """At the corners of the simplex the mixture computes what the subnet does, in training mode."""
    view = view_of(net, toy)
    x, _ = next(toy.batches(16, 16))
    for row in ([0, 0, 0], [1, 2, 0], [1, 1, 2], [0, 2, 1]):
        arch = net.space.from_array(net.space.canonical(torch.tensor([row]).numpy()))[0]
        with torch.no_grad():
            for alpha, k in zip(view.architecture_parameters(), row, strict=True):
                alpha.fill_(-100.0)[k] = 100.0
            mixed = view.forward(x)
            net.activate(arch)
            torch.testing.assert_close(mixed, net(x), rtol=1e-4, atol=1e-5)
        assert view.choice() == arch
        exact = float(net.macs(arch)) / net.macs(net.space.largest())
        assert float(view.expected_cost().detach()) == pytest.approx(exact, abs=1e-4)


def test_a_cost_leads_to_small_architectures(net: Supernet, toy: ImageData, tmp_path: Path) -> None:
    chosen = {}
    for cost in (0.0, 50.0):
        config = TrainingConfig(steps=40, batch=32, lr=0.02, padding=0)
        strategy = TangleNAS(cost=cost, lr=0.05)
        trainer = Trainer(net, strategy, ImageTask(toy.preprocess), toy, config, tmp_path / str(cost))
        trainer.run()
        assert trainer.passes == 80 and isinstance(trainer.recipe.view, Superposition)
        chosen[cost] = trainer.recipe.view.choice()
    assert chosen[50.0] == net.space.smallest() and net.macs(chosen[0.0]) > net.macs(chosen[50.0])


def test_weights_and_logits_learn_from_different_examples(net: Supernet, toy: ImageData, tmp_path: Path) -> None:
    trainer = Trainer(
        net, TangleNAS(), ImageTask(toy.preprocess), toy, TrainingConfig(steps=64, batch=16, padding=0), tmp_path
    )
    recipe = trainer.recipe
    moments = [recipe.schedule.at(s) for s in range(64)]
    assert recipe.search is not None
    weights = {int(i) for m in moments for i in recipe.data.pick(m).index}
    logits = {int(i) for m in moments for i in recipe.search.examples(m).index}
    assert not weights & logits and min(len(weights), len(logits)) > 120


def test_transformed_kernels_are_refused(make_net: Callable[..., Supernet], toy: ImageData, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no slices of the shared ones"):
        Trainer(make_net(), TangleNAS(), ImageTask(toy.preprocess), toy, TrainingConfig(steps=8, batch=16), tmp_path)
