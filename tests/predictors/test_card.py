"""Cards: what a predictor was learnt from, and how good it is."""

from __future__ import annotations

import json

import numpy as np
import pytest

from predictors import CrossValidatedPredictor, RidgePredictor, Schema, card_of, read_card, save
from predictors.card import rows_digest

GENES = Schema.from_names([f"w[{i}]={v}" for i in range(12) for v in (1, 2, 3)])


def test_a_card_says_what_the_predictor_is(task, tmp_path) -> None:
    X, y = task(30)
    ours = CrossValidatedPredictor(schema=GENES).fit(X, y)
    rows = [(f"a{i}", float(v), None) for i, v in enumerate(y)]
    card = card_of(ours, metric="accuracy", unit="points", space="toy", schema=GENES, rows=rows, warnings=["Look out."])
    assert card["model"] == "gaussian-process" and card["n"] == 30 and card["coverage"] is None
    assert card["schema_sha256"] == GENES.digest and card["rows_sha256"] == rows_digest(rows[::-1])
    assert card["scores"] == ours.procedure_scores_ | {"mae_standard_error": ours.mae_error_}
    assert card["candidates"] == ours.scores_
    assert min(card["parts"].values()) >= 1e-3 and sum(card["parts"].values()) == pytest.approx(1.0, abs=0.05)
    assert 0 < card["noise_sd"] < np.std(y)
    assert card["warnings"][0] == "Look out." and "No cost features" in card["warnings"][-1]
    assert set(card["versions"]) >= {"numpy", "scikit-learn"}
    save(ours, tmp_path / "p.zip", card)
    assert json.dumps(read_card(tmp_path / "p.zip"), sort_keys=True) == json.dumps(card, sort_keys=True)


def test_a_card_of_another_predictor_has_no_parts(task) -> None:
    X, y = task(20)
    card = card_of(RidgePredictor().fit(X, y), metric="latency_ms", unit="ms", device="abc")
    assert card["model"] == "RidgePredictor" and card["parts"] is None and card["scores"] is None
    assert card["device"] == "abc" and card["warnings"] == []


def test_rows_are_hashed_with_value_and_noise() -> None:
    rows = [("a", 1.0, None), ("b", 2.0, 0.1)]
    others = [
        [("a", 1.0, None)],
        [("a", 1.0, None), ("b", 2.5, 0.1)],
        [("a", 1.0, None), ("b", 2.0, 0.2)],
        [("c", 1.0, None), ("b", 2.0, 0.1)],
    ]
    assert len({rows_digest(r) for r in [rows, *others]}) == 5
