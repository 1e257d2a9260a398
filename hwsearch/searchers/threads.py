"""Limit linear algebra to one thread: a search's matrices are small, and its asks must not depend on the number of cores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import scipy.linalg  # noqa: F401 - loads scipy's own BLAS beside numpy's, before the libraries are counted
from threadpoolctl import ThreadpoolController


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let numpy's and scipy's BLAS work with one thread inside; also a decorator, ``@one_blas_thread()``.

    With several, the sums of a model's fit have another order and so another last bit, and other architectures are asked;
    and threads that wait for each other on a busy machine make a fit several times slower.

    Yields
    ------
    None
        Nothing; what was set before comes back at the end.
    """
    with _controller().limit(limits=1, user_api="blas"):
        yield
