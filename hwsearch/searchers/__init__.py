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
from importlib import import_module
from typing import Any

from hwsearch.errors import SearchError, nearest
from hwsearch.objectives.objective import Objective
from hwsearch.registry import entry_points
from hwsearch.searchers.base import Searcher
from hwsearch.searchers.capabilities import Capabilities
from hwsearch.searchers.info import AskInfo
from hwsearch.searchers.options import OptionRow, describe
from hwsearch.spaces import SearchSpace

__all__ = ["AskInfo", "Capabilities", "Searcher", "create", "describe_options", "tactics"]

GROUP = "hwsearch.searchers"
#: other names of tactics
ALIASES = {"default": "plumb"}
#: this package's own tactics, for a source tree that is not installed
BUILT_IN = {
    "age-moea": "hwsearch.searchers.evolutionary.agemoea:AgeMoeaSearcher",
    "balanced-random": "hwsearch.searchers.balanced_random:BalancedRandomSearcher",
    "bananas": "hwsearch.searchers.predicted.bananas:BananasSearcher",
    "botorch-qnehvi": "hwsearch.searchers.bayesian.botorch_qnehvi:BotorchQnehviSearcher",
    "brp-nas": "hwsearch.searchers.predicted.brpnas:BrpNasSearcher",
    "ctaea": "hwsearch.searchers.evolutionary.ctaea:CTaeaSearcher",
    "guided": "hwsearch.searchers.predicted.guided:GuidedSearcher",
    "linas": "hwsearch.searchers.predicted.linas:LinasSearcher",
    "local-search": "hwsearch.searchers.evolutionary.local_search:LocalSearchSearcher",
    "moead": "hwsearch.searchers.evolutionary.moead:MoeadSearcher",
    "nsga2": "hwsearch.searchers.evolutionary.nsga2:Nsga2Searcher",
    "nsga3": "hwsearch.searchers.evolutionary.nsga3:Nsga3Searcher",
    "optuna-cmaes": "hwsearch.searchers.optuna.cmaes:OptunaCmaesSearcher",
    "optuna-gp": "hwsearch.searchers.optuna.gp:OptunaGpSearcher",
    "optuna-nsga2": "hwsearch.searchers.optuna.nsga2:OptunaNsga2Searcher",
    "optuna-nsga3": "hwsearch.searchers.optuna.nsga3:OptunaNsga3Searcher",
    "optuna-tpe": "hwsearch.searchers.optuna.tpe:OptunaTpeSearcher",
    "parego": "hwsearch.searchers.bayesian.parego:ParegoSearcher",
    "plumb": "hwsearch.searchers.bayesian.plumb:PlumbSearcher",
    "random": "hwsearch.searchers.random:RandomSearcher",
    "regularised-evolution": "hwsearch.searchers.evolutionary.regularised_evolution:RegularisedEvolutionSearcher",
    "unsga3": "hwsearch.searchers.evolutionary.unsga3:UNsga3Searcher",
    "weaknas": "hwsearch.searchers.predicted.weaknas:WeakNasSearcher",
}


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
    return sorted({*BUILT_IN, *ALIASES, *(e.name for e in entry_points(group=GROUP))})


def find(name: str) -> type[Searcher]:
    """Find the class of a tactic: entry points of the group `hwsearch.searchers` first, then the built-in ones.

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
        For an unknown name, and for an entry point that is not a `Searcher`.

    Examples
    --------
    >>> find("default").__name__
    'PlumbSearcher'
    """
    for entry in entry_points(group=GROUP):
        if entry.name != name:
            continue
        found = entry.load()
        if not (isinstance(found, type) and issubclass(found, Searcher)):
            raise SearchError(f"entry point {name!r} of {GROUP!r} gives {found!r}, which is not a Searcher class.")
        return found
    target = BUILT_IN.get(ALIASES.get(name, name))
    if target is None:
        raise SearchError(f"there is no search tactic {name!r}.", hint=nearest(name, tactics()))
    module, _, attribute = target.partition(":")
    loaded: type[Searcher] = getattr(import_module(module), attribute)
    return loaded


def create(
    name: str, space: SearchSpace, objectives: Iterable[Objective | str], seed: int = 0, **options: Any
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
