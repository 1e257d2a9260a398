"""Ratios to the reference: each variance worked by hand, and coverage on made-up hosts with known components."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from hwsearch.devices.timing.ratios import UNKNOWN_VAR, Look, ratio_estimates, row_shifts


def looks(table: list[list[float | None]], seconds: float = 20.0, variance: float = 0.0, error: float = 0.0):
    """Of candidates in columns; a row a process, `seconds` apart."""
    return [
        [Look(seconds * k, row[i], variance, 1.0, error) for k, row in enumerate(table) if row[i] is not None]
        for i in range(len(table[0]))
    ]


# ---------------------------------------------------------------------- variance components by hand
def test_the_variance_between_periods_of_one_candidate_by_hand() -> None:
    """0, 0.03, 0.06: mean 0.03, variance 9e-4; three periods, two degrees of freedom; nothing else varies."""
    (own,) = [ratio_estimates(looks([[0.0], [0.03], [0.06]]), 0.95)]
    assert own.centre[0] == pytest.approx(0.03) and own.periods[0] == own.processes[0] == 3
    assert own.wide[0] == pytest.approx(stats.t.ppf(0.975, 2) * math.sqrt(2 * 9e-4 / 3))
    # more of the same at once would be worth it as long as this is wide
    assert own.precision[0] == pytest.approx(math.expm1(stats.t.ppf(0.975, 2) * math.sqrt(9e-4 / 3)))


def test_confidence_is_that_of_the_t_distribution() -> None:
    wide = [ratio_estimates(looks([[0.0], [0.03], [0.06]]), c).wide[0] for c in (0.9, 0.95)]
    assert wide[1] / wide[0] == pytest.approx(stats.t.ppf(0.975, 2) / stats.t.ppf(0.95, 2))


def test_the_variance_of_three_candidates_by_hand() -> None:
    """Only the third differs: 0, 0.06, 0 over three periods, around 0.02: (2 · 0.02² + 0.04²) / 2 = 12e-4.

    A row's shift is the median of its three and takes a third of each deviation away, so it counts 3 / 2 times: 18e-4. It
    is the only one that varies, so it is drawn to no other. Shifts are 0: the reference's variance is that of its own
    errors, 0, with two degrees, and the observed 0.
    """
    found = ratio_estimates(looks([[0.0, 0.0, 0.0], [0.0, 0.0, 0.06], [0.0, 0.0, 0.0]]), 0.95)
    assert found.centre.tolist() == pytest.approx([0.0, 0.0, 0.02])
    assert found.wide[2] == pytest.approx(stats.t.ppf(0.975, 2) * math.sqrt(2 * 18e-4 / 3))
    assert found.wide[0] == found.wide[1] == 0.0


def test_what_shifts_a_row_as_a_whole_is_the_references_and_widens_all() -> None:
    """Rows shifted by -0.02, 0, 0.02: variance 4e-4 on two degrees, beside the reference's own error of 0 on two."""
    found = ratio_estimates(looks([[x, x, x] for x in (-0.02, 0.0, 0.02)]), 0.95)
    assert found.centre.tolist() == pytest.approx([0.0] * 3)
    reference = (2 * 0.0 + 2 * 4e-4) / 4
    assert found.wide.tolist() == pytest.approx([stats.t.ppf(0.975, 2) * math.sqrt(2 * reference / 3)] * 3)
    assert found.precision.tolist() == pytest.approx([0.0] * 3)  # more processes of these would not help them


def test_the_references_own_error_counts_four_times_where_it_is_all_that_is_known() -> None:
    found = ratio_estimates(looks([[0.0], [0.0], [0.0]], error=0.01), 0.95)
    assert found.wide[0] == pytest.approx(stats.t.ppf(0.975, 2) * math.sqrt(2 * 4 * 1e-4 / 3))


@pytest.mark.parametrize(("n", "reference"), [(6, 0.0), (8, 0.4)])
def test_many_candidates_say_how_much_the_reference_varies_since_it_is_a_model_as_they_are(n, reference) -> None:
    """Half of them go +, +, -, - by 0.01 and the others the other way: variance 4/3 · 1e-4, times n / (n - 1) for shifts.

    Of variances on three degrees that are all alike Smyth's estimate is that many times more: what logarithms of such
    variances lie too low by. All of that is one movement, so t has three degrees. Shifts are 0; the reference of eight candidates counts as one of
    them, with two degrees beside the three of the shifts: 2 / 5 of their variance.
    """
    table = [[0.01 * row * (-1) ** i for i in range(n)] for row in (1, 1, -1, -1)]
    found = ratio_estimates(looks(table), 0.95)
    own = 4e-4 / 3 * n / (n - 1) * math.exp(math.log(1.5) - special.digamma(1.5))
    expected = stats.t.ppf(0.975, 3) * math.sqrt(2 * (1 + reference) * own / 4)
    assert found.wide.tolist() == pytest.approx([expected] * n)


def test_loads_of_one_process_tell_where_nothing_else_does() -> None:
    """Their variance of 1e-4 counts four times, on two degrees of freedom; without loads a virtual machine's does."""
    found = ratio_estimates(looks([[0.0]], variance=1e-4), 0.95)
    assert found.wide[0] == pytest.approx(stats.t.ppf(0.975, 2) * math.sqrt(2 * 4e-4))
    blind = ratio_estimates(looks([[0.0]], variance=math.nan), 0.95)
    assert blind.wide[0] == pytest.approx(stats.t.ppf(0.975, 2) * math.sqrt(2 * UNKNOWN_VAR))


def test_processes_of_one_period_are_one_look_with_four_times_their_variance() -> None:
    """Three candidates, four processes within 15 s, each ±0.01: variance 4/3 · 1e-4, times 3/2 for the shift taken."""
    signs = [[1, 1, -1], [-1, -1, 1], [1, -1, 1], [-1, 1, -1]]
    table = [[0.01 * s for s in row] for row in signs]
    burst = ratio_estimates(looks(table, seconds=3.0), 0.95)
    apart = ratio_estimates(looks(table, seconds=20.0), 0.95)
    assert burst.periods.tolist() == [1] * 3 and apart.periods.tolist() == [4] * 3
    assert (burst.wide > 1.5 * apart.wide).all()
    np.testing.assert_allclose(
        burst.precision, apart.precision
    )  # the same looks, as far as more of them at once matter


def test_two_periods_are_drawn_to_what_is_known_within_them() -> None:
    """0 and 0.06: variance 18e-4 on one degree, with the loads' four times 1e-4 on two: (18e-4 + 2 · 4e-4) / 3."""
    found = ratio_estimates(looks([[0.0], [0.06]], variance=1e-4), 0.95)
    assert found.wide[0] == pytest.approx(stats.t.ppf(0.975, 2) * math.sqrt(2 * (18e-4 + 8e-4) / 3 / 2))


def test_candidates_that_move_alike_are_no_more_freedom_and_those_that_do_not_are() -> None:
    """Six candidates in four periods, all of the same variance: one movement has t of three degrees, three have of nine."""
    alike = [[0.01 * row * (-1) ** i for i in range(6)] for row in (1, 1, -1, -1)]
    three = [(1, 1, -1, -1), (1, -1, 1, -1), (1, -1, -1, 1)]  # orthogonal to each other, with two candidates each
    each = [[0.01 * way * three[k][row] for k in range(3) for way in (1, -1)] for row in range(4)]
    one, many = (ratio_estimates(looks(t), 0.95).wide[0] for t in (alike, each))
    assert one / many == pytest.approx(stats.t.ppf(0.975, 3) / stats.t.ppf(0.975, 9))


# ---------------------------------------------------------------------- rows
def test_rows_that_share_no_candidate_are_not_shifted_against_each_other() -> None:
    """Two groups, each in rows of its own; whatever their level, each keeps its mean."""
    nan = math.nan
    y = np.array([[1.0, 1.1, 1.2, nan, nan, nan], [1.1, 1.2, 1.3, nan, nan, nan], [nan, nan, nan, 5.0, 5.3, 5.1]])
    shift = row_shifts(y, np.array([True, True, True]))
    assert shift.tolist() == pytest.approx([-0.05, 0.05, 0.0])
    # and a row that is tied to both through a candidate of each makes all one
    tied = np.vstack([y, [nan, nan, 1.3, 5.1, nan, nan]])
    assert abs(row_shifts(tied, np.ones(4, dtype=bool)).mean()) < 1e-12


def test_a_row_of_few_candidates_is_taken_as_it_is() -> None:
    assert row_shifts(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([True, False])).tolist() == [0.0, 0.0]


def test_looks_may_come_in_any_order_and_a_candidate_without_any_has_no_estimate() -> None:
    table = [[0.0, 0.1], [0.03, 0.1], [0.05, 0.2]]
    some = looks(table)
    found = ratio_estimates([*some, []], 0.95)
    again = ratio_estimates([some[0][::-1], some[1], []], 0.95)
    np.testing.assert_allclose(found.wide, again.wide)
    assert np.isnan([found.centre[2], found.wide[2], found.precision[2]]).all()
    assert found.periods.tolist() == [3, 3, 0]


def test_processes_that_a_coarse_clock_does_not_tell_apart_are_told_by_their_order() -> None:
    same = [[Look(0.0, x, math.nan, 1.0, 0.0) for x in own] for own in ([0.0, 0.02], [0.0, 0.02], [0.1, 0.12])]
    found = ratio_estimates(same, 0.95)
    assert found.processes.tolist() == [2, 2, 2] and found.centre.tolist() == pytest.approx([0.01, 0.01, 0.11])


# ---------------------------------------------------------------------- coverage
def host(rng: np.random.Generator, n: int, periods: int, each: int, own: float, shared: float, within: float):
    """Candidates' looks with effects of period × model, period × reference and process × model, all normal."""
    model, reference = own * rng.standard_normal((periods, n)), shared * rng.standard_normal(periods)
    table = [
        (model[p] - reference[p] + within * rng.standard_normal(n), 60.0 * p + 4.0 * k)
        for p in range(periods)
        for k in range(each)
    ]
    return [[Look(at, float(row[i]), within**2 / 2, 1.0, within / 2) for row, at in table] for i in range(n)]


@pytest.mark.parametrize(
    ("n", "periods", "each", "own", "shared", "within"),
    [
        (20, 4, 1, 0.05, 0.05, 0.02),
        (20, 6, 2, 0.01, 0.01, 0.01),
        (4, 4, 1, 0.03, 0.01, 0.01),
        (12, 3, 1, 0.02, 0.02, 0.002),
    ],
)
def test_another_campaign_is_found_within_the_interval(n, periods, each, own, shared, within) -> None:
    """95 % intervals hold about that many of another campaign; half as wide, and they hold far fewer."""
    rng = np.random.default_rng(3)
    held, half = [], []
    for _ in range(120):
        a, b = (ratio_estimates(host(rng, n, periods, each, own, shared, within), 0.95) for _ in range(2))
        apart = np.abs(a.centre - b.centre)
        held.append((apart <= a.wide).mean())
        half.append((apart <= a.wide / 2).mean())
    assert 0.93 <= np.mean(held) <= 0.99
    assert np.mean(half) < 0.87


def test_a_burst_on_a_host_that_holds_its_effects_for_a_while_is_as_honest_as_it_says() -> None:
    """Two in a row correlate by .6, as on a virtual machine: two processes at once, two campaigns at other times."""
    rng = np.random.default_rng(4)

    def burst():
        held, fresh = rng.standard_normal(20), rng.standard_normal((2, 20))
        table = 0.05 * (math.sqrt(0.6) * held + math.sqrt(0.4) * fresh)
        return [[Look(4.0 * k, float(table[k, i]), math.nan, 1.0, 0.0) for k in range(2)] for i in range(20)]

    held = []
    for _ in range(150):
        a, b = (ratio_estimates(burst(), 0.95) for _ in range(2))
        held.append((np.abs(a.centre - b.centre) <= a.wide).mean())
    assert 0.93 <= np.mean(held) <= 0.999
