"""The package itself: its version, names that are imported on first use, and how its threads wait."""

from __future__ import annotations

import os
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


#: how threads of OpenMP wait for each other, and the mark that it was this package that said so
WAIT_POLICY, OWN_POLICY = "OMP_WAIT_POLICY", "HWSEARCH_OMP_WAIT_POLICY"


def let_threads_sleep() -> None:
    """Have threads of OpenMP sleep while they wait for each other, unless the environment says how they wait.

    By default they spin. Beside other work, two threads that spin on two cores take several times as long as two that sleep;
    alone, both take the same. It has to be said before torch is imported.
    """
    if not {WAIT_POLICY, "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & os.environ.keys():
        os.environ[WAIT_POLICY] = os.environ[OWN_POLICY] = "PASSIVE"


def measuring_environment() -> dict[str, str]:
    """Return the environment of a measuring process: without what `let_threads_sleep` set, which changes latencies.

    Returns
    -------
    dict of str to str
        A copy of this process's.
    """
    ours = {WAIT_POLICY, OWN_POLICY} if OWN_POLICY in os.environ else set()
    return {k: v for k, v in os.environ.items() if k not in ours}
