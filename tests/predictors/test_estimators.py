from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import estimator_checks_generator

import predictors
from predictors import CrossValidatedPredictor, GaussianProcessPredictor, RidgePredictor, XGBoostPredictor
from predictors.settings import SettingsPredictor
from predictors.sourced import SourcedPredictor

ESTIMATORS = [
    RidgePredictor(),
    RidgePredictor(log_target=True),
    XGBoostPredictor(n_estimators=30),
    XGBoostPredictor(n_estimators=30, log_target=True),
    GaussianProcessPredictor(),
    CrossValidatedPredictor(folds=3, repeats=1),
    SettingsPredictor(),
    SourcedPredictor(),
]


# the array API checks do nothing but skip themselves unless an environment variable is set
CHECKS = [
    pytest.param(estimator, check, id=f"{number}-{check.func.__name__}")
    for number, one in enumerate(ESTIMATORS)
    for estimator, check in estimator_checks_generator(one)
    if "array_api" not in check.func.__name__
]


@pytest.mark.parametrize("estimator, check", CHECKS)
def test_scikit_learn_conventions(estimator, check) -> None:
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_inputs_are_left_alone(task, estimator) -> None:
    X, y = task(30, log=True)
    X_before, y_before = X.copy(), y.copy()
    fitted = clone(estimator).fit(X, y)
    fitted.predict(X, return_std=True)
    fitted.predict_interval(X)
    assert np.array_equal(X, X_before) and np.array_equal(y, y_before)


def test_imports_are_the_allowed_ones() -> None:
    allowed = {"numpy", "scipy", "sklearn", "xgboost", "predictors"} | set(sys.stdlib_module_names)
    for file in Path(predictors.__file__).parent.glob("**/*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.partition(".")[0] in allowed - {"pickle", "marshal", "shelve"}, f"{file.name}: {name}"
