"""Synthetic skeletons: what classes differ in, and that nothing else tells them apart."""

from __future__ import annotations

import numpy as np
import pytest

from hwsearch.errors import DataError
from hwsearch.tasks.sequences import SequenceData, synthetic_skeletons
from hwsearch.tasks.sequences.layout import PARTS
from hwsearch.tasks.sequences.synthetic import CLASSES, GROUPS, SPLITS


@pytest.fixture(scope="module")
def data() -> SequenceData:
    return synthetic_skeletons("validation", 400, noise=0.0)


def energy(x: np.ndarray, seen: np.ndarray, part: str) -> float:
    """Mean squared change from frame to frame of a part's farthest joint, beside its first one."""
    first, *_, last = PARTS[part][:4]
    both = seen[1:] & seen[:-1]
    return float((np.diff(x[:, last] - x[:, first], axis=0)[both] ** 2).sum(1).mean())


def mean_energy(data: SequenceData, action: str, part: str) -> float:
    return float(
        np.mean(
            [energy(data.joints[i], data.seen[i], part) for i in np.flatnonzero(data.labels == CLASSES.index(action))]
        )
    )


def test_classes_take_turns_and_splits_are_drawn_apart(data: SequenceData) -> None:
    assert data.labels[:9].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 0] and len(CLASSES) == 8 == sum(
        map(len, GROUPS.values())
    )
    assert "synthetic" in data.name and set(SPLITS) == {"train", "calibration", "validation", "test"}
    others = [synthetic_skeletons(s, 20) for s in ("train", "calibration", "test")]
    assert len(synthetic_skeletons("validation", 20).without(others)) == 20
    again = synthetic_skeletons("test", 20)
    assert again.digest == others[2].digest != synthetic_skeletons("test", 20, seed=1).digest
    with pytest.raises(DataError, match="no split 'tset'"):
        synthetic_skeletons("tset")


def test_velocity_rises_with_the_class_and_the_place_does_not(data: SequenceData) -> None:
    slow, middle, fast = (mean_energy(data, action, "right arm") for action in GROUPS["velocity"])
    assert slow < middle / 1.5 < fast / 2.25
    spread = [
        np.mean([np.ptp(data.joints[i][data.seen[i]][:, 11, 1]) for i in np.flatnonzero(data.labels == c)])
        for c in range(3)
    ]
    assert max(spread) < 1.35 * min(spread)  # as far, but for slow waves that do not end


def test_the_limb_of_the_class_moves_most(data: SequenceData) -> None:
    for action, part in zip(GROUPS["limb"], ("left arm", "left leg", "right leg"), strict=True):
        energies = {p: mean_energy(data, action, p) for p in PARTS if p != "trunk"}
        assert max(energies, key=energies.__getitem__) == part


def test_only_the_order_tells_the_classes_of_timing_apart(data: SequenceData) -> None:
    for action, sign in zip(GROUPS["timing"], (-1, 1), strict=True):
        for part in ("left arm", "right arm"):
            assert mean_energy(data, action, part) > 3 * mean_energy(data, action, "left leg")
        gaps = []
        for i in np.flatnonzero(data.labels == CLASSES.index(action)):
            x = data.joints[i][data.seen[i]]
            peaks = [int(np.argmax(x[:, hand, 1] - x[:, shoulder, 1])) for hand, shoulder in ((7, 4), (11, 8))]
            gaps.append((peaks[0] - peaks[1]) * sign > 0)
        assert np.mean(gaps) > 0.8
