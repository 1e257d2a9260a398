"""Search tactics: `create` one by name, then ask for architectures and tell their measured values."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from hwsearch._verbs import make_callable
from hwsearch.errors import SearchError, nearest
from hwsearch.objective import Objective
from hwsearch.plugins import entry_points
from hwsearch.search.base import Searcher
from hwsearch.spaces import SearchSpace

__all__ = ["Searcher", "create", "tactics"]

GROUP = "hwsearch.searchers"
#: other names of tactics
ALIASES = {"default": "plumb"}
#: this package's own tactics, for a source tree that is not installed
BUILT_IN = {
    "age-moea": "hwsearch.search.agemoea:AgeMoeaSearcher",
    "balanced-random": "hwsearch.search.balanced_random:BalancedRandomSearcher",
    "bananas": "hwsearch.search.bananas:BananasSearcher",
    "botorch-qnehvi": "hwsearch.search.botorch_qnehvi:BotorchQnehviSearcher",
    "brp-nas": "hwsearch.search.brpnas:BrpNasSearcher",
    "ctaea": "hwsearch.search.ctaea:CTaeaSearcher",
    "guided": "hwsearch.search.guided:GuidedSearcher",
    "linas": "hwsearch.search.linas:LinasSearcher",
    "local-search": "hwsearch.search.local_search:LocalSearchSearcher",
    "moead": "hwsearch.search.moead:MoeadSearcher",
    "nsga2": "hwsearch.search.nsga2:Nsga2Searcher",
    "nsga3": "hwsearch.search.nsga3:Nsga3Searcher",
    "optuna-cmaes": "hwsearch.search.optuna_cmaes:OptunaCmaesSearcher",
    "optuna-gp": "hwsearch.search.optuna_gp:OptunaGpSearcher",
    "optuna-nsga2": "hwsearch.search.optuna_nsga2:OptunaNsga2Searcher",
    "optuna-nsga3": "hwsearch.search.optuna_nsga3:OptunaNsga3Searcher",
    "optuna-tpe": "hwsearch.search.optuna_tpe:OptunaTpeSearcher",
    "parego": "hwsearch.search.parego:ParegoSearcher",
    "plumb": "hwsearch.search.plumb:PlumbSearcher",
    "qnehvi": "hwsearch.search.qnehvi:QnehviSearcher",
    "random": "hwsearch.search.random_search:RandomSearcher",
    "regularised-evolution": "hwsearch.search.regularised_evolution:RegularisedEvolutionSearcher",
    "unsga3": "hwsearch.search.unsga3:UNsga3Searcher",
    "weaknas": "hwsearch.search.weaknas:WeakNasSearcher",
}


def tactics() -> list[str]:
    """The names that `create` knows: this package's and those of installed plug-ins."""
    return sorted({*BUILT_IN, *ALIASES, *(e.name for e in entry_points(group=GROUP))})


def find(name: str) -> type[Searcher]:
    """The class of a tactic; entry points of the group `hwsearch.searchers` first, then the built-in ones.

    Raises SearchError for an unknown name and for an entry point that is not a `Searcher`.
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
    """A searcher of tactic `name` ("default" is "plumb"); `options` are those of its class.

    Raises SearchError for an unknown tactic or option, and for a value that an option does not take.
    """
    return find(name)(space, objectives, seed, **options)


make_callable(__name__)
