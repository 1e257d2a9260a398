"""What the default tactic asks for: the same architectures in the same order, until somebody means to change it."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from hwsearch.searchers.bayesian.plumb import PlumbSearcher
from hwsearch.spaces import SearchSpace
from hwsearch.spaces.choice import Choice, When

#: digests of the rows of each ask, made when the inner search began to leave out parts of no account and to bound only what is promising
ASKED = {
    "plain": ["610d9808db65", "02533e0b057d", "a422648ced99"],
    "limit": ["610d9808db65", "482f4afbcd52", "296fd6a73ca2"],
    "warm": ["610d9808db65", "ffe5101cd094", "a1847387752a"],
    "hints": ["610d9808db65", "439b0ed75abe", "47ebc93ed5bc"],
}


def space() -> SearchSpace:
    """Two stages of up to three layers, with a kernel size and an expansion each."""
    choices = [Choice(f"d[{stage}]", (1, 2, 3)) for stage in range(2)]
    for layer in range(6):
        deep = {0: None, 1: (2, 3), 2: (3,)}[layer % 3]
        when = When(f"d[{layer // 3}]", deep) if deep else None
        choices += [Choice(f"ks[{layer}]", (3, 5, 7), when=when), Choice(f"e[{layer}]", (3, 4, 6), when=when)]
    return SearchSpace("layers", choices)


def truth(rows: np.ndarray) -> np.ndarray:
    """Accuracy and latency (n, 2)."""
    x = space().encode_array(rows, "ordinal")
    cost = 1.0 + x @ np.linspace(0.5, 2.0, x.shape[1]) + 0.2 * np.sin(3.0 * x[:, 0] * x[:, -1])
    return np.stack([80.0 - 20.0 * np.exp(-cost / 6.0 - 0.3 * x[:, 1] * x[:, 2]), cost], axis=1)


def asked(case: str) -> list[str]:
    """Three asks of six after each of which all is told, with 1 % of noise."""
    rng, layers = np.random.default_rng(7), space()
    options: dict[str, Any] = {"start": 8, "inner_evaluations": 600, "population": 40}
    if case == "warm":
        options["known"] = lambda rows: np.column_stack([1e8 * truth(rows)[:, 1], (rows >= 0).sum(axis=1)])
        options["warm_start"] = lambda rows: truth(rows) ** 0.9
    if case == "limit":
        options["confidence"] = {"latency_ms": 0.9}
    second = "latency_ms <= 12" if case == "limit" else "min latency_ms"
    searcher = PlumbSearcher(layers, ["max accuracy", second], seed=3, **options)
    out = []
    for _ in range(3):
        rows = searcher.ask_array(6)
        out.append(hashlib.sha256(np.ascontiguousarray(rows, dtype=np.int64).tobytes()).hexdigest()[:12])
        spread = 0.01 * truth(rows) * (1.0 if case == "warm" else 0.5)
        values = truth(rows) + spread * rng.standard_normal(spread.shape)
        searcher.tell(layers.from_array(rows), values, spread if case == "warm" else None)
        if case == "hints":
            more = layers.sample_array(5, rng)
            hinted = np.column_stack([truth(more)[:, 0], np.full(5, np.nan)])
            searcher.hint(layers.from_array(more), hinted, np.column_stack([np.full(5, 0.5), np.full(5, np.nan)]))
    return out


@pytest.mark.parametrize("case", ASKED)
def test_asks_are_those_of_before(case: str) -> None:
    assert asked(case) == ASKED[case]
