"""Verbs that are also the names of subpackages: `hwsearch.search` is a module, and can be called.

``hwsearch.search.create(…)`` uses the tactics alone; ``hwsearch.search(campaign)`` does what the
command ``hwsearch search`` does.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

#: where the function behind each such verb lies
PLACES = {
    "devices": "hwsearch.inspect",
    "export": "hwsearch.api",
    "front": "hwsearch.api",
    "report": "hwsearch.api",
    "search": "hwsearch.api",
    "supernets": "hwsearch.inspect",
    "tables": "hwsearch.tables",
}


class VerbModule(ModuleType):
    """A module that calls the verb of its name."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        verb = self.__name__.rpartition(".")[2]
        return getattr(import_module(PLACES[verb]), verb)(*args, **kwargs)


def make_callable(name: str) -> None:
    """Let the module `name`, one of `PLACES`, be called as the verb."""
    sys.modules[name].__class__ = VerbModule
