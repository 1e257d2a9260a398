"""Candidates of `fit` come from installed plug-ins, too; a name that is taken is an error."""

from __future__ import annotations

import sys

import pytest

from hwsearch.campaigns import predictions
from hwsearch.errors import PluginError, PredictorError
from hwsearch.registry import Registry
from predictors import RidgePredictor, default_candidates


def make(positive: bool, seed: int) -> RidgePredictor:
    return RidgePredictor(alpha=2.0, log_target=positive)


def install(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(Registry, "names", lambda self: [name])
    monkeypatch.setattr(Registry, "load", lambda self, name, **_: make)


@pytest.mark.parametrize("positive", [True, False])
def test_a_plug_in_is_one_more_candidate(monkeypatch: pytest.MonkeyPatch, positive: bool) -> None:
    assert list(predictions.candidates(positive, 0)) == list(default_candidates(positive, 0))
    install(monkeypatch, "mine")
    found = predictions.candidates(positive, 0)
    assert list(found) == [*default_candidates(positive, 0), "mine"]
    assert found["mine"].get_params()["log_target"] is positive


def test_a_name_that_is_taken_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "ridge")
    with pytest.raises(PredictorError, match="two predictors are named 'ridge'"):
        predictions.candidates(True, 0)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (
            lambda positive: RidgePredictor(),
            r"predictor 'mine' cannot be made: TypeError.*a function of positive and seed",
        ),
        (lambda positive, seed: sys.exit(3), "predictor 'mine' cannot be made: SystemExit: 3"),
        (lambda positive, seed: None, "predictor 'mine' must be a BasePredictor, got NoneType"),
    ],
)
def test_a_function_that_does_something_else_is_named(monkeypatch: pytest.MonkeyPatch, function, words: str) -> None:
    monkeypatch.setattr(Registry, "names", lambda self: ["mine"])
    monkeypatch.setattr(Registry, "load", lambda self, name, **_: function)
    with pytest.raises(PluginError, match=words):
        predictions.candidates(True, 0)
