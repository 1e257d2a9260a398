"""Conformance of predictors: subclass, say how yours is made, and let pytest run it."""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import estimator_checks_generator

import predictors
from hwsearch._typing import FloatArray
from predictors import BasePredictor, PredictorError


class PredictorConformance:
    """Test what `predictors.BasePredictor` promises; each method is one promise.

    Attributes
    ----------
    rows : int
        Rows that the tests fit on.
    distribution_free : bool
        Whether intervals rest on ranks of residuals alone, so that few rows cannot give one of a high coverage. False where
        they are those of a predictive distribution, which are finite.

    Examples
    --------
    ::

        class TestMine(PredictorConformance):
            def make(self):
                return MyPredictor()
    """

    rows: int = 40
    distribution_free: bool = True

    @abstractmethod
    def make(self) -> BasePredictor:
        """Make the predictor under test.

        Returns
        -------
        BasePredictor
            A fresh, unfitted one at each call, with the same parameters.
        """

    def data(self) -> tuple[FloatArray, FloatArray]:
        """Make the data that every test fits on.

        Returns
        -------
        tuple of ndarray
            Features (rows, 5) and positive targets (rows,), a smooth function of two features with 2 % of noise.
        """
        rng = np.random.default_rng(0)
        features = rng.random((self.rows, 5))
        target = np.exp(features[:, 0] + 0.5 * np.sin(3 * features[:, 1]) + 0.02 * rng.standard_normal(self.rows))
        return features, target

    def fitted(self) -> BasePredictor:
        """Fit the predictor under test on `data`.

        Returns
        -------
        BasePredictor
            A fresh, fitted one at each call.
        """
        return self.make().fit(*self.data())

    def test_scikit_learn_conventions(self) -> None:
        """Every check that scikit-learn has for regressors passes."""
        for estimator, check in estimator_checks_generator(self.make()):
            if "array_api" not in check.func.__name__:  # they skip themselves unless a variable is set
                check(estimator)

    def test_learns(self) -> None:
        """It predicts its own rows better than their mean does."""
        fitted = self.fitted()
        features, target = self.data()
        error, of_mean = np.abs(fitted.predict(features) - target).mean(), np.abs(target.mean() - target).mean()
        assert error < of_mean, f"mean absolute error {error:.3g} on its own rows; their mean alone has {of_mean:.3g}"

    def test_inputs_are_left_alone(self) -> None:
        """Neither fitting nor predicting changes what it is given."""
        features, target = self.data()
        before = features.copy(), target.copy()
        fitted = self.make().fit(features, target)
        fitted.predict(features, return_std=True)
        fitted.predict_interval(features)
        assert np.array_equal(features, before[0]) and np.array_equal(target, before[1])

    def test_is_deterministic(self) -> None:
        """A clone that is fitted on the same rows predicts the same."""
        fitted = self.fitted()
        features, target = self.data()
        again = clone(fitted).fit(features, target)
        same = np.array_equal(again.predict(features), fitted.predict(features))
        assert same, "a clone fitted on the same rows predicts otherwise: draw with a seed that is a parameter"

    def test_deviations_are_positive(self) -> None:
        """`predict` with `return_std` gives the same prediction and a positive deviation in the unit of the target."""
        fitted = self.fitted()
        features, _ = self.data()
        mean, deviation = fitted.predict(features, return_std=True)
        assert np.array_equal(mean, fitted.predict(features))
        assert deviation.shape == mean.shape and (deviation > 0).all() and np.isfinite(deviation).all()

    def test_intervals_hold_the_prediction_and_grow_with_coverage(self) -> None:
        """An interval contains the prediction, and the one of a larger coverage contains the smaller."""
        fitted = self.fitted()
        features, _ = self.data()
        prediction = fitted.predict(features)
        narrow, wide = fitted.predict_interval(features, 0.5), fitted.predict_interval(features, 0.9)
        for low, high in (narrow, wide):
            assert (low <= prediction).all() and (prediction <= high).all()
        assert (wide[0] <= narrow[0]).all() and (narrow[1] <= wide[1]).all()
        assert (wide[1] > wide[0]).all()

    def test_too_few_rows_give_infinite_intervals(self) -> None:
        """With fewer rows than a coverage needs, the interval is unbounded above, or that of a predictive distribution."""
        model = self.make()
        features, target = self.data()
        few = max(model.minimum_rows, 5)
        _, high = model.fit(features[:few], target[:few]).predict_interval(features, 0.99)
        assert np.isinf(high).all() == self.distribution_free

    def test_values_that_are_not_finite_are_refused(self) -> None:
        """NaN in features or targets is a `PredictorError`."""
        for which in (0, 1):
            data = [a.copy() for a in self.data()]
            data[which][0] = np.nan
            with pytest.raises(PredictorError):
                self.make().fit(*data)

    def test_too_few_rows_are_refused(self) -> None:
        """Fewer rows than `minimum_rows` are a `PredictorError`."""
        model = self.make()
        features, target = self.data()
        with pytest.raises(PredictorError):
            model.fit(features[: model.minimum_rows - 1], target[: model.minimum_rows - 1])

    def test_a_file_holds_all_of_it(self) -> None:
        """`predictors.save` and `predictors.load` bring it back to the last bit, without pickle."""
        fitted = self.fitted()
        features, _ = self.data()
        with tempfile.TemporaryDirectory() as folder:
            predictors.save(fitted, Path(folder) / "predictor.zip")
            again = predictors.load(Path(folder) / "predictor.zip")
        assert type(again) is type(fitted) and again.get_params() == fitted.get_params()
        assert np.array_equal(again.predict(features), fitted.predict(features))
        for a, b in zip(again.predict_interval(features), fitted.predict_interval(features), strict=True):
            assert np.array_equal(a, b)
