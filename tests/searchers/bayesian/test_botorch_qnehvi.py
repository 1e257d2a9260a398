"""BoTorch's batches: signs of gains and limits, candidates, and a round on a small space."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hwsearch.errors import SearchError
from hwsearch.searchers.bayesian import botorch_qnehvi
from hwsearch.searchers.bayesian.botorch_qnehvi import BotorchQnehviSearcher, _excess
from hwsearch.spaces import Choice, SearchSpace

SPACE = SearchSpace("grid", [Choice(f"x{i}", tuple(range(5))) for i in range(4)])


@pytest.mark.parametrize(
    ("sign", "op", "limit", "gain", "excess"),
    [
        # gains are costs with the other sign; a latency of 3 has the cost 3 and the gain -3
        (1.0, "<=", 2.0, -3.0, 1.0),
        (1.0, "<=", 2.0, -1.0, -1.0),
        (-1.0, ">=", 70.0, 65.0, 5.0),  # an accuracy of 65 has the cost -65
        (-1.0, ">=", 70.0, 75.0, -5.0),
    ],
)
def test_a_limit_that_is_missed_is_above_zero(sign, op, limit, gain, excess) -> None:
    draws = torch.tensor([[0.0, gain]], dtype=torch.float64)
    assert _excess(1, sign, op, limit)(draws).tolist() == [excess]


def test_without_the_package_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botorch_qnehvi, "find_spec", lambda name: None)
    with pytest.raises(SearchError, match=r"needs the package botorch.*hwsearch\[botorch\]"):
        BotorchQnehviSearcher(SPACE, ["max accuracy"])


def told(objectives, n: int = 12, **options) -> BotorchQnehviSearcher:
    pytest.importorskip("botorch")
    searcher = BotorchQnehviSearcher(SPACE, objectives, 0, start=n, **options)
    rows = searcher.ask_array(n)
    searcher.tell_array(rows, [[50.0 + row.sum(), 1.0 + row[0]][: len(searcher.objectives)] for row in rows])
    return searcher


def test_candidates_are_new_and_half_of_them_neighbours_of_the_best() -> None:
    searcher = told(["max accuracy", "min latency_ms"], pool=40)
    found = searcher._candidates(searcher.rows, searcher.values, 4)
    assert len(found) <= 40 and not searcher.is_known_array(found).any()
    best = searcher.rows[searcher._ranking(searcher.values, botorch_qnehvi.PARENTS)]
    near = (np.abs(found[:, None] != best[None]).sum(axis=2) == 1).any(axis=1)
    assert near.sum() >= 20
    assert len(searcher._candidates(searcher.rows, searcher.values, 30)) >= 30  # more than the pool where asked


def test_one_objective_is_maximised() -> None:
    searcher = told(["max accuracy"], pool=100, draws=16)
    rows = searcher.ask_array(3)
    assert np.median(rows.sum(axis=1)) > np.median(searcher.rows.sum(axis=1))
