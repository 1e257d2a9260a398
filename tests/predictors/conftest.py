"""A synthetic search space: additive effects, a few interactions, noise; no file is read."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from predictors import GaussianProcessPredictor, Schema

GENES = Schema.from_names([f"w[{i}]={v}" for i in range(12) for v in (1, 2, 3)])
Task = Callable[..., tuple[NDArray[np.float64], NDArray[np.float64]]]


def make_task(
    n: int, seed: int = 0, genes: int = 12, noise: float = 0.1, interactions: int = 6, log: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One-hot X (n, 3 genes) of three-valued genes, and y (n,) near 75, or lognormal around 10 with `log`."""
    truth = np.random.default_rng(1234)
    effects = np.sort(truth.normal(size=(genes, 3)), axis=1)
    pairs = truth.integers(genes, size=(interactions, 2))
    strength = truth.normal(scale=0.3, size=interactions)
    rng = np.random.default_rng(seed)
    values = rng.integers(3, size=(n, genes))
    X = np.eye(3)[values].reshape(n, -1)
    y = effects[np.arange(genes), values].sum(axis=1)
    y = y + (strength * values[:, pairs[:, 0]] * values[:, pairs[:, 1]]).sum(axis=1) + noise * rng.normal(size=n)
    return X, 10 * np.exp(0.2 * y) if log else 75 + y


@pytest.fixture
def task() -> Task:
    return make_task


def rows(n: int, seed: int = 5) -> NDArray[np.float64]:
    """One-hot rows (n, 36) of twelve three-valued genes."""
    return np.eye(3)[np.random.default_rng(seed).integers(3, size=(n, 12))].reshape(n, -1)


@pytest.fixture(scope="module")
def fitted() -> GaussianProcessPredictor:
    """A process of 50 rows near 10, of which each second one has a known noise of 1 %."""
    rng = np.random.default_rng(0)
    values = rng.integers(3, size=(50, 12))
    X = np.eye(3)[values].reshape(50, -1)
    y = 10.0 * np.exp(0.1 * values @ np.linspace(-1, 1, 12) + 0.02 * rng.standard_normal(50))
    return GaussianProcessPredictor(GENES).fit(X, y, noise=0.01 * y * (np.arange(50) % 2))
