"""The package itself: its version, in one place, and names of packages that are imported on first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__version__ = "0.1.0"


def lazy_names(package: str, places: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make a package's ``__getattr__`` and ``__dir__`` (PEP 562), which import each name when it is first used.

    Parameters
    ----------
    package : str
        The package's ``__name__``.
    places : mapping of str to str
        The module that defines each name.

    Returns
    -------
    getattr, dir : callable
        For the package's namespace; an unknown name is an AttributeError.
    """

    def find(name: str) -> Any:
        if name in places:
            return getattr(import_module(places[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find, lambda: sorted(places)
