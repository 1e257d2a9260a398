"""The knee, the region around it, and what comes nearest to a reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsearch._typing import FloatArray
from hwsearch.errors import SearchError
from hwsearch.objectives.front import Front
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.preference import around_knee, knee_index, parse_reference, shortfall
from tests.objectives.strategies import POOL, cases


@settings(deadline=None)
@given(cases(0, 9), st.dictionaries(st.integers(0, 3), st.integers(0, 9).map(float), min_size=1))
def test_the_preferred_part_reaches_the_reference_or_comes_nearest(
    values: FloatArray, wanted: dict[int, float]
) -> None:
    """Against loops over all rows: which reach every value, and else whose largest relative shortfall is smallest."""
    objectives = POOL[: values.shape[1]]
    reference = {objectives[j].name: v for j, v in wanted.items() if j < len(objectives)}
    front = Front.from_values([str(i) for i in range(len(values))], values, objectives)
    if not reference or not len(front):
        with pytest.raises(SearchError):
            front.preferred("reference", reference)
        return
    span = [float(np.ptp(front.values[:, j])) or 1.0 for j in range(len(objectives))]

    def shortfall(row: FloatArray) -> float:
        return max(
            (row[j] - reference[o.name]) * o.sign / span[j] for j, o in enumerate(objectives) if o.name in reference
        )

    short = [shortfall(row) for row in front.values]
    preferred = front.preferred("reference", reference)
    reaching = [row.tolist() for row, s in zip(front.values, short, strict=True) if s <= 0]
    if reaching:
        assert preferred.values.tolist() == reaching
    else:
        assert len(preferred) == 1 and shortfall(preferred.values[0]) == min(short)
    names = [o.name for o in objectives]
    assert shortfall(front.nearest_to(reference)[names].to_numpy(dtype=float)) == min(short)


def test_the_region_of_the_knee_by_hand_and_wrong_preferences() -> None:
    front = Front.from_values(list("abcd"), [[60.0, 0.0], [90.0, 1.0], [95.0, 3.0], [100.0, 8.0]], POOL[:2])
    assert front.knee()["arch_id"] == "b"
    assert front.aspiration("knee") == {"accuracy": 80.0, "latency_ms@cpu": 3.0}  # a quarter of 40 and of 8 worse
    assert front.preferred("knee").to_frame()["arch_id"].tolist() == ["b", "c"]
    assert front.preferred("front") is front and front.aspiration("front") == {}
    assert front.preferred("reference", {"latency": 1.5}).to_frame()["arch_id"].tolist() == ["a", "b"]
    for prefer, reference in (("kne", None), ("reference", None), ("reference", {}), ("reference", {"macs": 1.0})):
        with pytest.raises(SearchError):
            front.preferred(prefer, reference)


OBJECTIVES = ["max accuracy", "min latency_ms@cpu"]


def front_objectives() -> list[Objective]:
    return [Objective.parse(text) for text in OBJECTIVES]


def test_knee_is_the_farthest_point_from_the_chord() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        x, y = np.sort(rng.random(9)) * 7, np.sort(rng.random(9)) * 30 + 50
        front = Front.from_values([str(i) for i in range(9)], np.stack([y, x], axis=1), front_objectives())
        a, b = np.array([0.0, 0.0]), np.array([1.0, 1.0])
        points = np.stack([(x - x[0]) / (x[-1] - x[0]), (y - y[0]) / (y[-1] - y[0])], axis=1)
        normal = np.array([-(b - a)[1], (b - a)[0]]) / np.linalg.norm(b - a)  # towards more accuracy, less latency
        distance = (points - a) @ normal
        assert front.knee()["arch_id"] == str(int(np.argmax(distance)))


def test_shortfall_and_aspiration_by_hand() -> None:
    """Costs turn the sign of what is maximised, so a fault in one direction shows."""
    objectives = POOL[:2]  # accuracy is maximised, latency minimised
    values = np.array([[60.0, 1.0], [70.0, 3.0], [80.0, 5.0]])
    # accuracy falls short by 15, 5, -5 of a range of 20; latency by -1, 1, 3 of a range of 4
    wanted = {"accuracy": 75.0, "latency_ms@cpu": 2.0}
    assert shortfall(values, objectives, wanted).tolist() == [0.75, 0.25, 0.75]
    assert shortfall(values, objectives, {"accuracy": 75.0}).tolist() == [0.75, 0.25, -0.25]
    assert shortfall(values, objectives, {"latency_ms@cpu": 2.0}).tolist() == [-0.25, 0.25, 0.75]
    assert parse_reference({"latency": 2.0}, objectives) == {"latency_ms@cpu": 2.0}
    # on a straight line every point is as far from the chord; the first one is the knee
    assert knee_index(values, objectives) == 0
    # a quarter of the ranges worse, but not worse than the worst
    assert around_knee(values, objectives) == {"accuracy": 60.0, "latency_ms@cpu": 2.0}


def test_the_knee_lies_on_the_better_side_of_the_chord() -> None:
    values = np.array([[60.0, 0.0], [61.0, 4.0], [79.0, 6.0], [80.0, 10.0]])
    assert knee_index(values, POOL[:2]) == 2  # the second lies as far from the chord, on the worse side
