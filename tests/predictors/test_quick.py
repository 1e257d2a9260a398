"""Means of many rows: the same as those of few, but for rounding."""

from __future__ import annotations

import numpy as np
import pytest

from predictors import FidelityPredictor, GaussianProcessPredictor, Schema
from predictors.base import BLOCK

GENES = Schema.from_names([f"w[{i}]={v}" for i in range(12) for v in (1, 2, 3)])


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("given", [None, "fidelity"])
def test_many_rows_are_predicted_as_few_are(task, log: bool, given: str | None) -> None:
    X, y = task(80, log=log)
    new, cheap = task(BLOCK + 300, seed=3, log=log)
    model = (
        FidelityPredictor(GENES, {"cheap": (new[:50], cheap[:50])}, interval_folds=0)
        if given
        else GaussianProcessPredictor(GENES, interval_folds=0)
    ).fit(X, y)
    together = model._means(new)
    apart = np.concatenate([model._means(new[k : k + 500]) for k in range(0, len(new), 500)])
    np.testing.assert_allclose(together, apart, atol=5e-4)


def test_facts_and_few_parts(task) -> None:
    X = np.random.default_rng(0).normal(size=(BLOCK + 10, 3))
    y = np.exp(0.3 * X[:, 0]) + X[:, 1] ** 2
    model = GaussianProcessPredictor(interval_folds=0).fit(X[:100], y[:100])
    together, apart = model._means(X), np.concatenate([model._means(X[:1000]), model._means(X[1000:])])
    np.testing.assert_allclose(together, apart, atol=5e-4)
