"""Values that the default tactic is told and hinted, and its predictions."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hwsearch._typing import FloatArray
from hwsearch.errors import SearchError
from hwsearch.searchers import Searcher, create
from hwsearch.searchers.bayesian.plumb import PlumbSearcher
from hwsearch.spaces import SearchSpace
from hwsearch.spaces.choice import Choice

SMALL = {"inner_evaluations": 2000, "population": 60}


def chain() -> SearchSpace:
    return SearchSpace("chain", [Choice(f"w[{i}]", (1, 2, 3, 4)) for i in range(16)])


def truth(rows: np.ndarray) -> np.ndarray:
    """Accuracy with diminishing returns in each gene, of different worth; cost of another worth."""
    worth, price = np.linspace(1.0, 3.0, 16), np.linspace(2.0, 0.5, 16)
    return np.stack([70.0 + 4.0 * np.sqrt(rows + 1.0) @ worth / 16, 1.0 + (rows + 1.0) @ price], axis=1)


def search(searcher: Searcher, evaluations: int, noise: float = 0.0, batch: int = 8) -> np.ndarray:
    rng = np.random.default_rng(9)
    while len(searcher.values) < evaluations:
        rows = searcher.ask_array(min(batch, evaluations - len(searcher.values)))
        searcher.tell_array(rows, truth(rows) * (1.0 + noise * rng.standard_normal((len(rows), 2))))
    return truth(searcher.rows)


TWO = ("max accuracy", "min latency_ms")


def started(seed: int = 0, n: int = 24) -> PlumbSearcher:
    searcher = PlumbSearcher(chain(), TWO, seed, **SMALL)
    rows = searcher.ask_array(n)
    searcher.tell_array(rows, truth(rows))
    return searcher


def test_confidence_keeps_the_true_value_within_the_limit() -> None:
    """With noise of 5 %, the best that measured within the limit often is not within it; with confidence it is."""
    limited = ("max accuracy", "min latency_ms <= 40")

    def delivered(searcher: Searcher, evaluations: int) -> FloatArray:
        search(searcher, evaluations, noise=0.05, batch=12)
        best = searcher.front().to_frame().sort_values("accuracy").iloc[-1]["arch_id"]
        place = [arch.id for arch in searcher.evaluated[0]].index(best)
        return truth(searcher.rows[place : place + 1])[0]

    plain = [delivered(create("regularised-evolution", chain(), limited, seed), 300)[1] for seed in range(4)]
    assert max(plain) > 41.0  # the disease
    for seed in range(2):
        searcher = PlumbSearcher(chain(), limited, seed, confidence={"latency_ms": 0.95}, **SMALL)
        accuracy, latency = delivered(searcher, 56)
        assert latency <= 40.5
        assert accuracy > 78.0  # the best below 40 ms has 83; nothing is gained by hiding at the cheap end


def test_predict_needs_measurements_and_a_coverage() -> None:
    searcher = PlumbSearcher(chain(), TWO, 6)
    with pytest.raises(SearchError, match="four"):
        searcher.predict([chain().smallest()])
    rows = searcher.ask_array(10)
    searcher.tell_array(rows, truth(rows))
    with pytest.raises(SearchError, match="coverage"):
        searcher.predict([chain().smallest()], coverage=1.0)


def test_hints_are_learnt_from_and_do_not_count_as_measured() -> None:
    """Accuracies with noise of many architectures that were not measured bring predictions nearer to the truth."""
    space = chain()
    held_out = space.sample(300, np.random.default_rng(5))
    rows = space.to_array(held_out)
    hinted = space.sample(80, np.random.default_rng(6), exclude=held_out)

    def error(searcher: PlumbSearcher) -> float:
        guess = searcher.predict(held_out)["accuracy"].to_numpy()
        return float(np.abs(guess - truth(rows)[:, 0]).mean())

    searcher = started()
    before, count = error(searcher), len(searcher.values)
    values = truth(space.to_array(hinted)) + np.array([0.2, np.nan]) * np.random.default_rng(7).normal(size=(80, 2))
    searcher.hint(hinted, values, np.broadcast_to([0.2, np.nan], (80, 2)))
    assert error(searcher) < 0.7 * before
    assert len(searcher.values) == count
    assert not any(searcher.is_known(a) for a in hinted if a not in searcher.evaluated[0])
    assert not set(searcher.front().to_frame()["arch_id"]) & {a.id for a in hinted if not searcher.is_known(a)}


def test_a_hint_gives_way_to_the_measurement() -> None:
    """A hint that is far off, of what has been measured, changes nothing."""
    searcher, other = started(), started()
    archs = searcher.evaluated[0]
    searcher.hint(archs, searcher.values + 30.0, np.full_like(searcher.values, 0.01))
    held_out = chain().sample(50, np.random.default_rng(5))
    assert searcher.predict(held_out).equals(other.predict(held_out))


def test_hints_are_part_of_the_state() -> None:
    searcher = started()
    archs = searcher.space.sample(20, np.random.default_rng(3))
    values = truth(searcher.space.to_array(archs))
    searcher.hint(archs, values, np.full_like(values, 0.5))
    other = PlumbSearcher(chain(), TWO, 5, **SMALL)
    other.load_state_dict(json.loads(json.dumps(searcher.state_dict())))
    assert other.choose(archs, 5) == searcher.choose(archs, 5)
    assert (other.ask_array(6) == searcher.ask_array(6)).all()


@pytest.mark.parametrize("noise", [None, [[0.1, np.nan]], [[-0.1, 1.0]]])
def test_a_hint_without_its_noise_is_refused(noise: object) -> None:
    searcher = started()
    with pytest.raises(SearchError, match="noise"):
        searcher.hint(searcher.space.sample(1, np.random.default_rng(3)), [[70.0, 20.0]], noise)


def test_hints_of_many_are_learnt_from_beside_many_parts() -> None:
    """Of 500 candidates with a told latency and a hinted accuracy, more than weights are found from."""
    searcher, without = started(), started()
    space = searcher.space
    parts = space.sample(500, np.random.default_rng(3), exclude=searcher.evaluated[0])
    values = truth(space.to_array(parts))
    for s in (searcher, without):
        s.tell(parts, np.where([False, True], values, np.nan))
    searcher.hint(parts, np.where([True, False], values, np.nan), np.broadcast_to([0.05, np.nan], (500, 2)))
    held_out = space.sample(200, np.random.default_rng(5), exclude=parts)
    true = truth(space.to_array(held_out))[:, 0]
    errors = [np.abs(s.predict(held_out)["accuracy"].to_numpy() - true).mean() for s in (searcher, without)]
    assert errors[0] < 0.3 * errors[1]


def test_hints_are_merged_by_column() -> None:
    searcher, other = started(), started()
    arch = searcher.space.sample(1, np.random.default_rng(3))
    searcher.hint(arch, [[71.0, None]], [[0.5, None]])
    searcher.hint(arch, [[None, 22.0]], [[None, 0.1]])
    other.hint(arch, [[71.0, 22.0]], [[0.5, 0.1]])
    held_out = searcher.space.sample(20, np.random.default_rng(5))
    assert searcher.predict(held_out).equals(other.predict(held_out))
