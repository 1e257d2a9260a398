"""The strategy ``generator``; the suites of strategies and supernets test the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hwsearch.errors import TrainingError
from hwsearch.supernets.weights.generated import GeneratedSupernet
from hwsearch.tasks.images import ImageTask
from hwsearch.training import Run, Trainer, TrainingConfig
from hwsearch.training.strategies.generator import WeightGenerator


def test_a_trainer_trains_generator_and_network_and_goes_on_to_the_bit(make_net, toy, tmp_path: Path) -> None:
    config = TrainingConfig(steps=6, batch=32, lr=0.02, padding=0, ema=0.9)

    def trainer(place: str) -> Trainer:
        strategy = WeightGenerator(mode="layer", hidden=8, norms=True, random=1)
        return Trainer(make_net(), strategy, ImageTask(toy.preprocess), toy, config, tmp_path / place)

    first = trainer("one")
    assert isinstance(first.supernet, GeneratedSupernet)
    before = {k: v.clone() for k, v in first.supernet.named_parameters()}
    first.run()
    assert first.passes == 6 * 3
    same = {k for k, v in first.supernet.named_parameters() if torch.equal(v, before[k])}
    assert not {k for k in same if k.startswith("generator.")}
    trainer("two").run(stop_at=2)
    second = trainer("two")
    second.run()
    assert all(torch.equal(v, second.supernet.state_dict()[k]) for k, v in first.supernet.state_dict().items())
    with pytest.raises(TrainingError, match=r"mode='layer', now 'chunk'"):
        Trainer(
            make_net(), WeightGenerator(hidden=8, norms=True, random=1), ImageTask(toy.preprocess), toy, config, tmp_path / "two"
        ).run()  # fmt: skip


def test_without_a_residual_the_networks_own_weights_stand_still(make_net, toy, tmp_path: Path) -> None:
    strategy = WeightGenerator(mode="full", hidden=4, residual=False, encoding="raw", random=0)
    config = TrainingConfig(steps=3, batch=32, lr=0.05, padding=0)
    trained = Trainer(make_net(), strategy, ImageTask(toy.preprocess), toy, config, tmp_path)
    trained.run()
    net = trained.supernet
    assert isinstance(net, GeneratedSupernet)
    own = dict(net.net.named_parameters())
    assert not any(own[name].any() for name in net.sizes) and own.keys() > net.sizes.keys()


@pytest.mark.parametrize(
    ("options", "said"),
    [({"norms": True, "residual": False}, "as a residual only"), ({"mode": "half"}, "mode='half' is not valid")],
)
def test_settings_that_do_not_go_together_are_refused(options, said: str, make_net) -> None:
    with pytest.raises(TrainingError, match=said):
        WeightGenerator(**options).prepare_supernet(make_net(), 0)


def test_a_run_of_another_network_is_refused(make_net, toy) -> None:
    run = Run(make_net(), ImageTask(toy.preprocess), toy, TrainingConfig(steps=3, batch=32))
    with pytest.raises(TrainingError, match="has no generator of weights"):
        WeightGenerator().recipe(run)
    with pytest.raises(TrainingError, match="compile = true"):
        net = WeightGenerator().prepare_supernet(make_net(), 0)
        config = TrainingConfig(steps=3, batch=32, compile=True)
        WeightGenerator().recipe(Run(net, ImageTask(toy.preprocess), toy, config))
    with pytest.raises(TrainingError, match="mode='chunk', asked 'full'"):
        WeightGenerator(mode="full").prepare_supernet(net, 0)
