"""The entry points of installed packages, looked up once a process: reading all packages' metadata takes 10 ms."""

from __future__ import annotations

import importlib.metadata
from functools import cache


@cache
def entry_points(*, group: str) -> importlib.metadata.EntryPoints:
    """As `importlib.metadata.entry_points`, of one group; what is installed later is not seen."""
    return importlib.metadata.entry_points(group=group)
