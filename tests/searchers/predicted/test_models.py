"""The regressors of the published tactics against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV

from hwsearch.errors import SearchError
from hwsearch.searchers.predicted.models import ALPHAS, KINDS, RidgeOrSvr, make_model


def test_ridge_of_linas_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    x, alpha = rng.normal(size=(30, 8)), float(ALPHAS[41])
    y = 50 + x @ rng.normal(size=8) + rng.normal(size=30)
    own = RidgeOrSvr._solved(x, y, np.array([alpha]))
    assert np.allclose(own[0][0] @ x.T + own[1][0], Ridge(alpha=alpha).fit(x, y).predict(x))


def test_linas_chooses_the_strength_that_a_grid_search_does() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(25, 6))
    y = 70 + x @ rng.normal(size=6) + rng.normal(size=25)
    model = RidgeOrSvr(3)
    model.fit(x, y)
    fold = np.random.default_rng(3).permutation(np.arange(25) % 5)
    splits = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(5)]
    grid = GridSearchCV(Ridge(), {"alpha": ALPHAS}, cv=splits, scoring="neg_mean_absolute_percentage_error")
    grid.fit(x, y)
    assert model.kind == "ridge" and model._alpha == pytest.approx(grid.best_params_["alpha"])


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"mlp"}))  # four layers of 1,000 take minutes
def test_each_kind_learns_a_line_and_follows_from_its_seed(kind: str) -> None:
    x = np.linspace(0.0, 1.0, 40)[:, None]
    y = 50.0 + 10.0 * x[:, 0]
    found = []
    for _ in range(2):
        model = make_model(kind, 3)
        model.fit(x, y)
        found.append(np.asarray(model.predict(x)))
    assert np.array_equal(*found)
    assert kind == "small-mlp" or np.corrcoef(found[0], y)[0, 1] > 0.99


def test_an_unknown_kind_is_answered_with_the_nearest() -> None:
    with pytest.raises(SearchError, match="Did you mean 'forest'"):
        make_model("forrest", 0)
