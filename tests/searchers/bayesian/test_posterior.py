"""The posterior of several objectives: what it learns from, and what it says of objectives that are computed."""

from __future__ import annotations

from copy import copy

import numpy as np
import pytest

from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective
from hwsearch.searchers.bayesian import posterior as module
from hwsearch.searchers.bayesian.posterior import EncodedRows, MultiObjectivePosterior
from hwsearch.searchers.bayesian.space_kernel import SpaceKernel
from hwsearch.spaces import SearchSpace
from hwsearch.spaces.choice import Choice, When


def space() -> SearchSpace:
    """Two stages of up to three layers, with a kernel size and an expansion each."""
    choices = []
    for stage in range(2):
        choices.append(Choice(f"d[{stage}]", (1, 2, 3)))
    for layer in range(6):
        deep = {0: None, 1: (2, 3), 2: (3,)}[layer % 3]
        when = When(f"d[{layer // 3}]", deep) if deep else None
        choices += [Choice(f"ks[{layer}]", (3, 5, 7), when=when), Choice(f"e[{layer}]", (3, 4, 6), when=when)]
    return SearchSpace("layers", choices)


@pytest.fixture(scope="module")
def kernel() -> SpaceKernel:
    sample = space().sample_array(300, np.random.default_rng(0))
    return SpaceKernel(
        space(), sample, lambda rows: np.stack([(rows + 1.0).sum(axis=1), (rows >= 0).sum(axis=1)], axis=1)
    )


def truth(rows: np.ndarray) -> np.ndarray:
    x = space().encode_array(rows, "ordinal")
    weights = np.linspace(0.5, 2.0, x.shape[1])
    return 5.0 + x @ weights + 0.3 * np.sin(3.0 * x[:, 3] * x[:, 4])


def test_learns_a_function_and_knows_how_well(kernel: SpaceKernel) -> None:
    rng = np.random.default_rng(3)
    rows, other = space().sample_array(80, rng), space().sample_array(400, rng)
    noise = 0.05
    posterior = MultiObjectivePosterior(kernel, [Objective("latency_ms")], {}, 400)
    values = (truth(rows) + noise * rng.standard_normal(80))[:, None]
    posterior.fit(rows, values, np.full_like(values, np.nan), np.zeros(80))
    seen = EncodedRows(posterior, other)
    error = posterior.mean(seen)[:, 0] - truth(other)
    assert np.sqrt((error**2).mean()) < 0.2 * truth(other).std()
    low, high = posterior.bound(seen, -1.645)[:, 0], posterior.bound(seen, 1.645)[:, 0]
    assert 0.8 < np.mean((low <= truth(other)) & (truth(other) <= high)) <= 1.0
    samples = posterior.samples(other[:50], 4000, rng)[:, :, 0]
    assert np.quantile(samples, 0.95, axis=0) == pytest.approx(high[:50], rel=0.03)


def test_known_noise_is_believed(kernel: SpaceKernel) -> None:
    """A measurement said to be worthless hardly moves the mean."""
    rng = np.random.default_rng(4)
    rows = space().sample_array(30, rng)
    values = truth(rows)[:, None]
    wrong = values.copy()
    wrong[0] += 20.0
    means = []
    for deviation in (np.nan, 50.0):
        noise = np.full_like(values, np.nan)
        noise[0] = deviation
        posterior = MultiObjectivePosterior(kernel, [Objective("latency_ms")], {}, 400)
        posterior.fit(rows, wrong, noise, np.zeros(30))
        means.append(abs(float(posterior.mean(EncodedRows(posterior, rows[:1]))[0, 0] - values[0, 0])))
    assert means[1] < 0.3 * means[0]


def test_failed_values_are_left_out_objective_by_objective(kernel: SpaceKernel) -> None:
    rng = np.random.default_rng(5)
    rows = space().sample_array(60, rng)
    values = np.stack([80.0 - truth(rows), truth(rows)], axis=1)
    values[::3, 0] = np.nan
    values[1::3, 1] = np.nan
    posterior = MultiObjectivePosterior(kernel, [Objective("accuracy"), Objective("latency_ms")], {}, 400)
    posterior.fit(rows, values, np.full_like(values, np.nan), np.zeros(60))
    mean = posterior.mean(EncodedRows(posterior, rows))
    assert np.corrcoef(mean[:, 1], truth(rows))[0, 1] > 0.97
    assert np.corrcoef(mean[:, 0], truth(rows) - 80.0)[0, 1] > 0.97


def test_exact_objectives_are_computed_and_have_no_deviation(kernel: SpaceKernel) -> None:
    rng = np.random.default_rng(7)
    rows = space().sample_array(20, rng)
    posterior = MultiObjectivePosterior(kernel, [Objective("accuracy"), Objective("macs")], {"macs": truth}, 400)
    values = np.stack([80.0 - truth(rows), truth(rows)], axis=1)
    posterior.fit(rows, values, np.full_like(values, np.nan), np.zeros(20))
    seen = EncodedRows(posterior, rows[:5])
    assert posterior.bound(seen, 3.0)[:, 1] == pytest.approx(truth(rows[:5]))
    assert posterior.samples(rows[:5], 4, rng)[:, :, 1] == pytest.approx(np.tile(truth(rows[:5]), (4, 1)))
    with pytest.raises(SearchError, match="Did you mean 'macs'"):
        MultiObjectivePosterior(kernel, [Objective("macs")], {"mac": truth}, 400)


def test_of_more_than_are_learnt_from_the_best_are_kept(kernel: SpaceKernel) -> None:
    """The five best of thirty; a row without any value is never among them."""
    rows = space().sample_array(30, np.random.default_rng(8))
    values = truth(rows)[:, None].copy()
    values[int(np.argmin(values))] = np.nan
    posterior = MultiObjectivePosterior(kernel, [Objective("latency_ms")], {}, 5)
    posterior.fit(rows, values, np.full_like(values, np.nan), np.zeros(30))
    kept = np.sort(np.argsort(values[:, 0])[:5])  # NaN sorts last
    assert np.array_equal(posterior.measured["genes"], kernel.row_features(rows[kept])["genes"])


def test_of_more_rows_than_are_learnt_from_the_complete_ones_and_the_others_evenly(kernel: SpaceKernel) -> None:
    """At most five of nine: both complete rows, and of the seven others the first, the middle one and the last."""
    posterior = MultiObjectivePosterior(kernel, [Objective("latency_ms")], {}, 5)
    lacking = np.array([True, False, True, True, True, True, True, False, True])
    found = posterior._learnt(lacking)
    assert found is not None and found.tolist() == [0, 1, 4, 7, 8]
    assert posterior._learnt(lacking[:5]) is None and posterior._learnt(lacking[:6]) is not None


def test_the_best_complete_rows_and_the_last_others_are_kept(kernel: SpaceKernel) -> None:
    """Room for four complete rows and twice as many that lack a value; order stays that of the measurements."""
    rng = np.random.default_rng(8)
    rows = space().sample_array(20, rng)
    values = np.stack([np.arange(20.0), truth(rows)], axis=1)
    values[6:, 1] = np.nan  # 14 rows lack their second value
    objectives = [Objective("macs"), Objective("latency_ms")]
    posterior = MultiObjectivePosterior(kernel, objectives, {"macs": lambda r: r[:, 0] + 1.0}, 4)
    posterior.fit(rows, values, np.full_like(values, np.nan), np.array([9.0, 9, 0, 0, 0, 0] + [0] * 14))
    kept = [2, 3, 4, 5, *range(12, 20)]  # the first two break limits
    expected = kernel.row_features(rows[kept])
    assert all(np.array_equal(posterior.measured[name], expected[name]) for name in expected)
    models = [m for m in posterior._models if m is not None]
    assert len(models) == 1 and models[0][1].tolist() == [0, 1, 2, 3]


@pytest.fixture(scope="module")
def partly_measured(kernel: SpaceKernel) -> MultiObjectivePosterior:
    """Forty rows, some without one of two values; a third objective, to be large, is computed."""
    rows = space().sample_array(40, np.random.default_rng(5))
    values = np.stack([80.0 - truth(rows), truth(rows), 100.0 - truth(rows)], axis=1)
    values[::5, 0] = np.nan
    values[1::5, 1] = np.nan
    objectives = [Objective("accuracy"), Objective("latency_ms"), Objective("score", "max")]
    posterior = MultiObjectivePosterior(kernel, objectives, {"score": lambda r: 100.0 - truth(r)}, 400)
    posterior.fit(rows, values, np.full_like(values, np.nan), np.zeros(40))
    return posterior


def test_single_precision_predicts_the_same(
    partly_measured: MultiObjectivePosterior, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHARE", 0.0)  # all parts are kept
    rows = space().sample_array(50, np.random.default_rng(6))
    quick = partly_measured.single_precision()
    seen, exact = EncodedRows(quick, rows), EncodedRows(partly_measured, rows)
    assert seen.features["values"].dtype == np.float32 and exact.features["values"].dtype == np.float64
    assert isinstance(seen.curves, list) and [s is None for s in seen.curves] == [False, False, True]
    assert quick.mean(seen) == pytest.approx(partly_measured.mean(exact), abs=2e-3)
    assert quick.bound(seen, -2.0) == pytest.approx(partly_measured.bound(exact, -2.0), abs=2e-2)
    assert quick.mean(seen)[:, 2] == pytest.approx(truth(rows) - 100.0)


def test_deviations_of_a_bound_are_those_of_each_objective(partly_measured: MultiObjectivePosterior) -> None:
    seen = EncodedRows(partly_measured, space().sample_array(5, np.random.default_rng(6)))
    mixed = partly_measured.bound(seen, np.array([-1.0, 2.0, 5.0]))
    for j, deviations in enumerate((-1.0, 2.0, 0.0)):
        assert mixed[:, j] == pytest.approx(partly_measured.bound(seen, deviations)[:, j])


def test_samples_vary_together_as_the_joint_posterior_says(partly_measured: MultiObjectivePosterior) -> None:
    """Means and covariances of 20,000 draws, warped and standardised, to five standard errors; objectives are independent."""
    rows = space().sample_array(4, np.random.default_rng(6))
    seen, count = EncodedRows(partly_measured, rows), 20_000
    samples = partly_measured.samples(rows, count, np.random.default_rng(0))
    assert samples.shape == (count, 4, 3)
    drawn = []
    for j, model in enumerate(partly_measured._models[:2]):
        assert model is not None
        process, there = model
        t = (process.warp(samples[:, :, j]) - process.center) / process.scale
        mean, covariance = process.joint(seen.features, seen.with_measured(j, there))
        deviation = np.sqrt(np.diag(covariance))
        assert ((t.mean(axis=0) - mean) / deviation) == pytest.approx(np.zeros(4), abs=5 / np.sqrt(count))
        scale = np.outer(deviation, deviation)
        assert np.cov(t.T) / scale == pytest.approx(covariance / scale, abs=5 * np.sqrt(2 / count))
        assert np.abs((covariance / scale)[np.triu_indices(4, 1)]).max() > 0.1  # not for nothing
        drawn.append((t - mean) / deviation)
    assert (drawn[0] * drawn[1]).mean(axis=0) == pytest.approx(np.zeros(4), abs=5 / np.sqrt(count))


def test_a_bound_is_computed_where_rows_are_promising_at_best(partly_measured: MultiObjectivePosterior) -> None:
    """First all rows are bounded. Then they are shown with the large deviations of the first, and half have their means."""
    rng = np.random.default_rng(6)
    quick = partly_measured.single_precision()
    seen = EncodedRows(quick, space().sample_array(50, rng))
    first = quick.bound_where(seen, -2.0, lambda best: np.zeros(len(best), dtype=bool))
    assert first == pytest.approx(quick.bound(seen, -2.0), rel=1e-4)

    shown: list[np.ndarray] = []

    def half(best: np.ndarray) -> np.ndarray:
        shown.append(best)
        return np.arange(len(best)) % 2 == 0

    found = quick.bound_where(seen, -2.0, half)
    assert found[::2] == pytest.approx(quick.bound(seen, -2.0)[::2], rel=1e-4)
    assert found[1::2] == pytest.approx(quick.mean(seen)[1::2], rel=1e-4)
    better = (shown[0] <= quick.bound(seen, -2.0) + 1e-4)[:, :2]
    assert better.mean(axis=0) == pytest.approx([0.9, 0.9], abs=0.03)  # of nine in ten, by the quantile
    assert (shown[0][:, :2] < quick.mean(seen)[:, :2]).all()
    none = quick.bound_where(seen, -2.0, lambda best: np.zeros(len(best), dtype=bool))
    assert none == pytest.approx(quick.mean(seen), rel=1e-4)


def test_parts_of_no_account_are_left_out_of_the_view(partly_measured: MultiObjectivePosterior) -> None:
    """A curved part with less than a thousandth of the variance of both is gone, and each process is conditioned anew."""
    posterior = copy(partly_measured)
    posterior._models = [None if model is None else (copy(model[0]), model[1]) for model in partly_measured._models]
    names = posterior.kernel.names
    small = names.index("genes rough")
    for model in posterior._models[:2]:
        assert model is not None
        process, there = model
        process.weights = process.weights.copy()
        process.weights[small] = 1e-5
        features = {name: block[there] for name, block in posterior.measured.items()}
        stack = posterior.kernel.stack(features, features)
        process.condition(features, process._matrix(stack, np.log([*process.weights, process.noise]), process.known))
    quick = posterior.single_precision()
    assert "genes rough" not in quick.kernel.names and "values" in quick.kernel.names
    rows = space().sample_array(50, np.random.default_rng(6))
    seen, exact = EncodedRows(quick, rows), EncodedRows(posterior, rows)
    spread = posterior.mean(exact)[:, :2].std(axis=0)
    for predict in (lambda p, r: p.mean(r), lambda p, r: p.bound(r, -2.0)):
        away = np.abs(predict(quick, seen) - predict(posterior, exact))[:, :2] / spread
        assert away.max() < 0.15 and away.mean() < 0.05


def test_a_fit_from_the_weights_of_another_is_as_good(kernel: SpaceKernel) -> None:
    """Weights sought from those of an earlier fit reach the same posterior, and are handed on by warp."""
    rows = space().sample_array(30, np.random.default_rng(5))
    values = np.stack([80.0 - truth(rows), truth(rows)], axis=1)
    blank, met = np.full_like(values, np.nan), np.zeros(30)
    objectives = [Objective("accuracy"), Objective("latency_ms")]
    cold, warm = (MultiObjectivePosterior(kernel, objectives, {}, 400) for _ in range(2))
    warm.fit(rows[:24], values[:24], blank[:24], met[:24])
    starts = warm.found
    gaps = ["gap 0", "gap 1", "gap 2"]
    assert [sorted(found) for found in starts] == [[*gaps, "plain 0"], [*gaps, "log 0", "plain 0"]]  # some are negative
    cold.fit(rows, values, blank, met)
    warm.fit(rows, values, blank, met, starts)
    other = space().sample_array(20, np.random.default_rng(6))
    spread = values.std(axis=0)
    difference = warm.mean(EncodedRows(warm, other)) - cold.mean(EncodedRows(cold, other))
    assert (np.abs(difference) / spread).max() < 0.05
