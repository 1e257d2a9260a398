"""Plug-ins by entry point: one registry for every kind, one rule for a name that is taken twice.

A kind of plug-in is a group of entry points such as ``hwsearch.searchers``. This package's own plug-ins are entries like any
other's; a plug-in of yours is one file and one line of your ``pyproject.toml``:

.. code-block:: toml

    [project.entry-points."hwsearch.searchers"]
    mine = "my_package.mine:MySearcher"
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

from hwsearch.errors import HwsearchError, PluginError, describe, foreign_code, nearest

T = TypeVar("T")


@cache
def entry_points(group: str) -> tuple[importlib.metadata.EntryPoint, ...]:
    """Return the entry points of one group; reading all packages' metadata takes 10 ms, so it is done once a process.

    Parameters
    ----------
    group : str
        Such as ``hwsearch.searchers``.

    Returns
    -------
    tuple of importlib.metadata.EntryPoint
        Of every installed distribution; what is installed later in the life of the process is not seen.
    """
    return tuple(importlib.metadata.entry_points(group=group))


@dataclass(frozen=True)
class Registry(Generic[T]):
    """The plug-ins of one kind, by name.

    Attributes
    ----------
    group : str
        Group of entry points.
    noun : str
        What one is called in messages, such as "search tactic".
    error : type of HwsearchError
        Raised for an unknown name.
    accepts : callable
        Whether an object is a plug-in of this kind.
    wanted : str
        What `accepts` asks for, in words, such as "a Searcher class".

    Examples
    --------
    >>> from hwsearch.searchers import TACTICS
    >>> "nsga2" in TACTICS.names()
    True
    >>> TACTICS.load("nsga2").__name__
    'Nsga2Searcher'
    """

    group: str
    noun: str
    error: type[HwsearchError]
    accepts: Callable[[object], bool]
    wanted: str

    def names(self) -> list[str]:
        """Return the registered names in alphabetical order; nothing is imported.

        Returns
        -------
        list of str
            Each once, also where two distributions claim it.
        """
        return sorted({point.name for point in entry_points(self.group)})

    def load(self, name: str, *, where: str = "") -> T:
        """Import and return the plug-in of a name.

        Parameters
        ----------
        name : str
            As registered.
        where : str, optional
            Who asks, for the message, such as "device 'box'".

        Returns
        -------
        T
            What the entry point names.

        Raises
        ------
        HwsearchError
            Of type `error`, when there is no such name; the hint is the nearest one.
        PluginError
            When two distributions claim the name (both are named), when its module cannot be imported, whatever it raises, or
            when it is not of this kind.
        """
        points = [point for point in entry_points(self.group) if point.name == name]
        if not points:
            asks = f"{where} asks for {self.noun} {name!r}, which is" if where else f"{self.noun} {name!r} is"
            raise self.error(f"{asks} not installed.", hint=nearest(name, self.names()))
        if len({(point.value, _distribution(point)) for point in points}) > 1:
            claims = " and ".join(f"{_distribution(p)!r} ({p.value})" for p in points)
            raise PluginError(
                f"{self.noun} {name!r} is registered by two distributions: {claims}.",
                hint="Uninstall one of them, or rename its entry point.",
            )

        def not_imported(error: BaseException) -> PluginError:
            why = describe(error)
            if isinstance(error, (ImportError, AttributeError, HwsearchError)):
                why = why.partition(": ")[2]
            return PluginError(
                f"{self.noun} {name!r} of distribution {_distribution(points[0])!r} cannot be imported from "
                f"{points[0].value!r}: {why}.",
                hint="Correct the module or the entry point, or uninstall the distribution.",
            )

        with foreign_code(not_imported):
            found = points[0].load()
        if not self.accepts(found):
            raise PluginError(
                f"entry point {points[0].value!r} of {self.noun} {name!r} is {found!r}, which is not {self.wanted}."
            )
        return found  # type: ignore[no-any-return]


def _distribution(point: importlib.metadata.EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "unknown distribution"
