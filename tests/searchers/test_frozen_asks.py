"""What tactics ask, frozen: a change of layout, of words or of speed must not change one architecture.

Digests of the index arrays asked, by tactic and space: after 20 asks and after 100 (8 architectures an ask, or 2 where a
model is fitted). The objectives are a formula of the rows alone, so nothing but the tactic and the space decides. Where models
are fitted, the last bit of a sum may differ between processors' kernels: those are run apart (``-m slow``), one thread, with the
versions of constraints.txt.

    python -m tests.searchers.test_frozen_asks    # prints the digests of today
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from hwsearch import spaces
from hwsearch._typing import FloatArray, IntArray
from hwsearch.searchers import create
from hwsearch.spaces import SearchSpace
from hwsearch.supernets import catalogue

FROZEN = json.loads((Path(__file__).parent / "frozen_asks.json").read_text(encoding="utf-8"))
SPACES = {"mbv3": "cifar10-mbv3", "ofa": "ofa-mobilenetv3-w1.0", "nb201": "nas-bench-201"}
#: tactics that fit a model before they ask
FITTED = ("default", "guided", "linas", "weaknas", "brp-nas", "bananas")


@cache
def space_of(name: str) -> SearchSpace:
    return spaces.load(SPACES[name]) if name == "nb201" else catalogue.entry(SPACES[name]).build().space


def measured(space: SearchSpace, rows: IntArray) -> FloatArray:
    """A made-up accuracy and a cost, by a formula of the indices alone."""
    sizes = np.asarray(space.sizes)
    x = rows / np.maximum(sizes - 1, 1)
    k = np.arange(1, len(sizes) + 1)
    w = 1 + (k * 7919 % 13) / 13.0
    cost = 1.0 + (x * w).sum(1)
    pairs = (x[:, :-1] * x[:, 1:] * (1 + (k[:-1] * 31 % 7) / 7.0)).sum(1)
    accuracy = 60 + 20 * np.tanh((x * w[::-1]).sum(1) / len(sizes)) + pairs / len(sizes)
    return np.stack([accuracy, cost], 1)


def digest(tactic: str, space: SearchSpace, asks: int) -> str:
    searcher = create(tactic, space, ["max accuracy", "min latency_ms"], seed=3)
    seen = hashlib.sha256()
    for _ in range(asks):
        rows = searcher.ask_array(2 if tactic in FITTED else 8)
        seen.update(np.ascontiguousarray(rows, dtype="<i8").tobytes())
        if len(rows):
            searcher.tell_array(rows, measured(space, rows))
    return seen.hexdigest()[:16]


CASES = sorted(FROZEN)


@pytest.mark.parametrize("case", [c for c in CASES if c.split("/")[0] not in FITTED])
def test_twenty_asks(case: str) -> None:
    tactic, space = case.split("/")
    assert digest(tactic, space_of(space), 20) == FROZEN[case][0]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("case", CASES)
def test_a_hundred_asks(case: str) -> None:
    tactic, space = case.split("/")
    assert digest(tactic, space_of(space), 100) == FROZEN[case][1]


if __name__ == "__main__":
    today = {c: [digest(c.split("/")[0], space_of(c.split("/")[1]), n) for n in (20, 100)] for c in CASES}
    print(json.dumps(today, indent=1))  # noqa: T201 - its purpose
