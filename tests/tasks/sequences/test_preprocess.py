"""Preprocessing of skeletons against loops and numbers by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hwsearch.tasks.sequences import SkeletonPreprocess
from hwsearch.tasks.sequences.preprocess import resample

RNG = np.random.default_rng(0)
JOINTS = RNG.normal(size=(6, 25, 3)).astype(np.float32)
SEEN = np.array([True, True, False, True, True, True])


def test_a_prepared_sequence_is_what_loops_compute() -> None:
    x, mask = SkeletonPreprocess()(JOINTS, SEEN, 9)
    lengths = []
    for t in (0, 1, 3, 4, 5):
        a, b, c = (JOINTS[t, j].astype(float) for j in (0, 1, 20))
        lengths.append(np.sqrt(((b - a) ** 2).sum()) + np.sqrt(((c - b) ** 2).sum()))
    unit = sum(lengths) / 5
    assert x.shape == (75, 9) and x.dtype == np.float32 and mask.tolist() == [1, 1, 0, 1, 1, 1, 0, 0, 0]
    for t in range(9):
        for j in range(25):
            for axis in range(3):
                there = t < 6 and SEEN[t]
                expected = (float(JOINTS[t, j, axis]) - float(JOINTS[t, 0, axis])) / unit if there else 0.0
                assert x[3 * j + axis, t] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_place_and_size_of_the_body_do_not_count() -> None:
    moved = (JOINTS * 1.7 + RNG.normal(size=(6, 1, 3))).astype(np.float32)
    np.testing.assert_allclose(
        SkeletonPreprocess()(moved, SEEN, 8)[0], SkeletonPreprocess()(JOINTS, SEEN, 8)[0], atol=2e-5
    )
    plain = SkeletonPreprocess(centre=False, scale=False)(JOINTS, SEEN, 6)[0]
    np.testing.assert_array_equal(plain, (JOINTS * SEEN[:, None, None]).reshape(6, 75).T)


def test_longer_sequences_are_interpolated_between_first_and_last_frame() -> None:
    x = np.arange(7.0)[:, None, None] * np.ones((7, 25, 3))
    found, seen = resample(x, np.ones(7, bool), 4)
    assert found[:, 3, 1].tolist() == [0, 2, 4, 6] and seen.all()
    found, _ = resample(x, np.ones(7, bool), 5)
    expected = np.interp(np.linspace(0, 6, 5), np.arange(7), np.arange(7.0))
    assert found[:, 0, 0] == pytest.approx(expected)
    assert resample(x, np.ones(7, bool), 1)[0][0, 0, 0] == 3


def test_frames_made_of_a_frame_without_a_body_are_masked() -> None:
    x = np.arange(7.0)[:, None, None] * np.ones((7, 25, 3))
    seen = np.array([True, True, True, False, True, True, True])
    _, kept = resample(x, seen, 5)  # times 0, 1.5, 3, 4.5, 6
    assert kept.tolist() == [True, True, False, True, True]
    _, kept = resample(x, np.roll(seen, -1), 5)  # 1.5 lies between a frame with and one without
    assert kept.tolist() == [True, False, True, True, True]
    alone = np.zeros(7, bool)
    alone[3] = True
    found, kept = resample(x, alone, 2)  # neither 0 nor 6 has a body
    assert kept.any() and found[kept][0, 0, 0] == 3


def test_a_body_without_a_spine_is_not_divided_by_zero() -> None:
    x, _ = SkeletonPreprocess()(np.zeros((3, 25, 3), np.float32), np.ones(3, bool), 4)
    assert not x.any()
