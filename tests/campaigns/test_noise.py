"""Errors of measured values, and draws of the true ones, worked by hand. An interval of ±1.96 √2 % is an error of 1 %."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import MeasuredSet, shares
from hwsearch.campaigns.noise import draws, measurement_noise
from hwsearch.campaigns.purpose import SEARCH
from hwsearch.objectives.objective import Objective
from hwsearch.store import Measurement

#: half width, as a logarithm, of the 95 % interval of a value whose logarithm has a standard error of 1
UNIT = 1.959963984540054 * math.sqrt(2)


def latency(arch_id: str, value: float, error: float, *, ratio_error: float | None = None) -> Measurement:
    low, high = (value * math.exp(s * UNIT * error) for s in (-1, 1))
    details = {}
    if ratio_error is not None:
        details = {f"ratio_{end}": value * math.exp(s * UNIT * ratio_error) for end, s in (("low", -1), ("high", 1))}
    return Measurement(arch_id, "latency_ms", "d", "p", "search", value, "ms", low=low, high=high, details=details)


def view(objectives, devices=("one",), weights=(1.0,), joint=False):
    protocol = SimpleNamespace(confidence=0.95)
    weights = np.array(weights)
    return SimpleNamespace(
        campaign=SimpleNamespace(protocol=protocol, final_protocol=protocol),
        objectives=objectives,
        front_objectives=objectives,
        targets=[SimpleNamespace(name=d) for d in devices],
        weights=weights,
        joint=joint,
        shares=lambda values, scales: shares(values, scales, weights),
    )


ACCURACY, LATENCY = Objective("accuracy"), Objective("latency")


def test_a_latency_is_known_as_well_as_its_ratio_and_a_score_is_left_to_others() -> None:
    rows = {"a": latency("a", 2.0, 0.05, ratio_error=0.01), "b": latency("b", 3.0, 0.02)}
    known = Known(on_devices={("one", "latency_ms", SEARCH): rows})
    measured = MeasuredSet(pd.DataFrame({"arch_id": ["a", "b", "c"]}))
    found = measurement_noise(view([ACCURACY, LATENCY]), measured, known)
    assert np.isnan(found[:, 0]).all()
    np.testing.assert_allclose(found[:2, 1], [2.0 * 0.01, 3.0 * 0.02])
    assert math.isnan(found[2, 1])


def joint(name: str) -> tuple:
    objectives = [Objective(name, "min")]
    known = Known(
        on_devices={
            ("one", "latency_ms", SEARCH): {"a": latency("a", 4.0, 0.01), "b": latency("b", 1.0, 0.01)},
            ("two", "latency_ms", SEARCH): {"a": latency("a", 6.0, 0.03), "b": latency("b", 12.0, 0.03)},
        }
    )
    frame = pd.DataFrame({"arch_id": ["a", "b"], "latency_ms@one": [4.0, 1.0], "latency_ms@two": [6.0, 12.0]})
    measured = MeasuredSet(frame, scales=np.array([2.0, 6.0]))
    return view(objectives, ("one", "two"), (1.0, 3.0), joint=True), measured, known


def test_a_worst_share_has_the_error_of_the_worst_device() -> None:
    found = measurement_noise(*joint("latency_share_worst"))
    # a: 4/2 = 2 beats 6/6 = 1, error 4 · 1 % / 2; b: 12/6 = 2 beats 1/2, error 12 · 3 % / 6
    np.testing.assert_allclose(found[:, 0], [0.02, 0.06])


def test_a_weighted_share_adds_the_errors_of_the_devices_as_squares() -> None:
    found = measurement_noise(*joint("latency_share_weighted"))
    # a: devices 4 · 1 % / 2 = 0.02 and 6 · 3 % / 6 = 0.03, with weights 1/4 and 3/4
    by_hand = [math.hypot(0.02 / 4, 0.03 * 3 / 4), math.hypot(0.005 / 4, 0.06 * 3 / 4)]
    np.testing.assert_allclose(found[:, 0], by_hand)


ONES = SimpleNamespace(standard_normal=lambda shape: np.ones(shape))


def final(**columns) -> MeasuredSet:
    return MeasuredSet(pd.DataFrame({"arch_id": ["a", "b"], **columns}), scales=np.array([2.0, 6.0]))


def ends(values, error, name):
    low, high = ([v * math.exp(s * UNIT * error) for v in values] for s in (-1, 1))
    return {name.format("low"): low, name.format("high"): high}


def test_a_latency_is_drawn_with_the_error_of_its_ratio_and_a_score_stays_with_its_sign() -> None:
    measured = final(
        accuracy=[90.0, 80.0],
        latency_ms=[2.0, 3.0],
        **ends([2.0, 3.0], 0.5, "latency_ms_{}"),
        **ends([2.0, 3.0], 0.1, "latency_ms_ratio_{}"),
    )
    found = draws(view([ACCURACY, LATENCY]), measured, 4, ONES)
    assert found.shape == (4, 2, 2)
    np.testing.assert_allclose(found[0], [[-90.0, 2.0 * math.exp(0.1)], [-80.0, 3.0 * math.exp(0.1)]])


def test_another_metric_is_drawn_with_the_error_of_its_own_interval_and_without_one_it_stays() -> None:
    energy = Objective("energy_mj")
    measured = final(energy_mj=[5.0, 6.0], **ends([5.0, 6.0], 0.2, "energy_mj_{}"))
    np.testing.assert_allclose(draws(view([energy]), measured, 1, ONES)[0, :, 0], np.array([5, 6]) * math.exp(0.2))
    np.testing.assert_array_equal(draws(view([energy]), final(energy_mj=[5.0, 6.0]), 3, ONES)[2, :, 0], [5, 6])


def test_values_below_one_are_drawn_with_their_error_too() -> None:
    measured = final(
        latency_ms=[0.2, 0.5], **ends([0.2, 0.5], 0.1, "latency_ms_ratio_{}"), latency_ms_low=0, latency_ms_high=1
    )
    np.testing.assert_allclose(draws(view([LATENCY]), measured, 1, ONES)[0, :, 0], np.array([0.2, 0.5]) * math.exp(0.1))


def test_draws_of_one_subnet_for_all_devices_are_of_the_devices() -> None:
    v = view([Objective("latency_share_worst", "min")], ("one", "two"), (1.0, 3.0), joint=True)
    columns = {"latency_ms@one": [4.0, 1.0], "latency_ms@two": [6.0, 12.0]}
    columns |= ends([4.0, 1.0], 0.1, "latency_ms_{}@one") | ends([6.0, 12.0], 0.3, "latency_ms_{}@two")
    found = draws(v, final(**columns), 1, ONES)
    np.testing.assert_allclose(found[0, :, 0], [2 * math.exp(0.1), 2 * math.exp(0.3)])


def test_draws_are_independent_of_each_other_and_have_the_wanted_scatter() -> None:
    measured = final(
        latency_ms=[2.0, 3.0],
        **ends([2.0, 3.0], 0.1, "latency_ms_ratio_{}"),
        latency_ms_low=[1, 1],
        latency_ms_high=[9, 9],
    )
    found = np.log(draws(view([LATENCY]), measured, 4000, np.random.default_rng(0))[:, :, 0])
    assert found.std(axis=0) == pytest.approx([0.1, 0.1], rel=0.05)
    assert abs(np.corrcoef(found.T)[0, 1]) < 0.05
