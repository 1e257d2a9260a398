"""Averaged weights, mixed examples, the log of figures, number formats, and where numbers stop being finite."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hwsearch.errors import TrainingError
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.kernels import choose
from hwsearch.tasks.images import ImageData, ImageTask
from hwsearch.training import Sandwich, Trainer, TrainingConfig
from hwsearch.training.ema import WeightAverage
from hwsearch.training.finite import origin
from hwsearch.training.metrics import MetricsLog
from hwsearch.training.mixing import box, mix
from hwsearch.training.precision import Precision

CONFIG = TrainingConfig(epochs=3, batch=64, lr=0.05, padding=1, checkpoint_steps=3)


# ---------------------------------------------------------------------- averages
def test_an_average_by_hand() -> None:
    """Weights 1, 2, 3: decays are min(0.2, 1/10), min(0.2, 2/11) for the first two updates."""
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, 1.0)
    average = WeightAverage(net, 0.2)
    expected = 1.0
    for value, decay in ((2.0, 1 / 10), (3.0, 2 / 11)):
        nn.init.constant_(net.weight, value)
        average.update()
        expected = decay * expected + (1 - decay) * value
    with average.applied():
        assert float(net.weight.detach()) == pytest.approx(expected)
    assert float(net.weight.detach()) == 3.0


def test_an_averaged_run_resumes_and_ends_with_the_average(
    make_net: Callable[..., Supernet], toy: ImageData, tmp_path: Path
) -> None:
    def trainer(folder: str, ema: float = 0.9) -> Trainer:
        config = CONFIG.model_copy(update={"ema": ema})
        task = ImageTask(toy.preprocess)
        return Trainer(
            make_net(), Sandwich(random=0), task, toy, config, tmp_path / folder, calibration=toy, validation=toy
        )

    straight = trainer("straight")
    straight.run()
    for stop in (2, 5, None):
        resumed = trainer("resumed")
        resumed.run(stop_at=stop)
    plain = trainer("plain", 0.0)
    plain.run()
    expected, found = straight.supernet.state_dict(), resumed.supernet.state_dict()
    assert all(torch.equal(v, found[k]) for k, v in expected.items())
    name = next(n for n, _ in plain.supernet.named_parameters())
    assert not torch.equal(expected[name], plain.supernet.state_dict()[name])
    last = torch.load(tmp_path / "straight" / "training.pt", weights_only=True)
    assert torch.equal(
        last["model"][name], plain.supernet.state_dict()[name]
    )  # the average does not touch the training
    assert torch.equal(last["average"]["average"][name], expected[name])
    again = trainer("straight")
    again.run()  # finished: nothing is trained, the average is there
    assert torch.equal(again.supernet.state_dict()[name], expected[name])


# ---------------------------------------------------------------------- mixing
def test_mixup_mixes_images_as_it_mixes_targets() -> None:
    images = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 3, 4, 4)
    y = torch.arange(6)
    mixed, other, share = mix(images, y, np.random.default_rng(0), mixup=1.0, cutmix=0.0)
    assert 0 < share < 1 and sorted(other.tolist()) == y.tolist()
    torch.testing.assert_close(mixed[:, 0, 0, 0], share * y + (1 - share) * other)


def test_cutmix_pastes_a_rectangle_of_the_share_that_it_tells() -> None:
    images = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 3, 16, 16)
    y = torch.arange(6)
    for seed in range(20):
        mixed, other, share = mix(images, y, np.random.default_rng(seed), mixup=0.0, cutmix=1.0)
        for image, own, pasted in zip(mixed[:, 0], y, other, strict=True):
            if own != pasted:
                assert float((image == own).float().mean()) == pytest.approx(share)
                assert float((image == pasted).float().mean()) == pytest.approx(1 - share)
    assert torch.equal(images[:, 0, 0, 0], y.float())


def test_a_box_has_its_area_where_the_border_does_not_cut_it() -> None:
    boxes = [box(100, 100, 0.75, np.random.default_rng(s)) for s in range(200)]
    areas = [(b - t) * (r - left) for t, b, left, r in boxes]
    assert max(areas) == 2500 and min(areas) >= 600
    assert all(0 <= t <= b <= 100 and 0 <= left <= r <= 100 for t, b, left, r in boxes)


@pytest.mark.parametrize("setting", [{"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0, "randaugment": 2}])
def test_augmented_runs_resume_to_the_bit(
    make_net: Callable[..., Supernet], toy: ImageData, tmp_path: Path, setting: dict[str, float]
) -> None:
    config = CONFIG.model_copy(update={"epochs": 1, **setting})
    task = ImageTask(toy.preprocess)
    straight = Trainer(make_net(), Sandwich(random=0), task, toy, config, tmp_path / "straight")
    straight.run()
    for stop in (2, None):
        resumed = Trainer(make_net(), Sandwich(random=0), task, toy, config, tmp_path / "resumed")
        resumed.run(stop_at=stop)
    found = resumed.supernet.state_dict()
    assert all(torch.equal(v, found[k]) for k, v in straight.supernet.state_dict().items())


# ---------------------------------------------------------------------- the log
def test_figures_are_rows_of_a_table_and_resumed_runs_repeat_none(
    make_net: Callable[..., Supernet], toy: ImageData, tmp_path: Path
) -> None:
    config = CONFIG.model_copy(update={"epochs": 6, "checkpoint_steps": 100})
    task = ImageTask(toy.preprocess)
    Trainer(make_net(), Sandwich(random=0), task, toy, config, tmp_path, validation=toy, calibration=toy).run(
        stop_at=10
    )
    (tmp_path / "metrics.csv").open("a").write("23,1,2,3\n")  # as if it had gone further than its checkpoint
    Trainer(make_net(), Sandwich(random=0), task, toy, config, tmp_path, validation=toy, calibration=toy).run()
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    steps = [int(r["step"]) for r in rows if r["loss_largest"]]
    assert steps == [10, 20, 24]
    assert [int(r["step"]) for r in rows if r["top1_smallest"]] == [4, 8, 12, 16, 20, 24]
    assert float(rows[-1]["passes"]) == 48 and float(rows[-1]["epoch"]) == 6


def test_new_columns_come_on_the_right(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path)
    log.add(1, {"lr": 0.5})
    log.add(2, {"lr": 0.25, "loss_random": 2.0})
    log.close()
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [(r["step"], r["lr"], r["loss_random"]) for r in rows] == [("1", "0.5", ""), ("2", "0.25", "2")]


# ---------------------------------------------------------------------- number formats
def test_half_precision_is_for_gpus(make_net: Callable[..., Supernet], toy: ImageData, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"precision": "bf16"})
    with pytest.raises(TrainingError, match="precision 'bf16' is for a GPU"):
        Trainer(make_net(), Sandwich(), ImageTask(toy.preprocess), toy, config, tmp_path)
    plain = Precision("fp32", torch.device("cpu"))
    loss = torch.tensor(2.0)
    assert plain.scaled(loss) is loss and plain.state_dict() == {} and not plain.overflows


# ---------------------------------------------------------------------- where it began
def test_the_first_module_whose_outputs_are_not_finite_is_named() -> None:
    class Log(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.log()

    net = nn.Sequential(nn.Linear(2, 2), Log(), nn.Linear(2, 2))
    nn.init.constant_(net[0].weight, -1.0)
    nn.init.zeros_(net[0].bias)
    assert origin(net, lambda: net(torch.ones(1, 2))) == "the first outputs that are not finite are those of '1'"
    assert origin(net, lambda: net(-torch.ones(1, 2))) == "the outputs are finite"
    nn.init.constant_(net[2].bias, math.inf)
    assert origin(net, lambda: net(-torch.ones(1, 2))) == "weights '2.bias' are not finite"


def test_masked_kernels_train_as_eager_ones_and_another_kind_does_not_resume(
    make_net: Callable[..., Supernet], toy: ImageData, tmp_path: Path
) -> None:
    config, task = TrainingConfig(steps=3, batch=32, lr=0.01, warmup=0, weight_decay=0.1), ImageTask(toy.preprocess)
    nets, said = [], []
    for name in ("eager", "masked"):
        trainer = Trainer(make_net(), Sandwich(), task, toy, config, tmp_path / name, kernels=choose(name))
        nets.append(trainer.run().state_dict())
        said.append(trainer.kernels_said)
    assert said[1].startswith("masked (full width")
    for name, expected in nets[0].items():
        torch.testing.assert_close(nets[1][name], expected, rtol=1e-4, atol=1e-5)
    other = Trainer(make_net(), Sandwich(), task, toy, config, tmp_path / "masked")
    with pytest.raises(TrainingError, match="kernels masked, and this process has eager"):
        other.run()
    with pytest.raises(TrainingError, match="compile = true"):
        Trainer(
            make_net(),
            Sandwich(),
            task,
            toy,
            config.model_copy(update={"compile": True}),
            tmp_path,
            kernels=choose("masked"),
        )
