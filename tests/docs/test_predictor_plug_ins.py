"""Candidates of `fit` come from installed plug-ins, too; a name that is taken is an error."""

from __future__ import annotations

import pytest

from hwsearch.campaigns.steps import fit
from hwsearch.errors import PredictorError
from predictors import RidgePredictor, default_candidates


def make(positive: bool, seed: int) -> RidgePredictor:
    return RidgePredictor(alpha=2.0, log_target=positive)


class Point:
    """Stands in for an entry point."""

    value = "somewhere:make"

    def __init__(self, name: str) -> None:
        self.name = name

    def load(self):
        return make


@pytest.mark.parametrize("positive", [True, False])
def test_a_plug_in_is_one_more_candidate(monkeypatch: pytest.MonkeyPatch, positive: bool) -> None:
    assert list(fit.candidates(positive, 0)) == list(default_candidates(positive, 0))
    monkeypatch.setattr(fit, "entry_points", lambda group: [Point("mine")])
    found = fit.candidates(positive, 0)
    assert list(found) == [*default_candidates(positive, 0), "mine"]
    assert found["mine"].get_params()["log_target"] is positive


def test_a_name_that_is_taken_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "entry_points", lambda group: [Point("ridge")])
    with pytest.raises(PredictorError, match=r"two predictors are named 'ridge'.*somewhere:make"):
        fit.candidates(True, 0)
