"""The expected change of a front by another measurement: against integration by hand, and properties."""

from __future__ import annotations

import numpy as np
import pytest

from hwsearch.campaigns.front_change import expected_changes


def test_the_gain_of_one_uncertain_member_is_that_of_the_integral() -> None:
    """One objective: measured 1 against 1.1, surely. Knowing the first, which is 0.9 or 1.3, saves 0.2 in half of the draws."""
    truth = np.array([[[0.9], [1.1]], [[1.3], [1.1]]])
    found = expected_changes(truth, np.array([[1.0], [1.1]]))
    reference = 1.3 + 0.05 * (1.3 - 0.9)
    assert found == pytest.approx([0.5 * 0.2 / (reference - 1.0), 0.0])


def test_a_lucky_member_is_worth_knowing_and_what_it_hides_is_not() -> None:
    measured = np.array([[1.0, 4.0], [2.0, 1.0], [2.5, 1.5]])
    truth = np.array([[[1.0, 4.0], [3.0, 3.0], [2.5, 1.5]]])
    found = expected_changes(truth, measured)
    # against (3, 4) and 5 % of (2, 3): the third has .6 x 2.65 more than the second has, which has .1 x 1.15
    whole = (3.1 - 1.0) * 0.15 + (3.1 - 2.0) * (4.0 - 1.0)
    before = (3.1 - 1.0) * 0.15 + (3.1 - 3.0) * 1.0
    after = (3.1 - 1.0) * 0.15 + (3.1 - 2.5) * (4.0 - 1.5)
    assert found == pytest.approx([0.0, (after - before) / whole, 0.0])


def test_an_unlucky_one_is_worth_knowing() -> None:
    measured = np.array([[1.0, 4.0], [2.0, 1.0], [2.5, 1.5]])
    truth = measured[None].copy()
    truth[0, 2] = [1.5, 1.5]
    found = expected_changes(truth, measured)
    assert found[2] > 0 and found[0] == found[1] == 0


def test_what_is_certain_changes_nothing() -> None:
    measured = np.random.default_rng(0).uniform(size=(12, 2))
    assert (expected_changes(np.repeat(measured[None], 5, axis=0), measured) == 0).all()


def test_the_wide_interval_of_a_point_far_off_the_front_is_not_worth_a_measurement() -> None:
    """The greatest uncertainty is that of the last row, which is behind the front in every draw."""
    rng = np.random.default_rng(1)
    measured = np.array([[1.0, 3.0], [2.0, 2.0], [2.02, 2.02], [8.0, 8.0]])
    truth = measured + rng.standard_normal((64, 4, 2)) * np.array([0.01, 0.1, 0.1, 1.0])[:, None]
    found = expected_changes(truth, measured)
    assert found[3] == 0 and min(found[1], found[2]) > found[0]
