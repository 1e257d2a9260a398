"""Make the regressors that published tactics name, as they describe them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self, get_args

import numpy as np

from hwsearch._typing import FloatArray
from hwsearch.errors import SearchError, nearest

if TYPE_CHECKING:
    from predictors import Regressor  # loads scikit-learn

PredictorKind = Literal["xgboost", "mlp", "small-mlp", "forest", "ridge-or-svr"]
KINDS: tuple[str, ...] = get_args(PredictorKind)
#: ridge strengths and SVR costs that LINAS's predictor chooses from; it goes through the latter one by one, to 100
ALPHAS = np.arange(1, 101) / 10
COSTS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
FOLDS = 5


def make_model(kind: str, seed: int) -> Regressor:
    """Make a fresh regressor.

    ``xgboost`` has 1,000 trees of depth 20, ``forest`` 1,000 trees of depth 10, ``mlp`` four hidden layers of 1,000 and
    100 epochs, as Wu et al. (2021) use them. ``small-mlp`` has two hidden layers of 64 and 200 epochs, ``ridge-or-svr``
    is `RidgeOrSvr`.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    seed : int
        Seed of the model.

    Returns
    -------
    Regressor
        Not fitted.

    Raises
    ------
    SearchError
        For another kind.

    References
    ----------
    Wu et al. 2021, "Stronger NAS with weaker predictors", arXiv 2102.10490.
    """
    model: Regressor
    if kind == "xgboost":
        from xgboost import XGBRegressor

        model = XGBRegressor(n_estimators=1000, max_depth=20, n_jobs=1, random_state=seed)
    elif kind == "forest":
        from sklearn.ensemble import RandomForestRegressor

        model = RandomForestRegressor(n_estimators=1000, max_depth=10, random_state=seed)
    elif kind in ("mlp", "small-mlp"):
        model = Mlp((1000,) * 4 if kind == "mlp" else (64, 64), 100 if kind == "mlp" else 200, seed)
    elif kind == "ridge-or-svr":
        model = RidgeOrSvr(seed)
    else:
        raise SearchError(f"there is no predictor {kind!r}.", hint=nearest(kind, KINDS))
    return model


class Mlp:
    """scikit-learn's multi-layer perceptron, without its warning when the epochs end before convergence.

    Parameters
    ----------
    layers : tuple of int
        Hidden sizes.
    epochs : int
        Number of epochs.
    seed : int
        Of the initial weights and the batches.
    """

    def __init__(self, layers: tuple[int, ...], epochs: int, seed: int) -> None:
        from sklearn.neural_network import MLPRegressor

        self._model = MLPRegressor(hidden_layer_sizes=layers, max_iter=epochs, random_state=seed)

    def fit(self, X: FloatArray, y: FloatArray) -> Self:
        """Fit the network.

        Parameters
        ----------
        X : ndarray (n, columns)
            Encoded architectures.
        y : ndarray (n,)
            Targets.

        Returns
        -------
        Mlp
            Itself.
        """
        import warnings

        from sklearn.exceptions import ConvergenceWarning

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._model.fit(X, y)
        return self

    def predict(self, X: FloatArray) -> FloatArray:
        """Predict targets.

        Parameters
        ----------
        X : ndarray (n, columns)
            Encoded architectures.

        Returns
        -------
        ndarray (n,)
            In the unit of the targets.
        """
        return self._model.predict(X)


class RidgeOrSvr:
    """LINAS's predictor: ridge or RBF support vectors, whichever has the smaller cross-validated error.

    The error is the mean absolute percentage error of five folds. Ridge strengths 0.1 to 10 in steps of 0.1, from one
    singular value decomposition a fold; SVR with epsilon 0, gamma 1 / columns and costs from 1 to 100. Labels are scaled
    to tens, as published: give them in natural units.

    Parameters
    ----------
    seed : int
        Of the folds.

    References
    ----------
    Cummings et al. 2022, "A hardware-aware framework for accelerating neural architecture search across modalities",
    arXiv 2202.12954 (LINAS).
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def fit(self, X: FloatArray, y: FloatArray) -> Self:
        """Choose the kind and its strength by cross-validation, and fit it to all rows.

        Parameters
        ----------
        X : ndarray (n, columns)
            Encoded architectures.
        y : ndarray (n,)
            Targets, in natural units.

        Returns
        -------
        RidgeOrSvr
            Itself.
        """
        from sklearn import config_context

        # ours are right and finite, and would be checked as often as it is fitted
        with config_context(skip_parameter_validation=True, assume_finite=True):
            self._choose(X, y)
        return self

    def _choose(self, X: FloatArray, y: FloatArray) -> None:
        from sklearn.svm import SVR

        top = float(np.abs(y).max())
        self._unit = 10.0 ** (np.floor(np.log10(top)) - 1) if top > 0 else 1.0
        target = y / self._unit
        fold = np.random.default_rng(self._seed).permutation(np.arange(len(y)) % min(FOLDS, len(y)))
        ridge = np.zeros(len(ALPHAS))
        svr = np.zeros(len(COSTS))
        floor = np.finfo(np.float64).eps
        for k in range(fold.max() + 1):
            left, out = fold != k, fold == k
            weight = 1.0 / np.maximum(np.abs(target[out]), floor)
            predicted = self._ridge(X[left], target[left], X[out])
            ridge += (np.abs(predicted - target[out]) * weight).mean(axis=1)
            for c, cost in enumerate(COSTS):
                model = SVR(C=cost, epsilon=0.0, gamma="auto").fit(X[left], target[left])
                svr[c] += (np.abs(model.predict(X[out]) - target[out]) * weight).mean()
        self.kind = "ridge" if ridge.min() <= svr.min() else "svr"
        if self.kind == "ridge":
            self._alpha = float(ALPHAS[int(np.argmin(ridge))])
            self._coefficients = self._solved(X, target, np.array([self._alpha]))
        else:
            self._svr = SVR(C=COSTS[int(np.argmin(svr))], epsilon=0.0, gamma="auto").fit(X, target)

    @staticmethod
    def _solved(X: FloatArray, y: FloatArray, alphas: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Solve for ridge weights (alphas, columns) and intercepts (alphas,)."""
        centre = X.mean(axis=0)
        u, s, vt = np.linalg.svd(X - centre, full_matrices=False)
        shrunk = s / (s**2 + alphas[:, None]) * (u.T @ (y - y.mean()))
        weights = shrunk @ vt
        return weights, y.mean() - weights @ centre

    def _ridge(self, X: FloatArray, y: FloatArray, out: FloatArray) -> FloatArray:
        weights, intercepts = self._solved(X, y, ALPHAS)
        return np.asarray(weights @ out.T + intercepts[:, None])

    def predict(self, X: FloatArray) -> FloatArray:
        """Predict targets.

        Parameters
        ----------
        X : ndarray (n, columns)
            Encoded architectures.

        Returns
        -------
        ndarray (n,)
            In the unit of the labels.
        """
        if self.kind == "ridge":
            weights, intercepts = self._coefficients
            return np.asarray((X @ weights[0] + intercepts[0]) * self._unit)
        return np.asarray(self._svr.predict(X) * self._unit)
