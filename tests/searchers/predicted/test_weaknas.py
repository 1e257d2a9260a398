"""WeakNAS: its band on a cost."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hwsearch.errors import SearchError
from hwsearch.searchers import create
from hwsearch.testing.toy_spaces import ONE, large_space, values_of


def total(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray((rows + 1.0).sum(axis=1))


def test_weaknas_stays_within_its_band_and_says_when_there_is_none() -> None:
    space = large_space()
    searcher = create(
        "weaknas", space, ONE, 0, cost=total, band=(36.0, 40.0), pool=200, predictor="ridge-or-svr", top=20
    )
    for _ in range(3):
        archs = searcher.ask(10)
        cost = total(space.to_array(archs))
        assert (cost >= 36).all() and (cost <= 40).all()
        searcher.tell(archs, values_of(space, archs, 1))
    with pytest.raises(SearchError, match="band"):
        create("weaknas", space, ONE, 0, cost=total, band=(1e6, 2e6)).ask(1)
    with pytest.raises(SearchError, match="Give both"):
        create("weaknas", space, ONE, 0, band=(1.0, 2.0))


def test_a_balanced_pool_reaches_both_ends_of_the_cost_and_a_uniform_one_does_not() -> None:
    """Sums of many uniform genes pile up in the middle; the pool bounds all that is ever measured."""
    space = large_space()
    uniform = create("weaknas", space, ONE, 0, pool=300, predictor="ridge-or-svr")
    balanced = create("weaknas", space, ONE, 0, pool=300, predictor="ridge-or-svr", balance=total)
    spans = [np.ptp(total(searcher.pool)) for searcher in (uniform, balanced)]
    ends = total(space.to_array([space.smallest(), space.largest()]))
    assert spans[0] < spans[1] == ends[1] - ends[0]
    counts = np.histogram(np.log(total(balanced.pool)), bins=4)[0]
    assert counts.min() > 0.15 * counts.sum()
    for _ in range(3):
        archs = balanced.ask(10)
        balanced.tell(archs, values_of(space, archs, 1))
    asked = {tuple(row) for row in balanced.rows.tolist()}
    assert asked <= {tuple(row) for row in balanced.pool.tolist()}
    with pytest.raises(SearchError, match="balance"):
        create("weaknas", space, ONE, 0, cost=total, band=(36.0, 40.0), balance=total)
