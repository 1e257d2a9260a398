"""The testbench of certified training: digits without noise in units of pixels, a small elastic network, and an attack."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from benchmarks.training_ground import TRAIN, Block, DigitData, DigitTask
from hwsearch.accuracy import calibrated_subnet
from hwsearch.accuracy.certified import Interval, Watch, interval_outputs, verified_score
from hwsearch.spaces import Architecture
from hwsearch.supernets.base import Supernet
from hwsearch.supernets.declared import Depth, Width, elastic
from hwsearch.tasks.pixels import PixelScale
from hwsearch.training import Trainer, TrainingConfig
from hwsearch.training.strategies.certified import Certified

#: largest change of a pixel, of 1; the digits have 17 grey levels
EPSILON = 0.03
BATCH, RATE = 32, 0.03
WIDTHS = (8, 16, 32)
#: mean and standard deviation of the digits' pixels
SCALE = PixelScale((0.305,), (0.376,))


class PixelDigits(DigitTask):
    """Classification of digits whose pixels go from 0 to 1."""

    name = "pixel-digits"

    @override
    def pixel_scale(self) -> PixelScale:
        return SCALE


@cache
def clean_digits() -> tuple[DigitData, DigitData]:
    """Load scikit-learn's digits as they are: 1,197 to train on and 600 to test."""
    from sklearn.datasets import load_digits  # late: a second

    found = load_digits()
    x = torch.from_numpy((found.images / 16 - SCALE.mean[0]) / SCALE.std[0]).float()[:, None]
    y = torch.from_numpy(found.target.astype(np.int64))
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(x)))
    x, y = x[order], y[order]
    return DigitData(x[:TRAIN], y[:TRAIN], "clean-train"), DigitData(x[TRAIN:], y[TRAIN:], "clean-test")


class PlainBlock(Block):
    """The block without norms; its convolutions have biases."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, stride)
        self.conv1, self.bn1 = nn.Conv2d(inputs, outputs, 3, stride, 1), nn.Identity()
        self.conv2, self.bn2 = nn.Conv2d(outputs, outputs, 3, 1, 1), nn.Identity()
        if len(self.shortcut):
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride))


class PixelNet(nn.Module):
    """A stem and three stages of two residual blocks, with or without batch norms."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        kind = Block if norm else PlainBlock
        self.stem = nn.Sequential(
            nn.Conv2d(1, WIDTHS[0], 3, 1, 1, bias=not norm), *[nn.BatchNorm2d(WIDTHS[0])] * norm, nn.ReLU()
        )
        ins = (WIDTHS[0], *WIDTHS[:-1])
        for k, (i, o) in enumerate(zip(ins, WIDTHS, strict=True)):
            setattr(self, f"stage{k + 1}", nn.Sequential(kind(i, o, 1 if k == 0 else 2), kind(o, o, 1)))
        self.classifier = nn.Linear(WIDTHS[-1], 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.stage3(self.stage2(self.stage1(self.stem(x)))).mean((2, 3)))


def pixel_supernet(seed: int, *, norm: bool) -> Supernet:
    """Build the supernet: each stage of one or two blocks, inner widths of a quarter to the whole."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        declared = {"stage*.*.conv1": Width((0.25, 0.5, 1.0), divisor=2), "stage*": Depth((1, 2))}
        return elastic(PixelNet(norm), declared, input_shape=(1, 8, 8), name="pixel-net")


def trainer(strategy: Certified, net: Supernet, steps: int, seed: int) -> Trainer:
    """Train a supernet on the digits."""
    train, _ = clean_digits()
    config = TrainingConfig(steps=steps, batch=BATCH, lr=RATE, padding=0, seed=seed, checkpoint_steps=10**6)
    with tempfile.TemporaryDirectory(prefix="hwsearch-bench-") as folder:
        made = Trainer(net, strategy, PixelDigits(), train, config, Path(folder))
        made.run()
    return made


@torch.no_grad()
def bound_ratio(net: Supernet) -> float:
    """Compute the mean half width in front of the last activation over that of the inputs, for the largest subnet in evaluation mode."""
    x = clean_digits()[0].images[:256]
    plain, watch = net.subnet(net.space.largest()).eval(), Watch()
    lower, upper = SCALE.box(x, EPSILON)
    interval_outputs(plain, Interval(lower, upper, watch=watch))
    low, high = watch.activations[-1]
    return float((high - low).mean() / (upper - lower).mean())


def judged(net: Supernet) -> list[Architecture]:
    """List the subnets that each arm is judged by: the ends and four random ones."""
    return [net.space.smallest(), net.space.largest(), *net.space.sample(4, np.random.default_rng(1234))]


def subnet(net: Supernet, arch: Architecture) -> nn.Module:
    """Cut a subnet, its batch norms recalibrated where it has some."""
    normed = any(isinstance(m, nn.BatchNorm2d) for m in net.modules())
    return calibrated_subnet(net, arch, clean_digits()[0].head(1024) if normed else None)


def scores(net: Supernet) -> tuple[float, float]:
    """Measure accuracy and verified accuracy on the test images in percent, means over the judged subnets."""
    task, test = PixelDigits(), clean_digits()[1]
    plain = [subnet(net, arch) for arch in judged(net)]
    right = [task.evaluate(p, test, 8).value for p in plain]
    verified = [verified_score(task, p, test, 8, EPSILON).value for p in plain]
    return float(np.mean(right)), float(np.mean(verified))


def beaten(net: Supernet, restarts: int = 3, steps: int = 20) -> tuple[int, int, int]:
    """Attack every test image of the judged subnets by projected gradient descent on the margin.

    Madry et al. 2018, arXiv 1706.06083: signs of the gradient, from random points of the box; the first start is one of its corners.

    Returns verified images, those of them that an attack makes wrong, and those wrong under attack among all that are right.
    """
    task, test = PixelDigits(), clean_digits()[1]
    x, y = test.images, test.labels
    lower, upper = SCALE.box(x, EPSILON)
    own, rng = F.one_hot(y, 10).bool(), torch.Generator().manual_seed(0)
    verified = unsound = wrong = 0
    for arch in judged(net):
        plain = subnet(net, arch).requires_grad_(False)
        proved = torch.from_numpy(verified_score(task, plain, test, 8, EPSILON).correct)
        right = torch.from_numpy(task.evaluate(plain, test, 8).correct)
        fooled = torch.zeros(len(x), dtype=torch.bool)
        for restart in range(restarts):
            share = torch.rand(x.shape, generator=rng)
            z = lower + (upper - lower) * (share if restart else share.round())
            for step in range(steps + 1):
                z = z.detach().requires_grad_()
                logits = plain(z)
                margin = logits[own] - logits.masked_fill(own, -torch.inf).max(1).values
                fooled |= margin.detach() <= 0
                (slope,) = torch.autograd.grad(margin.sum(), z)
                far = 0.4 * (1 - step / (steps + 1))
                z = torch.maximum(torch.minimum(z.detach() - far * (upper - lower) * slope.sign(), upper), lower)
        verified += int(proved.sum())
        unsound += int((proved & fooled).sum())
        wrong += int((right & fooled).sum())
    return verified, unsound, wrong
