"""Search tactics: `create` one by name, then ask for architectures and tell their measured values.

Examples
--------
>>> from hwsearch.spaces import Choice, SearchSpace
>>> space = SearchSpace("tiny", [Choice("depth", (1, 2, 3)), Choice("width", (16, 32))])
>>> searcher = create("default", space, ["max accuracy", "min latency_ms <= 12"], seed=0)
>>> len(searcher.ask(4))
4
"""

from __future__ import annotations

from collections.abc import Iterable

from hwsearch.errors import SearchError
from hwsearch.objectives.objective import Objective
from hwsearch.registry import Registry
from hwsearch.searchers.base import Searcher
from hwsearch.searchers.capabilities import Capabilities
from hwsearch.searchers.info import AskInfo
from hwsearch.searchers.options import OptionRow, describe
from hwsearch.spaces import SearchSpace

__all__ = ["AskInfo", "Capabilities", "TACTICS", "Searcher", "create", "describe_options", "find", "tactics"]

TACTICS: Registry[type[Searcher]] = Registry(
    "hwsearch.searchers",
    "search tactic",
    SearchError,
    lambda found: isinstance(found, type) and issubclass(found, Searcher),
    "a Searcher class",
)


def tactics() -> list[str]:
    """List the names that `create` knows: this package's and those of installed plug-ins.

    Returns
    -------
    list of str
        Sorted.

    Examples
    --------
    >>> "nsga2" in tactics()
    True
    """
    return TACTICS.names()


def find(name: str) -> type[Searcher]:
    """Find the class of a tactic.

    Parameters
    ----------
    name : str
        One of `tactics`.

    Returns
    -------
    type of Searcher
        Not made yet.

    Raises
    ------
    SearchError
        For an unknown name.
    PluginError
        For a name that two distributions claim, and for an entry point that is not a `Searcher`.

    Examples
    --------
    >>> find("default").__name__
    'PlumbSearcher'
    """
    return TACTICS.load(name)


def create(
    name: str, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, **options: object
) -> Searcher:
    """Make a searcher by the name of its tactic.

    Parameters
    ----------
    name : str
        One of `tactics`; ``"default"`` is ``"plumb"``.
    space : SearchSpace
        What can be chosen.
    objectives : iterable of Objective or str
        Such as ``"max accuracy"``, ``"min latency_ms <= 12"``; limits must be absolute.
    seed : int
        All randomness comes from it.
    **options : object
        Those of the tactic, see `describe_options`.

    Returns
    -------
    Searcher
        To be driven by `Searcher.ask` and `Searcher.tell`.

    Raises
    ------
    SearchError
        For an unknown tactic or option, and for a value that an option does not take.

    Examples
    --------
    >>> from hwsearch.spaces import Choice, SearchSpace
    >>> space = SearchSpace("tiny", [Choice("depth", (1, 2, 3)), Choice("width", (16, 32))])
    >>> create("nsga2", space, ["max accuracy"], seed=0, population=4).options.population
    4
    """
    return find(name)(space, objectives, seed, **options)


def describe_options(name: str) -> list[OptionRow]:
    """Describe the options of a tactic, as the documentation shows them.

    Parameters
    ----------
    name : str
        One of `tactics`.

    Returns
    -------
    list of OptionRow
        (name, type, default, description) of each option.

    Raises
    ------
    SearchError
        For an unknown name.

    Examples
    --------
    >>> describe_options("local-search")[0][:3]
    ('start', 'integer >= 1', '10')
    """
    return describe(find(name).Options)
