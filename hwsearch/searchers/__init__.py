"""Search tactics: `create` one by name, then ask for architectures and tell their measured values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective
from hwsearch.registry import Registry
from hwsearch.searchers.base import Searcher
from hwsearch.spaces import SearchSpace

__all__ = ["TACTICS", "Searcher", "create", "find", "tactics"]

TACTICS: Registry[type[Searcher]] = Registry(
    "hwsearch.searchers",
    "search tactic",
    SearchError,
    lambda found: isinstance(found, type) and issubclass(found, Searcher),
    "a Searcher class",
)


def tactics() -> list[str]:
    """Return the names that `create` knows: this package's tactics and those of installed plug-ins.

    Returns
    -------
    list of str
        In alphabetical order.
    """
    return TACTICS.names()


def find(name: str) -> type[Searcher]:
    """Return the class of a tactic.

    Parameters
    ----------
    name : str
        One of `tactics`.

    Returns
    -------
    type of Searcher
        Not yet created.

    Raises
    ------
    SearchError
        For an unknown name.
    """
    return TACTICS.load(name)


def create(
    name: str, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, **options: Any
) -> Searcher:
    """Create a searcher of the tactic of that name.

    Parameters
    ----------
    name : str
        One of `tactics`; ``default`` is the tactic ``plumb``.
    space : SearchSpace
        What can be chosen.
    objectives : iterable of Objective or str
        Such as ``"max accuracy"``, ``"min latency_ms"``, ``"latency_ms <= 2"``.
    seed : int, default 0
        All randomness comes from it.
    **options
        Those of the tactic's class.

    Returns
    -------
    Searcher
        Driven by `Searcher.ask` and `Searcher.tell`.

    Raises
    ------
    SearchError
        For an unknown tactic or option, and for a value that an option does not take.

    Examples
    --------
    >>> from hwsearch import spaces
    >>> searcher = create("nsga2", spaces.load("nas-bench-201"), ["max accuracy", "min latency_ms"], seed=1)
    >>> len(searcher.ask(4))
    4
    """
    return find(name)(space, objectives, seed, **options)
