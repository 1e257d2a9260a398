"""The tables [profile], [search] and [validate]: bounds, each at the last value allowed and the first refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hwsearch.campaigns.search_config import FEWEST, ProfileConfig, SearchConfig, ValidateConfig


@pytest.mark.parametrize(
    "model, good, bad, words",
    [
        (ProfileConfig, {"latency": 48}, {"latency": 47}, "accuracy must not exceed latency"),
        (ProfileConfig, {"accuracy": 22}, {"accuracy": 21}, "random must leave two of the evaluated subnets"),
        (ProfileConfig, {"accuracy": FEWEST, "random": 0}, {"accuracy": FEWEST - 1, "random": 0}, "greater than"),
        (SearchConfig, {"rounds": 0}, {"rounds": -1}, "greater than"),
        (SearchConfig, {"per_round": 1}, {"per_round": 0}, "greater than"),
        (SearchConfig, {"stop_gain": 0.0}, {"stop_gain": 1.0}, "less than"),
        (SearchConfig, {"screening_factor": 100}, {"screening_factor": 101}, "less than"),
        (ValidateConfig, {"candidates": 2}, {"candidates": 1}, "greater than"),
        (ValidateConfig, {"race_error": 0.49}, {"race_error": 0.5}, "less than"),
        (ValidateConfig, {"race_error": None}, {"race_error": 0.0}, "greater than"),
        (ValidateConfig, {"processes": (3, 3)}, {"processes": (3, 2)}, "the first not larger"),
        (ValidateConfig, {"membership": 0.5}, {"membership": 0.49}, "greater than"),
        (ValidateConfig, {"membership": 0.99}, {"membership": 1.0}, "less than"),
        (ValidateConfig, {"race_tolerance": 10}, {"race_tolerance": 10.1}, "less than"),
    ],
)
def test_bounds(model, good, bad, words) -> None:
    model(**good)
    with pytest.raises(ValidationError, match=words):
        model(**bad)


@pytest.mark.parametrize(
    "options, words",
    [
        ({"screening_metrics": []}, "screening_metrics is empty"),
        ({"screening_images": 10}, "screening_images = 10 is given, but screening_metrics does not name accuracy"),
        (
            {"screening_factor": 2, "screening_metrics": ["latency", "accuracy"]},
            "screening_metrics names all there is to measure",
        ),
        ({"prefer": "reference"}, "prefer = 'reference' needs reference"),
        ({"reference": {"latency": 2.0}}, "reference is given, but prefer = 'front'"),
        (
            {"prefer": "reference", "reference": {"latency": float("inf")}},
            "reference.latency\\n  Input should be a finite number",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(options, words) -> None:
    with pytest.raises(ValidationError, match=words):
        SearchConfig(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"screening_images": 10, "screening_metrics": ["accuracy"]},
        {"screening_factor": 2, "screening_metrics": ["latency", "accuracy"], "screening_images": 5},
        {"screening_factor": 1, "screening_metrics": ["latency", "accuracy"]},
        {"prefer": "reference", "reference": {"latency": 2.0}},
        {"prefer": "knee"},
    ],
)
def test_settings_that_fit_are_taken(options) -> None:
    assert SearchConfig(**options).model_dump().items() >= options.items()


def test_unknown_keys_and_later_changes_are_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        SearchConfig(round=3)
    with pytest.raises(ValidationError, match="frozen"):
        SearchConfig().rounds = 4
