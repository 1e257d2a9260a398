"""Verified accuracy: what is verified survives attacks, and what cannot be verified is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hwsearch.accuracy.certified import check_bounds, parse_epsilon, verified_score
from hwsearch.errors import BoundError
from hwsearch.tasks.images import ImageTask, Preprocess, from_arrays
from hwsearch.tasks.text import TextTask
from hwsearch.testing.strategies import small_supernet
from tests.accuracy.certified.networks import random_weights

CLASSES, SIDE = 3, 16


@pytest.fixture(scope="module")
def task() -> ImageTask:
    return ImageTask(Preprocess((0.35, 0.4, 0.45), (0.2, 0.25, 0.3)))


@pytest.fixture(scope="module")
def data(task: ImageTask):
    pixels = np.random.default_rng(0).integers(0, 256, size=(60, SIDE, SIDE, 3)).astype(np.uint8)
    return from_arrays(pixels, np.arange(60) % CLASSES, tuple("abc"), task.preprocess)


def attack(net: nn.Module, x: Tensor, y: Tensor, lower: Tensor, upper: Tensor, restarts: int, steps: int = 8) -> Tensor:
    """Projected gradient descent on the margin (Madry et al. 2018, arXiv 1706.06083); the least margin found (b,)."""
    rng = torch.Generator().manual_seed(0)
    worst = torch.full((len(x),), torch.inf)
    for restart in range(restarts):
        share = torch.rand(x.shape, generator=rng)
        z = lower + (upper - lower) * (share if restart % 2 else share.round())
        for step in range(steps + 1):
            z = z.detach().requires_grad_()
            logits = net(z)
            others = logits.masked_fill(F.one_hot(y, logits.shape[1]).bool(), -torch.inf).max(1).values
            margin = logits.gather(1, y[:, None])[:, 0] - others
            worst = torch.minimum(worst, margin.detach())
            (gradient,) = torch.autograd.grad(margin.sum(), z)
            rate = 0.5 * (1 - step / (steps + 1))
            z = torch.maximum(torch.minimum(z.detach() - rate * (upper - lower) * gradient.sign(), upper), lower)
    return worst


def test_no_attack_beats_a_verified_image(task: ImageTask, data) -> None:
    """PGD with three restarts and random corners on every image that is verified, for 5 subnets at three radii."""
    net = small_supernet().eval()
    rng = torch.Generator().manual_seed(0)
    verified = 0
    for arch in net.space.sample(5, np.random.default_rng(1)):
        plain, size = net.subnet(arch).eval(), net.input_size(arch)
        right = task.evaluate(plain, data, size).correct
        x, _ = next(data.batches(size, len(data)))
        labels = plain(x).argmax(1).detach()  # judged by what it answers, so that there is much to verify
        own = from_arrays(data.pixels(SIDE), labels.numpy(), tuple("abc"), task.preprocess)
        before = None
        for epsilon in (1e-7, 1e-6, 1e-5):
            found = verified_score(task, plain, own, size, epsilon).correct
            truth = verified_score(task, plain, data, size, epsilon).correct
            assert not (truth & ~right).any(), "verified but wrong"
            assert before is None or not (found & ~before).any(), "verified at a larger radius only"
            before = found
            x, y = next(own.batches(size, len(own)))
            lower, upper = task.pixel_scale().box(x, epsilon)
            margin = attack(plain, x, y, lower, upper, restarts=3)
            assert bool((margin[torch.from_numpy(found)] > 0).all()), "an attack beat a verified image"
            for _ in range(5):
                points = lower + (upper - lower) * torch.rand(x.shape, generator=rng).round()
                answers = plain(points).argmax(1)
                assert bool((answers == y)[torch.from_numpy(found)].all())
            verified += int(found.sum())
    assert verified >= 200, verified


def test_an_attack_beats_images_that_are_not_verified(task: ImageTask, data) -> None:
    net = small_supernet().eval()
    arch = net.space.largest()
    plain, size = net.subnet(arch).eval(), net.input_size(arch)
    x, _ = next(data.batches(size, len(data)))
    y = plain(x).argmax(1)
    margin = attack(plain, x, y, *task.pixel_scale().box(x, 0.1), restarts=3)
    assert int((margin < 0).sum()) > 10


def test_boxes_are_in_pixels_and_stay_in_their_range(task: ImageTask, data) -> None:
    """By hand: a grey level of 100 may go from 100 - 25.5 to 100 + 25.5, black no lower than black."""
    pixels = np.zeros((1, 2, 2, 3), np.uint8)
    pixels[0, 0, 0] = 100
    pixels[0, 1, 1] = 250
    x = task.preprocess.normalise(pixels)
    lower, upper = task.pixel_scale().box(x, 0.1)
    mean, std = torch.tensor((0.35, 0.4, 0.45)), torch.tensor((0.2, 0.25, 0.3))
    for end, expected in ((lower, (74.5, 0.0, 224.5)), (upper, (125.5, 25.5, 255.0))):
        levels = (end[0] * std[:, None, None] + mean[:, None, None]) * 255
        found = torch.stack([levels[:, 0, 0], levels[:, 0, 1], levels[:, 1, 1]])
        torch.testing.assert_close(found, torch.tensor(expected)[:, None].expand(3, 3), rtol=1e-4, atol=1e-2)


def test_numbers_that_are_not_finite_verify_nothing(task: ImageTask, data) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, CLASSES))
    random_weights(net)
    with torch.no_grad():
        net[1].weight[0, 0] = torch.nan
    assert verified_score(task, net, data, SIDE, 0.001).value == 0.0
    assert net[1].weight.grad is None and not net.training


@pytest.mark.parametrize("value", ["8/255", 8 / 255, " 0.1 ", 1])
def test_epsilon_is_read(value: object) -> None:
    assert 0 < parse_epsilon(value) <= 1


@pytest.mark.parametrize(
    ("value", "why"),
    [("2/0", "not a number"), ("a", "not a number"), (True, "not a number"), (None, "not a number"), (0, "above 0"),
     (-0.1, "above 0"), (float("nan"), "above 0"), (2, "beyond the pixel range"), ("300/255", "beyond")],
)  # fmt: skip
def test_epsilon_beyond_the_pixel_range_is_refused(value: object, why: str) -> None:
    with pytest.raises(BoundError, match=why):
        parse_epsilon(value)


def test_a_family_that_is_not_covered_is_refused_before_anything_is_measured(task: ImageTask, data) -> None:
    class Attention(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            tokens = x.flatten(2).transpose(1, 2)
            return F.scaled_dot_product_attention(tokens, tokens, tokens).mean(1)

    with pytest.raises(BoundError, match="'scaled_dot_product_attention'"):
        check_bounds(task, Attention(), data, SIDE, 0.01)


def test_tasks_without_pixels_are_refused(data) -> None:
    with pytest.raises(BoundError, match="are not pixels"):
        check_bounds(TextTask(), nn.Identity(), data, SIDE, 0.01)
