"""What is measured less, in which order, and no more than needed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsearch.campaigns.budget.reduction import LEAST_VISITS, LEVERS, STAGES, fitting, reduced
from hwsearch.campaigns.budget.settings import get_setting, planned_settings, with_settings
from hwsearch.campaigns.config import CampaignConfig
from hwsearch.campaigns.search_config import FEWEST

DEMO = CampaignConfig.model_validate(
    {
        "device": ({"name": "cpu"},),
        "data": {"validation_images": 1200, "test_images": 2500},
        "profile": {"latency": 120, "accuracy": 48, "random": 20},
        "search": {"rounds": 3},
        "validate": {"processes": (4, 8), "rounds": 1, "candidates": 24},
    }
)


def test_nothing_is_lowered_where_all_fits() -> None:
    less = reduced(DEMO, {}, 0.0, "profile")
    assert less.config == DEMO and less.settings == {} and less.visits == 1.0


def test_repeats_go_first_then_examples_then_subnets_then_time() -> None:
    keys = [set(reduced(DEMO, {}, float(n), "profile").settings) for n in range(STAGES + 1)]
    assert keys[1] == {"validate.rounds", "validate.processes"}
    assert keys[2] - keys[1] == {"data.validation_images", "data.test_images"}
    assert keys[3] - keys[2] == {
        "profile.latency", "profile.accuracy", "profile.random", "search.rounds", "validate.candidates",
    }  # fmt: skip
    assert keys[4] == keys[3]
    assert reduced(DEMO, {}, 3.0, "profile").visits == 1.0
    assert reduced(DEMO, {}, 4.0, "profile").visits == pytest.approx(LEAST_VISITS)


def test_the_least_by_hand() -> None:
    assert reduced(DEMO, {}, 4.0, "profile").settings == {
        "validate.rounds": 0,
        "validate.processes": [2, 2],
        "data.validation_images": 360,
        "data.test_images": 750,
        "profile.latency": 30,
        "profile.accuracy": 16,
        "profile.random": 7,
        "search.rounds": 1,
        "validate.candidates": 8,
    }
    assert reduced(DEMO, {}, 0.5, "profile").settings["validate.processes"] == [3, 5]


def test_what_has_begun_stays_as_it_was() -> None:
    kept = reduced(DEMO, {}, 2.5, "profile").settings
    later = reduced(DEMO, kept, 0.0, "search")
    assert later.settings == {
        k: kept[k] for k in ("data.validation_images", "profile.latency", "profile.accuracy", "profile.random")
    }
    assert reduced(DEMO, {}, 4.0, "validate").config.search.rounds == DEMO.search.rounds


@settings(deadline=None, max_examples=60)
@given(
    amount=st.floats(0, STAGES),
    latency=st.integers(FEWEST, 300),
    data=st.data(),
)
def test_every_reduction_is_a_legal_configuration_that_asks_for_no_more(
    amount: float, latency: int, data: st.DataObject
) -> None:
    accuracy = data.draw(st.integers(FEWEST, latency))
    asked = CampaignConfig.model_validate(
        {
            "device": ({"name": "cpu"},),
            "data": {
                "validation_images": data.draw(st.integers(10, 5000)),
                "test_images": data.draw(st.integers(10, 9000)),
            },
            "profile": {"latency": latency, "accuracy": accuracy, "random": data.draw(st.integers(0, accuracy - 2))},
            "search": {"rounds": data.draw(st.integers(0, 9))},
            "validate": {"processes": (1, data.draw(st.integers(1, 9))), "candidates": data.draw(st.integers(2, 99))},
        }
    )
    less = reduced(asked, {}, amount, "profile")
    assert with_settings(asked, less.settings) == less.config
    for lever in LEVERS:
        now, before = get_setting(less.config, lever.key), get_setting(asked, lever.key)
        assert now <= before and (now < before) == (lever.key in less.settings)  # type: ignore[operator]


def test_no_more_is_lowered_than_the_budget_needs() -> None:
    seconds = lambda amount: 100 - 10 * amount  # noqa: E731
    assert fitting(seconds, 100) == 0.0
    assert fitting(seconds, 85) == pytest.approx(1.5, abs=1e-5)
    assert seconds(fitting(seconds, 85)) <= 85
    assert fitting(seconds, 10) == STAGES


def test_settings_are_those_of_the_last_point() -> None:
    plan = {"points": [{"settings": {"search.rounds": 2}}, {"settings": {"search.rounds": 1}}]}
    assert planned_settings(plan) == {"search.rounds": 1}
    assert planned_settings(None) == {} and planned_settings({"points": []}) == {}


@pytest.mark.parametrize(
    ("search", "images"),
    [
        ({"fidelities": [0, 250]}, 500),  # twice as many as on the largest lower level, where 360 would be left
        ({"fidelities": [0, 100]}, 360),
        ({"fidelities": [0, 250, 2000]}, 500),  # 2,000 are all here
        ({"fidelities": [0, 700]}, 1200),
        ({"screening_factor": 2, "screening_metrics": ["accuracy"], "screening_images": 400}, 800),
    ],
)
def test_examples_stay_more_than_the_first_ones(search: dict, images: int) -> None:
    changed = DEMO.search.model_validate(DEMO.search.model_dump() | search)
    asked = DEMO.model_copy(update={"search": changed})
    less = reduced(asked, {}, 4.0, "profile")
    assert less.config.data.validation_images == images
    assert less.settings.get("data.validation_images", 1200) == images
