"""Top-1, its error, and paired differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from torch import Tensor, nn

from hwsearch.accuracy import Accuracy, calibrated_subnet, subnet_score
from hwsearch.errors import MeasurementError
from hwsearch.supernets.families.mobilenetv3.supernet import ElasticMobileNetV3
from hwsearch.tasks.images import ImageData, ImageTask, Preprocess, from_arrays

PLAIN = Preprocess((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
records = hnp.arrays(np.bool_, st.integers(2, 60))


def images(n: int, side: int = 16, seed: int = 0) -> ImageData:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, size=(n, side, side, 3), dtype=np.uint8)
    return from_arrays(pixels, rng.integers(0, 4, n), tuple("abcd"), PLAIN)


class Brightest(nn.Module):
    """Answers with the brightest colour channel."""

    def forward(self, x_NCHW: Tensor) -> Tensor:
        assert not self.training
        return x_NCHW.mean((2, 3))


@pytest.mark.parametrize("batch", [1, 4, 10, 99])
def test_every_image_is_judged_once_and_in_order(batch: int) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, size=(10, 2, 2, 3), dtype=np.uint8)
    truth = pixels.reshape(10, 4, 3).sum(1).argmax(1)
    labels = np.where(np.arange(10) % 3 == 0, (truth + 1) % 3, truth)
    net = Brightest().train()
    accuracy = ImageTask().evaluate(net, from_arrays(pixels, labels, ("r", "g", "b"), PLAIN), 2, batch=batch)
    assert accuracy.correct.tolist() == (np.arange(10) % 3 != 0).tolist()
    assert accuracy.n == 10 and accuracy.value == 60.0 and net.training


def test_outputs_that_are_not_numbers_are_an_error() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).train()
    nn.init.constant_(net[1].bias, float("nan"))  # type: ignore[arg-type]
    with pytest.raises(MeasurementError, match="not finite"):
        ImageTask().evaluate(net, from_arrays(np.zeros((2, 2, 2, 3), np.uint8), np.zeros(2), ("a",), PLAIN), 2)
    assert net.training


def test_subnet_accuracy_is_that_of_the_calibrated_subnet(small_supernet: ElasticMobileNetV3) -> None:
    calibration, validation = images(24), images(40, seed=1)
    for arch in small_supernet.space.sample(3, np.random.default_rng(0)):
        side = small_supernet.input_shape(arch)[1]
        found = subnet_score(ImageTask(), small_supernet, arch, calibration, validation)
        net = calibrated_subnet(small_supernet, arch, calibration)
        assert not net.training
        with torch.no_grad():
            answers = torch.cat([net(x).argmax(1) for x, _ in validation.batches(side, 40)]).numpy()
        assert np.array_equal(found.correct, answers == validation.labels)
        assert 0 < found.correct.sum() < 40
        again = subnet_score(ImageTask(), small_supernet, arch, calibration, validation)
        assert np.array_equal(again.correct, found.correct)


@given(records)
def test_standard_error_is_binomial_and_never_zero(correct: np.ndarray) -> None:
    accuracy = Accuracy(correct)
    p, n = correct.mean(), len(correct)
    assert accuracy.value == pytest.approx(100 * p)
    assert accuracy.standard_error > 0
    if p * (1 - p) >= 0.25 / n:
        assert accuracy.standard_error == pytest.approx(stats.binom(n, p).std() * 100 / n)


@given(records, st.randoms(use_true_random=False))
def test_paired_difference_is_scipys(correct: np.ndarray, random: object) -> None:
    other = correct.copy()
    flips = [random.random() < 0.3 for _ in other]  # type: ignore[attr-defined]
    other[flips] ^= True
    mean, error = Accuracy(correct).difference(Accuracy(other))
    d = correct.astype(float) - other.astype(float)
    assert mean == pytest.approx(100 * d.mean())
    assert error == pytest.approx(100 * stats.sem(d), abs=1e-12)
    if error > 0:
        assert mean / error == pytest.approx(stats.ttest_rel(correct.astype(float), other.astype(float)).statistic)


def test_pairing_cancels_what_both_have_in_common() -> None:
    rng = np.random.default_rng(0)
    base = rng.random(1000) < 0.7
    better = base | (rng.random(1000) < 0.03)
    a, b = Accuracy(better), Accuracy(base)
    assert a.difference(b)[1] < 0.4 * np.hypot(a.standard_error, b.standard_error)
    assert a.difference(b)[0] == pytest.approx(a.value - b.value)


def test_records_of_different_lengths_cannot_be_paired() -> None:
    with pytest.raises(MeasurementError, match="3 and 2 examples cannot be paired"):
        Accuracy(np.ones(3, bool)).difference(Accuracy(np.ones(2, bool)))


@given(records)
def test_records_survive_packing(correct: np.ndarray) -> None:
    packed = Accuracy(correct).pack()
    assert len(packed) == -(-len(correct) // 8)
    assert np.array_equal(Accuracy.unpack(packed, len(correct)).correct, correct)


@pytest.mark.parametrize(("data", "n"), [(b"", 1), (b"\x00", 9), (b"\x00\x00", 8)])
def test_records_of_the_wrong_length_are_refused(data: bytes, n: int) -> None:
    with pytest.raises(MeasurementError, match=f"{len(data)} bytes cannot be one of {n} examples"):
        Accuracy.unpack(data, n)
