"""Gaussian-process regression with its scales chosen by marginal likelihood."""

from __future__ import annotations

import numpy as np

from hwsearch._typing import FloatArray

#: length scales in units of the median distance, and noise variances in units of the signal's
LENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
NOISES = np.logspace(-5, 0, 11)


class GaussianProcess:
    """A Matérn 5/2 process (Rasmussen and Williams 2006, sections 2.2, 4.2 and 5.4) on features (n, columns).

    Length scale and noise are the pair of a grid with the largest marginal likelihood, the signal variance in
    closed form: one eigendecomposition a length scale serves all noises. O(n^3); memory O(n^2).
    """

    def fit(self, X: FloatArray, y: FloatArray) -> GaussianProcess:
        self._x, self._mean = X, float(y.mean())
        self._scale = float(y.std()) or 1.0
        target = (y - self._mean) / self._scale
        distance = _distances(X, X)
        apart = distance[distance > 0]
        unit = float(np.median(apart)) if len(apart) else 1.0
        best = np.inf
        for length in LENGTHS:
            values, vectors = np.linalg.eigh(_matern(distance / (length * unit)))
            turned = vectors.T @ target
            spread = np.maximum(values, 0.0)[:, None] + NOISES
            signal = np.maximum((turned[:, None] ** 2 / spread).mean(axis=0), 1e-12)
            loss = 0.5 * (np.log(spread).sum(axis=0) + len(y) * np.log(signal))
            k = int(np.argmin(loss))
            if loss[k] < best:
                best = float(loss[k])
                self.length, self.noise, self.signal = length * unit, float(NOISES[k]), float(signal[k])
                self._weights = vectors @ (turned / spread[:, k])
                self._root = vectors / np.sqrt(spread[:, k])
        return self

    def predict(self, X: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation (n,) of the noiseless function."""
        across = _matern(_distances(X, self._x) / self.length)
        variance = np.maximum(1.0 - ((across @ self._root) ** 2).sum(axis=1), 1e-12) * self.signal
        return across @ self._weights * self._scale + self._mean, np.sqrt(variance) * self._scale

    def sample(self, X: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
        """N joint draws (n, rows) of the noiseless function at X."""
        across = _matern(_distances(X, self._x) / self.length)
        turned = across @ self._root
        covariance = (_matern(_distances(X, X) / self.length) - turned @ turned.T) * self.signal
        values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        draws = across @ self._weights + rng.standard_normal((n, len(X))) @ root.T
        return np.asarray(draws * self._scale + self._mean)


def _distances(a: FloatArray, b: FloatArray) -> FloatArray:
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2.0 * a @ b.T
    return np.sqrt(np.where(squared > 1e-9, squared, 0.0))


def _matern(distance: FloatArray) -> FloatArray:
    scaled = np.sqrt(5.0) * distance
    return np.asarray((1.0 + scaled + scaled**2 / 3.0) * np.exp(-scaled))
