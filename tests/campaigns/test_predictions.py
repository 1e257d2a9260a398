"""Fitted predictors: their files, and intervals of any coverage."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import predictors
from hwsearch.campaigns.predictions import predict, predictor_errors, predictor_path
from hwsearch.errors import CampaignError, PredictorError
from hwsearch.spaces import Choice, SearchSpace
from predictors import RidgePredictor

SPACE = SearchSpace("tiny", [Choice("depth", (1, 2, 3, 4)), Choice("width", (8, 16, 32, 64))])
ARCHS = SPACE.sample(12, np.random.default_rng(0))


@pytest.fixture
def campaign(tmp_path):
    (tmp_path / "predictors").mkdir()
    net = SimpleNamespace(features_array=lambda rows: (rows.astype(float), None))
    return SimpleNamespace(folder=tmp_path, loaded=SimpleNamespace(net=net), space=SPACE)


@pytest.mark.parametrize("device, name", [("board", "latency_ms@board.zip"), (None, "latency_ms.zip")])
def test_a_predictor_has_a_file_for_its_metric_and_device(campaign, device, name) -> None:
    assert predictor_path(campaign, "latency_ms", device) == campaign.folder / "predictors" / name


def test_what_was_fitted_is_predicted_with_its_interval(campaign) -> None:
    with pytest.raises(CampaignError, match=r"no fitted predictor of latency_ms\. Run 'hwsearch fit'"):
        predict(campaign, "latency_ms", "board", ARCHS)
    X = SPACE.to_array(ARCHS).astype(float)
    y = 1 + X @ [2.0, 3.0]
    predictors.save(RidgePredictor(alpha=1e-9).fit(X, y), predictor_path(campaign, "latency_ms", "board"))
    found = predict(campaign, "latency_ms", "board", ARCHS, 0.8)
    np.testing.assert_allclose(found["value"], y, rtol=1e-4)
    assert (found["low"] <= found["value"]).all() and (found["value"] <= found["high"]).all()


def test_a_damaged_file_says_what_to_do(campaign) -> None:
    predictor_path(campaign, "accuracy", None).write_bytes(b"no archive")
    with pytest.raises(PredictorError, match=r"the predictor of accuracy cannot be used: .*Run 'hwsearch fit'"):
        predict(campaign, "accuracy", None, ARCHS)


def test_errors_of_predictors_become_ours_and_keep_their_hint_where_there_is_no_other() -> None:
    with pytest.raises(PredictorError, match=r"the fit: too few rows\. Measure more"), predictor_errors("the fit"):
        raise predictors.PredictorError("too few rows.", hint="Measure more.")
    with pytest.raises(PredictorError) as caught, predictor_errors("the fit", hint="Fit anew."):
        raise predictors.PredictorError("too few rows.", hint="Measure more.")
    assert caught.value.hint == "Fit anew."
