"""The shipped recipe computes, bit for bit, what it computed when the shipped weights were trained.

`reference` is the training loop of that time, in the fewest lines: seeds, batches, sandwich rule, clipping and update.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typing_extensions import override

from hwsearch.supernets.base import Supernet
from hwsearch.supernets.families.cifar10 import images
from hwsearch.supernets.families.mobilenetv3.init import init_weights
from hwsearch.tasks.base import Augmentation
from hwsearch.tasks.images import ImageData, ImageTask
from hwsearch.training import Sandwich, Trainer, TrainingConfig
from hwsearch.training.recipes import load_recipe

STEPS = 20


class Recording(ImageTask):
    """Classification that remembers every loss, in the order in which they are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[float] = []

    def _seen(self, loss: Tensor) -> Tensor:
        self.losses.append(float(loss.detach()))
        return loss

    @override
    def loss(self, *given: Any, **options: Any) -> Tensor:
        return self._seen(super().loss(*given, **options))

    @override
    def distillation_loss(self, *given: Any) -> Tensor:
        return self._seen(super().distillation_loss(*given))


def reference(net: Supernet, task: ImageTask, data: ImageData, stage: dict[str, Any], steps: int) -> None:
    """Train for some steps as it was done then."""
    c, s = stage["training"], stage["strategy_options"]
    net.to(memory_format=torch.channels_last)
    decayed, plain = [], []
    for name, parameter in net.named_parameters():
        (plain if parameter.ndim < 2 or name.endswith("_matrix") else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": c["weight_decay"]}, {"params": plain, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, lr=c["lr"], momentum=c["momentum"], nesterov=True)
    size = net.input_size(net.space.largest())
    per_epoch = len(data) // c["batch"]
    total = per_epoch * c["epochs"]
    warmup = max(1, round(c["warmup"] * total))
    for step in range(steps):
        epoch, within = divmod(step, per_epoch)
        order = np.random.default_rng([c["seed"], epoch]).permutation(len(data))
        rng = np.random.default_rng([c["seed"], epoch, within])
        indices = order[within * c["batch"] : (within + 1) * c["batch"]]
        x, y = task.training_batch(data, indices, size, rng, Augmentation(crop_padding=c["padding"]))
        rate = (step + 1) / warmup
        if step >= warmup:
            rate = 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
        for group in optimizer.param_groups:
            group["lr"] = c["lr"] * rate
        net.train()
        optimizer.zero_grad(set_to_none=True)
        net.activate(net.space.largest())
        outputs = net(x)
        task.loss(outputs, y, label_smoothing=s["label_smoothing"]).backward()
        if step / total >= s["alone"]:
            teacher = outputs.detach()
            drawn = net.space.sample(s["random"], rng, distinct=False)
            for arch in [net.space.smallest(), *drawn]:
                net.activate(arch)
                loss = task.distillation_loss(net(task.resize(x, net.input_size(arch))), teacher, y)
                (s.get("weight", 1.0) * loss).backward()
        nn.utils.clip_grad_norm_(net.parameters(), c["clip"])
        optimizer.step()


def compared(make: Callable[[], Supernet], data: ImageData, stage: dict[str, Any], folder: Path) -> list[float]:
    """The losses, after losses and weights of both are found equal."""
    expected, found, tasks = make(), make(), (Recording(), Recording())
    reference(expected, tasks[0], data, stage, STEPS)
    config = TrainingConfig(**stage["training"])
    Trainer(found, Sandwich(**stage["strategy_options"]), tasks[1], data, config, folder).run(stop_at=STEPS)
    assert tasks[0].losses == tasks[1].losses
    for name, value in expected.state_dict().items():
        assert torch.equal(value, found.state_dict()[name]), name
    return tasks[1].losses


@pytest.mark.parametrize("stage", [0, 1])
def test_both_stages_are_bit_equal_across_the_end_of_the_largest_alone(
    make_net: Callable[..., Supernet], toy: ImageData, tmp_path: Path, stage: int
) -> None:
    plan = load_recipe("cifar10-mbv3")["stage"][stage]
    plan["training"] |= {"epochs": 7, "batch": 64}  # 28 steps
    losses = compared(make_net, toy, plan, tmp_path)
    alone, others = (12, 3) if stage == 0 else (19, 2)
    assert len(losses) == STEPS + (STEPS - alone) * others


def test_the_embedded_supernet_is_bit_equal(tmp_path: Path) -> None:
    from hwsearch.supernets import catalogue

    def make() -> Supernet:
        net = catalogue.entry("cifar10-mbv3").build()
        init_weights(net, 0)
        return net

    plan = load_recipe("cifar10-mbv3")["stage"][0]
    plan["training"] |= {"batch": 8, "epochs": 2}  # 24 steps, of them 10 with the largest alone
    compared(make, images()["calibration"].head(96), plan, tmp_path)
