"""Transfer to a new device: what sources bring, what they must not break, and bad input."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from predictors import PredictorError
from predictors.schema import Column, Schema
from predictors.sources import Source
from predictors.transfer import DeviceTransferPredictor

GENES = 6
NAMES = [f"w[{i}]={v}" for i in range(GENES) for v in (1, 2, 3)]
SCHEMA = Schema((*Schema.from_names(NAMES).columns, Column("macs")))


def rows(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Encoded architectures of six genes with three values, and the values (n, 6)."""
    values = np.random.default_rng(seed).integers(0, 3, (n, GENES))
    onehot = np.eye(3)[values].reshape(n, -1)
    return np.column_stack([onehot, values.sum(axis=1)]), values


def latency(values: np.ndarray, weights: np.ndarray, noise: float = 0.01) -> np.ndarray:
    scatter = np.random.default_rng(len(values)).standard_normal(len(values))
    return np.exp(0.05 * (values + 0.3 * values**2) @ weights + noise * scatter)


KNOWN = np.array([5.0, 1.0, 3.0, 0.2, 2.0, 4.0])
OTHER = np.array([0.2, 4.0, 0.5, 5.0, 1.0, 0.3])


def sources(*weights: np.ndarray) -> dict[str, Source]:
    X, values = rows(150, 0)
    return {f"d{k}": Source(X, latency(values, w)) for k, w in enumerate(weights)}


def rank(model: DeviceTransferPredictor, weights: np.ndarray, n: int, *, chosen: bool = True) -> float:
    pool, values = rows(120, 1)
    y = latency(values, weights)
    at = model.plan(pool, n) if chosen else np.arange(n)
    model.fit(pool[at], 7.0 * y[at])
    X, test = rows(300, 2)
    return float(spearmanr(model.predict(X), latency(test, weights))[0])


def test_a_device_like_a_source_is_known_from_four_latencies() -> None:
    alike = rank(DeviceTransferPredictor(SCHEMA, sources(KNOWN, OTHER)), KNOWN, 4)
    nothing = rank(DeviceTransferPredictor(SCHEMA, {}), KNOWN, 4)
    assert alike > 0.96 > nothing + 0.05


def test_a_device_unlike_all_sources_costs_nothing_in_the_end() -> None:
    opposite = DeviceTransferPredictor(SCHEMA, sources(KNOWN))
    found, without = rank(opposite, OTHER, 25), rank(DeviceTransferPredictor(SCHEMA, {}), OTHER, 25)
    assert found > without - 0.02
    near = DeviceTransferPredictor(SCHEMA, sources(KNOWN))
    rank(near, KNOWN, 25)
    assert opposite.explained_ < 0.5 < near.explained_


def test_the_unit_of_a_source_and_of_the_measurements_is_free() -> None:
    X, values = rows(150, 0)
    model = DeviceTransferPredictor(SCHEMA, {"s": Source(X, 1e3 * latency(values, KNOWN))})
    pool, pooled = rows(80, 1)
    at = model.plan(pool, 5)
    model.fit(pool[at], latency(pooled[at], KNOWN))
    test, tested = rows(200, 2)
    assert np.median(np.abs(model.predict(test) / latency(tested, KNOWN) - 1)) < 0.06


def test_intervals_hold_new_measurements() -> None:
    rng, inside = np.random.default_rng(5), []
    for seed in range(12):
        weights = KNOWN * rng.uniform(0.6, 1.4, GENES)
        model = DeviceTransferPredictor(SCHEMA, sources(KNOWN, OTHER))
        pool, values = rows(60, 10 + seed)
        noisy = latency(values, weights) * np.exp(0.02 * rng.standard_normal(60))
        model.fit(pool[:12], noisy[:12])
        low, high = model.predict_interval(pool[12:], 0.9)
        inside.append(((low <= noisy[12:]) & (noisy[12:] <= high)).mean())
        narrow = model.predict_interval(pool[12:], 0.5)
        assert (narrow[0] >= low).all() and (narrow[1] <= high).all()
    assert 0.8 < np.mean(inside) < 0.995


def test_sequential_choice_never_repeats_and_begins_as_planned() -> None:
    model = DeviceTransferPredictor(SCHEMA, sources(KNOWN, OTHER))
    pool, values = rows(50, 1)
    y, measured = latency(values, KNOWN), {}
    for _ in range(8):
        at = int(model.plan(pool, 1, measured)[0])
        assert at not in measured
        measured[at] = float(y[at])
    assert next(iter(measured)) == model.plan(pool, 3)[0]
    with pytest.raises(PredictorError, match="rows cannot be chosen"):
        model.plan(pool[:8], 1, dict.fromkeys(range(8), 1.0))
    with pytest.raises(PredictorError, match="measured: the latency of row 1"):
        model.plan(pool, 1, {3: 1.0, 5: -1.0})


def test_sources_alone_rank_and_do_not_tell_latencies() -> None:
    model = DeviceTransferPredictor(SCHEMA, sources(KNOWN))
    X, values = rows(100, 2)
    assert spearmanr(model.zero_shot(X), latency(values, KNOWN))[0] > 0.95
    for ask in (model.predict, model.predict_interval):
        with pytest.raises(PredictorError, match="nothing has been measured"):
            ask(X)
    with pytest.raises(PredictorError, match="no source to rank by"):
        DeviceTransferPredictor(SCHEMA, {}).zero_shot(X)


def test_it_says_what_it_trusted() -> None:
    model = DeviceTransferPredictor(SCHEMA, sources(KNOWN, OTHER))
    rank(model, KNOWN, 6)
    assert "most like d0" in model.explain()
    assert sum(model.shares_.values()) == pytest.approx(1)
    alone = DeviceTransferPredictor(SCHEMA, {})
    rank(alone, KNOWN, 6, chosen=False)
    assert "no other device" in alone.explain()


@pytest.mark.parametrize("latencies", [[1.0, 0.0], [1.0, -2.0], [1.0, np.nan], [1.0, np.inf]])
def test_latencies_that_are_none_are_refused(latencies: list[float]) -> None:
    model = DeviceTransferPredictor(SCHEMA, sources(KNOWN))
    with pytest.raises(PredictorError, match="row 1"):
        model.fit(rows(2, 3)[0], latencies)
    X, values = rows(30, 0)
    y = latency(values, KNOWN)
    y[1] = latencies[1]
    with pytest.raises(PredictorError, match=r"source 'bad'.*row 1"):
        DeviceTransferPredictor(SCHEMA, {"bad": Source(X, y)})


def test_other_shapes_are_refused() -> None:
    X, values = rows(30, 0)
    with pytest.raises(PredictorError, match="it needs 20"):
        DeviceTransferPredictor(SCHEMA, {"few": Source(X[:5], latency(values, KNOWN)[:5])})
    with pytest.raises(PredictorError, match="the schema has"):
        DeviceTransferPredictor(SCHEMA, {"other": Source(X[:, 1:], latency(values, KNOWN))})
    model = DeviceTransferPredictor(SCHEMA, sources(KNOWN))
    with pytest.raises(PredictorError, match="columns"):
        model.fit(X[:3, 1:], [1.0, 2.0, 3.0])
    with pytest.raises(PredictorError, match="a latency a row"):
        model.fit(X[:3], [1.0, 2.0])
    model.fit(X[:1], [2.0])  # one is enough
    assert model.predict(X).shape == (30,)
    with pytest.raises(PredictorError, match="coverage"):
        model.predict_interval(X, 1.5)
