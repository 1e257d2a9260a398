"""Asks do not hang on the number of threads that linear algebra has."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from hwsearch.searchers.random import RandomSearcher
from hwsearch.testing.toy_spaces import small_space


def blas_threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_a_proposal_is_made_with_one_thread_and_the_others_come_back() -> None:
    seen: list[list[int]] = []

    class Looking(RandomSearcher):
        def _propose(self, n: int) -> np.ndarray:
            seen.append(blas_threads())
            return super()._propose(n)

    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        Looking(small_space(), ["accuracy"]).ask(3)
        assert blas_threads() == before
    assert before and set(seen[0]) == {1}
