"""Sources: what is checked of them, and how the variance of their log latency is shared between the parts of a kernel."""

from __future__ import annotations

import numpy as np
import pytest

from predictors import GaussianProcessPredictor
from predictors.schema import Schema
from predictors.sources import QUIETEST, Source, checked_source, shares_of, weights_of

RNG = np.random.default_rng(0)
X = RNG.uniform(1.0, 2.0, (60, 2))
Y = np.exp(X[:, 0] + 0.05 * RNG.standard_normal(60))


def test_shares_are_of_what_the_parts_explain_together() -> None:
    weights, noise = shares_of({"a": 3.0, "b": 1.0, "noise": 0.4}, ["b", "other", "a"])
    assert weights.tolist() == [0.25, 0.0, 0.75] and noise == pytest.approx(0.1)
    assert shares_of({"a": 1.0, "noise": 0.0}, ["a"])[1] == QUIETEST


def test_a_fitted_process_has_the_same_shares() -> None:
    """The predictor of a source has found them already."""
    schema = Schema.of_facts(2)
    model = GaussianProcessPredictor(schema, warp="log", interval_folds=0).fit(X, Y)
    names = [name for name in model.parts_ if name != "noise"]
    ours, theirs = weights_of(schema, X, Y, names), shares_of(model.parts_, names)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6)
    assert ours[1] == pytest.approx(theirs[1], rel=1e-6)


def test_a_source_becomes_arrays_of_floats() -> None:
    found = checked_source("s", Source(X.tolist(), Y.tolist()), 2)
    assert found.X.dtype == found.y.dtype == np.float64 and found.X.shape == (60, 2)
