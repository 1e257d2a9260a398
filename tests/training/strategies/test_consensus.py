"""Consensus by polarization: examples end up agreeing, within the limit, and a stopped run ends with the same weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hwsearch.errors import LimitError, TrainingError
from hwsearch.supernets.checkpoint import digest
from hwsearch.tasks.images import ImageTask
from hwsearch.training import Sandwich, Trainer, TrainingConfig
from hwsearch.training.pruning import FREEZE, prune_network
from hwsearch.training.strategies.consensus import Consensus, distance, polarization
from tests.training.gated import half_images, small


def trainer(folder: Path, steps: int = 60, share: float = 0.6, **options: object) -> Trainer:
    net = small()
    limit = share * net.macs(net.space.largest())
    train = half_images()
    config = TrainingConfig(steps=steps, batch=32, lr=0.05, padding=0, checkpoint_steps=10)
    return Trainer(net, Consensus(limit=limit, **options), ImageTask(train.preprocess), train, config, folder)


def test_polarization_and_distance_by_hand() -> None:
    gates = [torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.tensor([[0.0], [0.0]])]
    assert float(polarization(gates)) == pytest.approx((0 + 0.25) / 2 + 0)
    assert float(distance(gates, [1, 0])) == pytest.approx((0 + 0.25) / 2 + 0)
    assert float(distance(gates, [0, 1])) == pytest.approx((1 + 0.25) / 2 + 1)
    leaf = torch.tensor([[1.0], [1.0], [1.0], [0.0]], requires_grad=True)
    polarization([leaf]).backward()
    assert bool((leaf.grad < 0).all())  # most are open: a step downhill opens the last one


def test_the_schedule_waits_for_the_first_30_percent(tmp_path: Path) -> None:
    schedule = trainer(tmp_path, steps=100, polarization=2.0).recipe.schedule
    values = [schedule.values(step) for step in (14, 29, 44, 59, 99)]
    assert [v["descent"] for v in values] == pytest.approx([0.5, 1, 1, 1, 1])
    assert [v["polarization"] for v in values] == pytest.approx([0, 0, 1.0, 2.0, 2.0])


def test_examples_agree_in_the_end_and_the_result_is_the_frozen_network(tmp_path: Path) -> None:
    run = trainer(tmp_path, steps=150, polarization=8.0)
    found = prune_network(run, half_images(64, 1))
    net = run.supernet.eval()
    assert found.disagreement <= 0.01 and found.cost == net.macs(found.arch) <= run.recipe.view.cost.limit
    assert found.least < found.cost < found.largest and found.gated == pytest.approx(found.frozen, abs=5)
    images, _ = next(half_images(16, 2).batches(8, 16))
    gates = run.recipe.view.gates
    assert gates.frozen.min() >= 0
    with torch.no_grad():
        torch.testing.assert_close(gates(images), net.subnet(found.arch).eval()(images), rtol=1e-5, atol=1e-5)


def test_a_stopped_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    """Stopped between the decision and the freezing of gates, and again after it."""
    whole = prune_network(run := trainer(tmp_path / "whole", steps=30), half_images(32, 1))
    place = tmp_path / "stopped"
    trainer(place, steps=30).run(stop_at=18)
    other = trainer(place, steps=30)
    with pytest.raises(Stop):
        prune_network(other, Stopping(half_images(32, 1)))
    assert other.step == 26 and not (place / FREEZE).exists()
    trainer(place, steps=30).run(stop_at=26)
    again = trainer(place, steps=30)
    assert prune_network(again, half_images(32, 1)) == whole
    assert digest(run.supernet) == digest(again.supernet)
    assert prune_network(trainer(place, steps=30), half_images(32, 1)) == whole  # done: it reads what was written


class Stop(Exception):
    pass


class Stopping:
    """Held-out data that are never read: the run ends in between."""

    def __init__(self, data: object) -> None:
        self.data = data

    def batches(self, *_: object) -> None:
        raise Stop


def test_without_polarization_nothing_is_decided_before_the_end(tmp_path: Path) -> None:
    run = trainer(tmp_path, steps=20, polarization=0.0)
    assert len(run.recipe.events) == 1
    run.run(stop_at=15)
    assert run.recipe.view.gates.agreed.tolist() == [-1] * 4


def test_a_limit_that_no_gates_meet_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(LimitError, match="no gates meet macs"):
        trainer(tmp_path, share=0.01)


def test_another_strategy_has_no_gates(tmp_path: Path) -> None:
    net, train = small(), half_images()
    config = TrainingConfig(steps=2, batch=32, padding=0)
    plain = Trainer(net, Sandwich(), ImageTask(train.preprocess), train, config, tmp_path)
    with pytest.raises(TrainingError, match="strategy Sandwich has no gates"):
        prune_network(plain, train)
