from __future__ import annotations

import logging
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from predictors import CrossValidatedPredictor, PredictorError, RidgePredictor, XGBoostPredictor
from predictors.conformal import ShiftReport, coverage_report, expected_best, plus_bounds, quantile_rank, rows_needed

PREDICTORS = [RidgePredictor(), XGBoostPredictor(n_estimators=40), CrossValidatedPredictor()]
NAMES = ["ridge", "xgboost", "chosen"]


@settings(deadline=None)
@given(st.integers(1, 500), st.integers(1, 99))
def test_rank_is_the_exact_one(n: int, percent: int) -> None:
    assert quantile_rank(n, percent / 100) == math.ceil(Fraction(percent, 100) * (n + 1))


@settings(deadline=None)
@given(st.integers(1, 99))
def test_rows_needed_is_the_smallest(percent: int) -> None:
    exact = next(n for n in range(1, 200) if math.ceil(Fraction(percent, 100) * (n + 1)) <= n)
    assert rows_needed(percent / 100) == exact


def test_rows_needed_for_almost_nothing_and_for_almost_everything() -> None:
    """n of n + 1 for n / (n + 1); one row at least."""
    assert rows_needed(1e-12) == 1 and rows_needed(0.5) == 1 and rows_needed(0.9999) == 9999
    for coverage in (0.0, 1.0, 90.0):
        with pytest.raises(PredictorError, match="coverage"):
            rows_needed(coverage)


@pytest.mark.parametrize(("n", "coverage", "rank"), [(24, 0.56, 14), (74, 0.68, 51), (99, 0.55, 55)])
def test_a_rank_that_is_whole_is_not_rounded_up(n: int, coverage: float, rank: int) -> None:
    """coverage (n + 1) is a whole number whose product in floating point lies just above it."""
    assert coverage * (n + 1) > rank
    assert quantile_rank(n, coverage) == rank


@settings(deadline=None)
@given(st.integers(9, 40), st.integers(0, 10**6), st.integers(50, 90))
def test_bounds_are_the_order_statistics_of_the_paper(n: int, seed: int, percent: int) -> None:
    """Barber et al., section 1.2: q+ is the ceil((1-a)(n+1))-th smallest, q- the floor(a(n+1))-th smallest."""
    rng = np.random.default_rng(seed)
    held_out, group, residuals = rng.normal(size=(3, 4)), rng.integers(4, size=n), rng.normal(size=n)
    lower, upper = plus_bounds(held_out, group, residuals, percent / 100)
    share = Fraction(percent, 100)
    for x in range(3):
        above = sorted(held_out[x, g] + abs(r) for g, r in zip(group, residuals, strict=True))
        below = sorted(held_out[x, g] - abs(r) for g, r in zip(group, residuals, strict=True))
        assert upper[x] == above[math.ceil(share * (n + 1)) - 1]
        assert lower[x] == below[math.floor((1 - share) * (n + 1)) - 1]


def test_bounds_of_many_residuals_are_the_same_order_statistics() -> None:
    """Of 999 at 0.9: the 900th of the upper ends, the 100th of the lower ones. Few are sorted whole, whatever is asked for."""
    rng = np.random.default_rng(0)
    held_out, group, residuals = rng.normal(size=(2, 4)), rng.integers(4, size=999), rng.normal(size=999)
    lower, upper = plus_bounds(held_out, group, residuals, 0.9)
    for x in range(2):
        assert upper[x] == np.sort(held_out[x, group] + np.abs(residuals))[899]
        assert lower[x] == np.sort(held_out[x, group] - np.abs(residuals))[99]


@pytest.mark.parametrize("coverage", [0.0, 1.0, -0.1, 90, float("nan")])
def test_wrong_coverage_is_refused(task, coverage) -> None:
    X, y = task(20)
    with pytest.raises(PredictorError, match="coverage"):
        RidgePredictor().fit(X, y).predict_interval(X, coverage)


@pytest.mark.parametrize("predictor", PREDICTORS, ids=NAMES)
@pytest.mark.parametrize("log", [False, True])
def test_coverage_over_many_draws(task, predictor, log) -> None:
    """Mean coverage near 0.9 (the theorem promises 0.8), on data sets of 30 rows and 40 new points each."""
    seeds = {RidgePredictor: 200, XGBoostPredictor: 25}.get(type(predictor), 12)
    inside = []
    for seed in range(seeds):
        X, y = task(70, seed=seed, noise=1.0, log=log)
        lower, upper = predictor.fit(X[:30], y[:30]).predict_interval(X[30:], 0.9)
        inside.append(np.mean((lower <= y[30:]) & (y[30:] <= upper)))
    assert (0.88 if seeds == 200 else 0.86) <= np.mean(inside) <= 0.97


@pytest.mark.parametrize("log", [False, True])
def test_coverage_where_rows_barely_outnumber_independent_columns(task, log) -> None:
    """The 36 columns have rank 24. A strength chosen on the very residuals of the interval gives 0.86 here."""
    inside = {True: [], False: []}
    for seed in range(300):
        X, y = task(70, seed=seed, noise=1.0, log=log)
        for refit in inside:
            lower, upper = RidgePredictor(refit_alpha=refit).fit(X[:28], y[:28]).predict_interval(X[28:], 0.9)
            inside[refit].append(np.mean((lower <= y[28:]) & (y[28:] <= upper)))
    assert np.mean(inside[True]) >= 0.89
    assert np.mean(inside[False]) < np.mean(inside[True])


def test_coverage_when_the_noise_has_heavy_tails(task) -> None:
    inside = []
    for seed in range(200):
        X, y = task(100, seed=seed)
        y = y + np.random.default_rng(seed).standard_t(2, size=100)
        lower, upper = RidgePredictor().fit(X[:60], y[:60]).predict_interval(X[60:], 0.8)
        inside.append(np.mean((lower <= y[60:]) & (y[60:] <= upper)))
    assert 0.77 <= np.mean(inside) <= 0.88


@pytest.mark.parametrize("predictor", PREDICTORS, ids=NAMES)
def test_intervals_hold_the_prediction_and_grow_with_coverage(task, predictor) -> None:
    X, y = task(50)
    new, _ = task(30, seed=9)
    predictor.fit(X, y)
    mean = predictor.predict(new)
    wider = (np.inf, -np.inf)
    for coverage in (0.5, 0.8, 0.95):
        lower, upper = predictor.predict_interval(new, coverage)
        assert (lower <= mean).all() and (mean <= upper).all()
        assert (lower <= wider[0]).all() and (upper >= wider[1]).all()
        wider = (lower, upper)


def test_log_intervals_scale_with_the_unit(task) -> None:
    X, y = task(40, log=True)
    lower, upper = RidgePredictor(log_target=True).fit(X, y).predict_interval(X)
    low, high = RidgePredictor(log_target=True).fit(X, 1000 * y).predict_interval(X)
    assert (lower > 0).all()
    np.testing.assert_allclose(low, 1000 * lower, rtol=1e-6)
    np.testing.assert_allclose(high, 1000 * upper, rtol=1e-6)


@pytest.mark.parametrize("log, floor", [(False, -np.inf), (True, 0.0)])
def test_too_few_rows_give_infinite_bounds_and_a_warning(task, log, floor, caplog) -> None:
    X, y = task(9, log=True)
    with caplog.at_level(logging.WARNING, logger="predictors"):
        lower, upper = RidgePredictor(log_target=log).fit(X[:8], y[:8]).predict_interval(X, 0.9)
    assert (lower == floor).all() and (upper == np.inf).all()
    assert "needs 9 rows, the fit had 8" in caplog.text
    lower, upper = RidgePredictor(log_target=log).fit(X, y).predict_interval(X, 0.9)
    assert np.isfinite(upper).all()


def test_blocks_of_rows_do_not_change_the_bounds(task, monkeypatch) -> None:
    X, y = task(50)
    ours = RidgePredictor().fit(X, y)
    whole = ours.predict_interval(X)
    monkeypatch.setattr("predictors.base.BLOCK", 7)
    np.testing.assert_allclose(ours.predict_interval(X), whole, rtol=1e-12)


def test_coverage_counts_and_its_interval_are_exact() -> None:
    """Against SciPy's exact binomial test; ends belong to an interval."""
    y = np.arange(20.0)
    low, high = np.full(20, 2.0), np.full(20, 17.0)
    report = coverage_report(y, low, high, asked=0.9)
    assert (report.n, report.below, report.inside, report.above) == (20, 2, 16, 2)
    exact = stats.binomtest(16, 20).proportion_ci(0.95, method="exact")
    assert (report.low, report.high) == pytest.approx((exact.low, exact.high))
    assert report.coverage == 0.8 and report.median_width == 15.0
    assert not report.too_narrow and not report.too_wide


@pytest.mark.parametrize(("inside", "n"), [(0, 5), (5, 5), (1, 1), (70, 100)])
def test_coverage_at_the_ends(inside: int, n: int) -> None:
    y = np.where(np.arange(n) < inside, 0.0, 5.0)
    report = coverage_report(y, np.full(n, -1.0), np.full(n, 1.0))
    exact = stats.binomtest(inside, n).proportion_ci(0.95, method="exact")
    assert (report.low, report.high) == pytest.approx((exact.low, exact.high))
    assert report.too_narrow == (exact.high < 0.9) and report.too_wide == (exact.low > 0.9)


def test_the_interval_of_a_coverage_holds_the_true_one_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        y = rng.random(60)
        report = coverage_report(y, np.zeros(60), np.full(60, 0.85))
        held += report.low <= 0.85 <= report.high
    assert held / 400 >= 0.93


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([], [], []), "equally many"),
        (([1.0], [0.0, 1.0], [2.0, 2.0]), "equally many"),
        (([1.0], [2.0], [0.0]), "begin below their end"),
        (([np.nan], [0.0], [1.0]), "needs numbers"),
        (([1.0], [np.nan], [1.0]), "begin below"),
    ],
)
def test_a_coverage_of_something_else_is_refused(arguments: tuple, words: str) -> None:
    with pytest.raises(PredictorError, match=words):
        coverage_report(*arguments)
    with pytest.raises(PredictorError, match="asked must be in"):
        coverage_report([1.0], [0.0], [2.0], asked=90.0)


def test_the_winners_curse_of_two_equal_candidates_is_known() -> None:
    """The larger of two independent errors of unit variance is 1 / sqrt(pi) in the mean, that of three 3 / (2 sqrt(pi))."""
    rng = np.random.default_rng(0)
    for m, flattery in ((2, 1 / math.sqrt(math.pi)), (3, 1.5 / math.sqrt(math.pi))):
        errors = rng.standard_normal((200_000, m))
        best = expected_best(np.full(m, 70.0), errors, 1, largest=True)
        assert best.predicted == [70.0] and best.corrected == pytest.approx([70.0 - flattery], abs=0.01)
        least = expected_best(np.full(m, 70.0), errors, 1, largest=False)
        assert least.corrected == pytest.approx([70.0 + flattery], abs=0.01)


def test_no_curse_where_the_best_is_far_ahead_or_all_are_chosen() -> None:
    errors = np.random.default_rng(0).standard_normal((50_000, 3))
    ahead = expected_best(np.array([0.0, 100.0, 1.0]), errors, 1, largest=True)
    assert ahead.at.tolist() == [1] and ahead.corrected == pytest.approx([100.0], abs=0.02)
    every = expected_best(np.zeros(3), errors, 3, largest=True)
    assert every.corrected.sum() == pytest.approx(0.0, abs=0.02)  # the last is as much too low as the first is too high


def test_what_is_chosen_by_predictions_is_as_good_as_corrected() -> None:
    """Many worlds with a known truth: the corrected best has the chosen one's true value in the mean, the predicted one has not."""
    rng = np.random.default_rng(1)
    truth, corrected, predicted, true = np.linspace(0, 2, 40), [], [], []
    for _ in range(300):
        mean = truth + rng.standard_normal(40)
        best = expected_best(mean, rng.standard_normal((300, 40)), 1, largest=True)
        corrected.append(best.corrected[0])
        predicted.append(best.predicted[0])
        true.append(truth[best.at[0]])
    off = np.mean(predicted) - np.mean(true)
    assert off > 1.0 and abs(np.mean(corrected) - np.mean(true)) < 0.6 * off


@pytest.mark.parametrize("k", [0, 4, 1.5])
def test_a_best_that_cannot_be_chosen_is_refused(k) -> None:
    with pytest.raises(PredictorError, match="of 3 cannot be chosen"):
        expected_best(np.zeros(3), np.zeros((1, 3)), k, largest=True)


def test_a_shift_is_said_in_a_sentence() -> None:
    assert ShiftReport(0.05, []).warning is None
    assert ShiftReport(0.25, []).warning == (
        "Predictions are extrapolations: 25% of the architectures are less like the measured ones than 99 % of these are."
    )
    said = ShiftReport(0.0, [f"ks[{i}]=7" for i in range(10)]).warning
    assert said is not None and said.endswith("ks[7]=7 and 2 more.")
