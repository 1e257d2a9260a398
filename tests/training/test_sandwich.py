"""The sandwich rule: its summed gradient against gradients computed one by one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from hwsearch.spaces import Architecture
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.tasks.images import ImageData, ImageTask
from hwsearch.training import Run, Sandwich, Strategy, TrainingConfig
from hwsearch.training.parts.batch import Batch
from hwsearch.training.step import run_step


@pytest.fixture
def case(
    make_net: Callable[..., ElasticMobileNetV3], randomise: Callable[..., None], toy: ImageData
) -> SimpleNamespace:
    net = make_net()
    randomise(net)
    x, y = next(toy.batches(16, 32))
    return SimpleNamespace(net=net.train(), x=x, y=y, data=toy)


def step(case: SimpleNamespace, strategy: Strategy, progress: float, seed: int) -> dict[str, float]:
    """One step on the case's batch at a share of the run; the losses."""
    run = Run(case.net, ImageTask(), case.data, TrainingConfig(steps=100, batch=32))
    recipe = strategy.recipe(run)
    recipe.prepare(run)
    now = recipe.schedule.at(round(100 * progress))
    batch = Batch(case.x, case.y, np.arange(32), 16)
    return run_step(recipe, run, batch, now, np.random.default_rng(seed)).losses


def gradient(
    net: ElasticMobileNetV3, arch: Architecture, x: Tensor, loss: Callable[[Tensor], Tensor]
) -> dict[str, Tensor]:
    """The gradient of one subnet's loss, computed on a copy of the supernet; zero where the subnet uses nothing."""
    net = copy.deepcopy(net)
    net.activate(arch)
    side = arch.integer("r")
    small = x if x.shape[-1] == side else F.interpolate(x, (side, side), mode="bilinear", antialias=True)
    loss(net(small)).backward()
    return {k: torch.zeros_like(p) if p.grad is None else p.grad for k, p in net.named_parameters()}


def assert_gradients(net: ElasticMobileNetV3, parts: list[dict[str, Tensor]]) -> None:
    for name, parameter in net.named_parameters():
        expected = sum((p[name] for p in parts[1:]), parts[0][name])
        found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()) + 1e-9, msg=name)


@pytest.mark.parametrize("random", [0, 2])
def test_the_gradient_is_the_sum_over_largest_smallest_and_random(case: SimpleNamespace, random: int) -> None:
    net, space = case.net, case.net.space
    start = copy.deepcopy(net)
    losses = step(case, Sandwich(random=random, label_smoothing=0.1), 0.5, 5)
    smooth = F.one_hot(case.y, 3) * 0.9 + 0.1 / 3
    with torch.no_grad():
        teacher = copy.deepcopy(start)
        teacher.activate(space.largest())
        soft = teacher(case.x).softmax(1)

    def against(target: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda logits: -(target * logits.log_softmax(1)).sum(1).mean()

    drawn = space.sample(random, np.random.default_rng(5), distinct=False)
    parts = [gradient(start, space.largest(), case.x, against(smooth))]
    parts += [gradient(start, arch, case.x, against(soft)) for arch in (space.smallest(), *drawn)]
    assert_gradients(net, parts)
    assert set(losses) == ({"largest", "smallest", "random"} if random else {"largest", "smallest"})
    largest = against(smooth)(teacher_logits(start, case.x))
    assert losses["largest"] == pytest.approx(float(largest), rel=1e-5)


def teacher_logits(net: ElasticMobileNetV3, x: Tensor) -> Tensor:
    net = copy.deepcopy(net)
    net.activate(net.space.largest())
    return net(x).detach()


@pytest.mark.parametrize(("progress", "alone"), [(0.0, 0.4), (0.39, 0.4), (0.4, 0.4), (0.0, 0.0), (0.9, 1.0)])
def test_the_first_share_trains_the_largest_alone(case: SimpleNamespace, progress: float, alone: float) -> None:
    net, space = case.net, case.net.space
    start = copy.deepcopy(net)
    losses = step(case, Sandwich(random=1, alone=alone, label_smoothing=0.0), progress, 0)
    if progress < alone:
        assert set(losses) == {"largest"}
        assert_gradients(net, [gradient(start, space.largest(), case.x, lambda z: F.cross_entropy(z, case.y))])
    else:
        assert set(losses) == {"largest", "smallest", "random"}


def test_distillation_gives_the_teacher_no_gradient(case: SimpleNamespace) -> None:
    """Weights that only the largest uses get exactly the label loss's gradient."""
    net, space = case.net, case.net.space
    start = copy.deepcopy(net)
    step(case, Sandwich(random=0), 1.0, 0)
    alone = gradient(start, space.largest(), case.x, lambda z: F.cross_entropy(z, case.y, label_smoothing=0.1))
    name = "blocks.2.conv.point_linear.conv.conv.weight"  # the second block of a stage: the smallest has one
    found = dict(net.named_parameters())[name].grad
    assert float(alone[name].abs().max()) > 0
    torch.testing.assert_close(found, alone[name], rtol=1e-4, atol=1e-7)


def test_resizing_is_close_to_pillow() -> None:
    rng = np.random.default_rng(0)
    pixels = np.asarray(Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((32, 32)))
    x = torch.tensor(pixels).float().permute(2, 0, 1)[None]
    for side in (20, 24, 28):
        expected = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR)).astype(float)
        assert (
            np.abs(ImageTask().resize(x, side)[0].permute(1, 2, 0).numpy() - expected).max() < 1.25
        )  # Pillow rounds after each pass
    assert ImageTask().resize(x, 32) is x
