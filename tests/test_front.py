"""Dominance and hypervolume against brute force, pymoo and counting; the front's knee and picks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymoo.indicators.hv import HV

from hwsearch._typing import FloatArray
from hwsearch.errors import LimitError, SearchError
from hwsearch.objectives.front import Front
from hwsearch.objectives.limit import Limit
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import attainment, hypervolume, non_dominated, reference_point

POOL = [Objective("accuracy"), Objective("latency_ms", device="cpu"), Objective("macs"), Objective("fairness", "max")]


def cases(low: int = -4, high: int = 4, most: int = 14) -> st.SearchStrategy[FloatArray]:
    """Value tables of 1 to 4 objectives on a coarse grid, with ties and failures."""
    entry = st.one_of(st.integers(low, high).map(float), st.just(float("nan")))
    return st.integers(1, 4).flatmap(
        lambda m: st.lists(st.lists(entry, min_size=m, max_size=m), min_size=1, max_size=most).map(np.array)
    )


def brute_mask(values: FloatArray, sign: FloatArray) -> list[bool]:
    costs = values * sign
    mask = []
    for i, a in enumerate(costs):
        whole = not np.isnan(a).any()
        worse = any((b <= a).all() and (b < a).any() for b in costs)
        repeated = any((b == a).all() for b in costs[:i])
        mask.append(whole and not worse and not repeated)
    return mask


@settings(deadline=None)
@given(cases())
def test_non_dominated_is_the_definition(values: FloatArray) -> None:
    objectives = POOL[: values.shape[1]]
    before = values.copy()
    found = non_dominated(values, objectives)
    assert found.tolist() == brute_mask(values, np.array([o.sign for o in objectives]))
    assert np.array_equal(values, before, equal_nan=True)


@settings(max_examples=60, deadline=None)
@given(cases(-3, 3, 8))
def test_hypervolume_counts_the_dominated_unit_cells(values: FloatArray) -> None:
    """On an integer grid the hypervolume is the number of unit cells under the points."""
    objectives = POOL[: values.shape[1]]
    sign = np.array([o.sign for o in objectives])
    m = len(objectives)
    reference = 2.0 * sign
    costs = (values * sign)[~np.isnan(values).any(axis=1)]
    cells = np.stack(np.meshgrid(*[np.arange(-3, 2)] * m), axis=-1).reshape(-1, m)  # lower corners, up to the reference
    covered = (costs[None, :, :] <= cells[:, None, :]).all(axis=2).any(axis=1).sum()
    assert hypervolume(values, objectives, reference) == pytest.approx(float(covered))


@pytest.mark.parametrize("m", [2, 3, 4])
def test_hypervolume_equals_pymoo(m: int) -> None:
    rng = np.random.default_rng(m)
    objectives = POOL[:m]
    sign = np.array([o.sign for o in objectives])
    costs = rng.random((40, m))
    reference = np.full(m, 0.9)  # some points lie outside
    expected = HV(ref_point=reference)(costs)
    assert hypervolume(costs * sign, objectives, reference * sign) == pytest.approx(expected, rel=1e-12)


def test_hypervolume_refuses_a_reference_of_another_length_and_is_zero_without_points() -> None:
    assert hypervolume(np.empty((0, 2)), POOL[:2], [70.0, 2.0]) == 0.0
    for reference in ([1.0], [1.0, np.nan]):
        with pytest.raises(SearchError):
            hypervolume([[80.0, 1.0]], POOL[:2], reference)
    with pytest.raises(SearchError):
        hypervolume([[80.0, 1.0, 3.0]], POOL[:2], [1.0, 1.0])


@settings(deadline=None)
@given(cases(), st.floats(0.01, 0.5))
def test_every_measured_row_is_strictly_better_than_the_reference_point(values: FloatArray, margin: float) -> None:
    objectives = POOL[: values.shape[1]]
    whole = values[~np.isnan(values).any(axis=1)]
    if not len(whole):
        with pytest.raises(SearchError):
            reference_point(values, objectives, margin)
        return
    sign = np.array([o.sign for o in objectives])
    assert (whole * sign < reference_point(values, objectives, margin) * sign).all()


def test_reference_point_by_hand() -> None:
    values = [[70.0, 1.0], [80.0, 3.0], [np.nan, 9.0]]
    assert reference_point(values, POOL[:2]) == pytest.approx([70 - 0.5, 3 + 0.1])


# ---------------------------------------------------------------------- preferences
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


# ---------------------------------------------------------------------- Front
OBJECTIVES = ["max accuracy", "min latency_ms@cpu"]


def frame() -> pd.DataFrame:
    rows = [("a", 70.0, 1.0, 10.0), ("b", 80.0, 2.0, 30.0), ("c", 82.0, 4.0, 20.0), ("worse", 79.0, 2.5, 1.0)]
    rows += [("twin", 80.0, 2.0, 5.0), ("failed", np.nan, 0.1, 5.0)]
    return pd.DataFrame(rows, columns=["arch_id", "accuracy", "latency_ms@cpu", "macs"]).iloc[::-1]


def test_front_keeps_the_first_twin_and_sorts_by_the_last_objective() -> None:
    source = frame()
    before = source.copy()
    front = Front.of(source, OBJECTIVES)
    assert front.to_frame()["arch_id"].tolist() == ["a", "twin", "c"]  # reversed above, so the twin comes first
    assert front.to_frame()["macs"].tolist() == [10.0, 5.0, 20.0]
    pd.testing.assert_frame_equal(source, before)
    assert front.hypervolume([69.0, 5.0]) == pytest.approx(hypervolume(front.values, front.objectives, [69.0, 5.0]))


def test_front_names_the_missing_column() -> None:
    with pytest.raises(SearchError, match="latency_ms@cpu"):
        Front.of(frame(), ["max accuracy", "min latency_ms@cp"])


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


def front_objectives() -> list[Objective]:
    return [Objective.parse(text) for text in OBJECTIVES]


def test_knee_of_very_small_fronts() -> None:
    assert Front.of(frame()[frame()["arch_id"].isin(["a", "c"])], OBJECTIVES).knee()["arch_id"] == "c"
    with pytest.raises(SearchError):
        Front.from_values([], np.empty((0, 2)), front_objectives()).knee()


@settings(deadline=None)
@given(cases(0, 9), st.floats(0, 9), st.floats(0, 9))
def test_pick_is_the_best_of_what_meets_the_limits(values: FloatArray, least: float, most: float) -> None:
    """Against a search through all rows, with limits on the first two of m objectives."""
    if values.shape[1] < 2:
        return
    objectives = POOL[: values.shape[1]]
    front = Front.from_values([str(i) for i in range(len(values))], values, objectives)
    free = objectives[2] if len(objectives) > 2 else objectives[0]
    meeting = [v for v in front.values if v[0] >= least and v[1] <= most]
    limits = [("accuracy", Limit(">=", least)), ("latency_ms@cpu", Limit("<=", most))]
    if not meeting:
        with pytest.raises(LimitError):
            front.pick(limits)
        return
    picked = front.pick(limits)
    assert picked["accuracy"] >= least and picked["latency_ms@cpu"] <= most
    column = objectives.index(free)
    assert picked[free.name] * free.sign == min(v[column] * free.sign for v in meeting)


def test_pick_understands_texts_devices_and_extra_columns() -> None:
    front = Front.of(frame(), OBJECTIVES)
    assert front.pick("latency_ms<=2")["arch_id"] == "twin"
    assert front.pick("latency <= 3 ms")["arch_id"] == "twin"
    assert front.pick("latency_ms@cpu <= 1999 us")["arch_id"] == "a"
    assert front.pick("accuracy>=75")["arch_id"] == "twin"  # the fastest of those
    assert front.pick(["macs>=15"])["arch_id"] == "c"
    assert front.pick([])["arch_id"] == "c"
    assert front.pick(("latency_ms", Limit("<=", 0.6, relative=True)), largest={"latency_ms": 4.0})["arch_id"] == "twin"
    with pytest.raises(LimitError, match="largest"):
        front.pick("latency_ms <= 60 %")


def test_pick_names_the_nearest_value_that_can_be_reached() -> None:
    front = Front.from_values(["a", "b"], [[70.0, 0.31249], [80.0, 2.0]], front_objectives())
    with pytest.raises(LimitError) as error:
        front.pick("latency_ms<=0.1")
    assert "the lowest measured is 0.31249" in error.value.message
    suggestion = str(error.value.hint).split('"')[1]
    assert suggestion == "latency_ms@cpu <= 0.313"
    assert front.pick(suggestion)["arch_id"] == "a"
    with pytest.raises(LimitError, match="under latency_ms@cpu <= 1: the highest measured is 70"):
        front.pick(["latency_ms<=1", "accuracy>=75"])


@settings(deadline=None)
@given(st.floats(1e-3, 1e9), st.sampled_from(["<=", ">="]))
def test_the_suggested_limit_can_be_met(value: float, op: str) -> None:
    front = Front.from_values(["a"], [[value, 1.0]], [Objective("macs"), Objective("latency_ms")])
    with pytest.raises(LimitError) as error:
        front.pick([("macs", Limit(op, value / 2 if op == "<=" else value * 2))])
    assert front.pick(str(error.value.hint).split('"')[1])["arch_id"] == "a"


def test_pick_refuses_what_is_unknown_or_ambiguous() -> None:
    objectives = [Objective("accuracy"), Objective("latency_ms", device="cpu"), Objective("latency_ms", device="gpu")]
    front = Front.from_values(["a"], [[70.0, 1.0, 2.0]], objectives)
    with pytest.raises(LimitError, match="fits 2 columns"):
        front.pick("latency_ms<=2")
    assert front.pick("latency_ms@gpu<=2")["arch_id"] == "a"
    with pytest.raises(LimitError, match="energy_mj"):
        front.pick("energy<=2")


def test_plot_draws_the_values_on_the_axes_given() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    front = Front.of(frame(), OBJECTIVES)
    assert front.plot(ax, color="k") is ax
    x, y = ax.lines[0].get_data()
    assert np.array_equal(np.stack([y, x], axis=1), front.values)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("latency_ms@cpu", "accuracy")


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("share", [0.2, 0.25, 0.5, 1.0])
def test_attainment_by_counting(m: int, share: float) -> None:
    """Whether a point is attained by enough runs, counted for many points, against the surface."""
    rng = np.random.default_rng(m)
    objectives = [Objective("accuracy"), Objective("latency_ms"), Objective("macs", "min")][:m]
    runs = [rng.random((int(rng.integers(1, 12)) * m**2, m)) for _ in range(9)]
    runs[3][0] = np.nan
    turn = np.array([o.sign for o in objectives])
    surface = attainment(runs, objectives, share) * turn
    points = rng.random((400, m)) * turn
    count = sum(((run * turn)[None] <= points[:, None]).all(axis=2).any(axis=1) for run in runs)
    attained = (surface[None] <= points[:, None]).all(axis=2).any(axis=1)
    assert (attained == (count >= share * 9)).all() and 0 < attained.sum() < 400
    # every point of the surface is itself attained
    own = sum(((run * turn)[None] <= surface[:, None] + 1e-12).all(axis=2).any(axis=1) for run in runs)
    assert (own >= share * 9).all()


def test_attainment_of_runs_that_found_nothing() -> None:
    two = [Objective("accuracy"), Objective("latency_ms")]
    empty: list[list[float]] = []
    assert attainment([empty, [[70.0, 2.0]]], two, 1.0).shape == (0, 2)
    assert attainment([empty, [[70.0, 2.0]]], two, 0.5).tolist() == [[70.0, 2.0]]
    for runs, objectives, share in (([], two, 0.5), ([[[1.0, 1.0]]], two, 0.0), ([[[1.0]]], two[:1], 0.5)):
        with pytest.raises(SearchError, match="attainment"):
            attainment(runs, objectives, share)
