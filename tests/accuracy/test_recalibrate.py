"""Recalibrated statistics against those computed layer by layer in double precision."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hwsearch.accuracy import calibrated_subnet, recalibrate
from hwsearch.accuracy.recalibrate import batch_norms
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.tasks.images import ImageData, Preprocess, from_arrays

PLAIN = Preprocess((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def images(n: int, side: int = 16) -> ImageData:
    rng = np.random.default_rng(n)
    pixels = rng.integers(0, 256, size=(n, side, side, 3), dtype=np.uint8) // rng.integers(
        1, 5, size=(n, 1, 1, 3), dtype=np.uint8
    )
    return from_arrays(pixels, np.zeros(n, np.int64), ("x",), PLAIN)


def brute_force(net: nn.Module, batches: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """For each norm, in order of use: the image-weighted mean of batch means and of biased batch variances.

    Every norm is replaced by the definition, in double precision, with the statistics of its own batch.
    """
    net = net.double()
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    sums = [[torch.zeros(m.num_features, dtype=torch.float64) for _ in range(2)] for m in norms]
    for m, (mean_sum, var_sum) in zip(norms, sums, strict=True):

        def forward(x: Tensor, m: nn.BatchNorm2d = m, a: Tensor = mean_sum, b: Tensor = var_sum) -> Tensor:
            mean = x.mean((0, 2, 3), keepdim=True)
            var = ((x - mean) ** 2).mean((0, 2, 3), keepdim=True)
            a += len(x) * mean.flatten()
            b += len(x) * var.flatten()
            return (x - mean) / (var + m.eps).sqrt() * m.weight.view(1, -1, 1, 1) + m.bias.view(1, -1, 1, 1)

        m.forward = forward  # type: ignore[method-assign]
    with torch.no_grad():
        for x in batches:
            net(x.double())
    n = sum(len(x) for x in batches)
    return [(a / n, b / n) for a, b in sums]


def check(net: nn.Module, expected: list[tuple[Tensor, Tensor]]) -> None:
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    for m, (mean, var) in zip(norms, expected, strict=True):
        assert m.running_mean is not None and m.running_var is not None
        torch.testing.assert_close(m.running_mean.double(), mean, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(m.running_var.double(), var, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("n", "batch", "used"), [(9, 9, [9]), (9, 100, [9]), (10, 6, [6, 4]), (10, 8, [8]), (12, 5, [5, 5])]
)
def test_statistics_are_the_weighted_means_of_the_batches(
    small_supernet: ElasticMobileNetV3, n: int, batch: int, used: list[int]
) -> None:
    """A last batch smaller than half is left out: 8 of 10, 10 of 12; 6 + 4 are both used."""
    arch = small_supernet.space.largest()
    data = images(n)
    x = next(data.batches(16, n))[0]
    net = small_supernet.subnet(arch)
    recalibrate(net, data, 16, batch=batch)
    check(net, brute_force(small_supernet.subnet(arch), list(x[: sum(used)].split(used))))


def test_the_network_normalises_its_calibration_images_exactly(small_supernet: ElasticMobileNetV3) -> None:
    """With one batch, evaluation mode gives what training mode gives, although the variance stored is biased."""
    data = images(12)
    net = small_supernet.subnet(small_supernet.space.largest())
    recalibrate(net, data, 16)
    x = next(data.batches(16, 12))[0]
    with torch.no_grad():
        evaluated, trained = net.eval()(x), net.train()(x)
    torch.testing.assert_close(evaluated, trained, rtol=1e-3, atol=1e-3)


def test_recalibration_is_deterministic_and_forgets_the_old_statistics(small_supernet: ElasticMobileNetV3) -> None:
    arch, data = small_supernet.space.smallest(), images(8)
    first = calibrated_subnet(small_supernet, arch, data, batch=4).state_dict()
    for module in small_supernet.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            module.running_mean += 7.0
    second = calibrated_subnet(small_supernet, arch, data, batch=4).state_dict()
    assert first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def test_only_statistics_change(small_supernet: ElasticMobileNetV3) -> None:
    net = small_supernet.subnet(small_supernet.space.largest())
    net.blocks[0].train()
    modes = [m.training for m in net.modules()]
    before = {k: v.clone() for k, v in net.state_dict().items()}
    recalibrate(net, images(6), 16)
    changed = {k.rpartition(".")[2] for k, v in net.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"running_mean", "running_var", "num_batches_tracked"}
    assert [m.training for m in net.modules()] == modes and not all(modes) and any(modes)
    assert {m.momentum for m in net.modules() if isinstance(m, nn.BatchNorm2d)} == {0.1}
    assert not any(m._forward_pre_hooks for m in net.modules())


def test_dropout_is_off_during_recalibration() -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3)
    net = nn.Sequential(nn.Dropout(0.9), norm).train()
    data = images(6)
    recalibrate(net, data, 16)
    x = next(data.batches(16, 6))[0]
    assert norm.running_mean is not None and norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, x.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, x.var((0, 2, 3), unbiased=False))
    assert net.training and net[0].training


def test_a_network_without_norms_is_left_alone() -> None:
    net = nn.Conv2d(3, 2, 1)
    before = net.weight.detach().clone()
    recalibrate(net, images(2), 16)
    assert torch.equal(net.weight, before)


@pytest.mark.parametrize("shape", [(75, 16), (6,)])
def test_norms_over_sequences_and_vectors_get_their_own_statistics(shape: tuple[int, ...]) -> None:
    """A norm alone: mean and biased variance of all values of a channel, of two batches of equal size."""

    class Numbers:
        def batches(self, size: int, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
            yield from ((part, torch.zeros(8)) for part in x.split(8))

    x = torch.from_numpy(np.random.default_rng(0).normal(3, 2, (16, *shape)).astype(np.float32))
    net = nn.Sequential(nn.BatchNorm1d(shape[0]))
    recalibrate(net, Numbers(), 16, batch=8)  # type: ignore[arg-type]
    axes = (0, *range(2, x.ndim))
    variance = sum(part.double().var(axes, correction=0) for part in x.split(8)) / 2
    torch.testing.assert_close(net[0].running_mean.double(), x.double().mean(axes), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(net[0].running_var.double(), variance, rtol=1e-5, atol=1e-6)
    assert list(batch_norms(nn.Sequential(net, nn.BatchNorm2d(3, track_running_stats=False)))) == ["0.0"]
