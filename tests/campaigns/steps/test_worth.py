"""Whether a search was worth it: as many proposals as random subnets, worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hwsearch.campaigns.steps.worth import FEWEST, search_worth


def points(search: list[tuple[float, float]], random: list[tuple[float, float]], profile: int = 3) -> pd.DataFrame:
    rows = [("profile", 50.0, 9.0)] * profile
    rows += [("random", *p) for p in random] + [("search", *p) for p in search]
    frame = pd.DataFrame(rows, columns=["role", "accuracy", "latency_ms"])
    return frame.assign(evaluation=np.arange(len(rows)))


RANDOM = [(60.0 + i, 5.0 + i) for i in range(10)]


def test_a_search_that_is_two_points_better_gains_two_points() -> None:
    found = search_worth(points([(a + 2, ms) for a, ms in RANDOM], RANDOM))
    assert (found["n"], found["dominated"], found["compared"], found["profiled"]) == (10, 10, 10, 13)
    assert found["gain"] == pytest.approx(2.0) and found["gain_low"] == pytest.approx(2.0)
    assert found["search_share"] == pytest.approx(1.0) and 0 < found["random_share"] < 1


def test_a_search_that_is_two_points_worse_loses_two_points() -> None:
    found = search_worth(points([(a - 2, ms) for a, ms in RANDOM], RANDOM))
    assert found["gain"] == pytest.approx(-2.0) and found["gain_high"] < 0 and found["dominated"] == 0
    assert found["search_share"] < found["random_share"]


def test_only_as_many_proposals_count_as_there_are_random_subnets() -> None:
    late = [(99.0, 1.0)]
    found = search_worth(points([(a, ms) for a, ms in RANDOM] + late, RANDOM))
    assert found["searched"] == 11 and found["n"] == 10 and found["gain"] == pytest.approx(0.0)


def test_a_proposal_that_is_slower_is_not_compared() -> None:
    slow = [(90.0, 100.0)] * 10
    found = search_worth(points(slow, RANDOM))
    assert "gain" not in found and found["dominated"] == 0


def test_too_few_are_not_compared() -> None:
    found = search_worth(points(RANDOM, RANDOM[: FEWEST - 1]))
    assert found == {"n": FEWEST - 1, "searched": 10, "random": FEWEST - 1, "profiled": 3 + FEWEST - 1}
