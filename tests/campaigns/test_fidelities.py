"""Scores on few examples as a fidelity of the accuracy."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from hwsearch.campaigns.fidelities import NAME, screened_candidate
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.purpose import SEARCH
from hwsearch.campaigns.search_config import FEWEST
from hwsearch.campaigns.split import Split
from hwsearch.spaces import Choice, SearchSpace
from predictors import CrossValidatedPredictor, FidelityPredictor, card_of, default_candidates

SPACE = SearchSpace("toy", [Choice(f"w[{i}]", (1, 2, 3)) for i in range(8)])


def test_screened_scores_are_learnt_from() -> None:
    archs = SPACE.sample(120, np.random.default_rng(0))
    rows = SPACE.to_array(archs)
    X, schema = SPACE.encode_array(rows), SPACE.schema()
    # an effect that no part of the kernel has, so that rows alone tell little
    y = 70 + np.random.default_rng(1).normal(size=120)
    few = y + 0.1 * np.random.default_rng(2).normal(size=120)
    net = SimpleNamespace(features_array=lambda rows: (SPACE.encode_array(rows), None))
    campaign = SimpleNamespace(
        space=SPACE,
        loaded=SimpleNamespace(net=net),
        data={Split.SCREEN: range(256), Split.VALIDATION: range(1000)},
    )

    def known(n: int) -> Known:
        scores = {a.id: SimpleNamespace(value=float(v)) for a, v in zip(archs[:n], few[:n], strict=True)}
        return Known(architectures={a.id: a for a in archs}, scores={(Split.SCREEN, SEARCH): scores})

    assert screened_candidate(campaign, known(FEWEST - 1), 0, schema) == {}
    found = screened_candidate(campaign, known(120), 0, schema)
    assert list(found) == [NAME] and isinstance(found[NAME], FidelityPredictor)
    made = default_candidates(True, 0, schema) | found
    model = CrossValidatedPredictor(made).fit(X[:40], y[:40])
    assert model.best_ == NAME and abs(model.predict(X[40:]) - y[40:]).mean() < 0.3
    card = card_of(model, metric="accuracy", unit="points", schema=schema)
    assert list(card["fidelities"]) == ["accuracy on 256 examples"] and min(card["fidelities"].values()) > 0.5
