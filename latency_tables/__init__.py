"""Measured latencies as data: one folder a device, with a description and one table a search space.

Each name is imported when it is first used, and pandas with it.

Examples
--------
>>> import latency_tables
>>> table = latency_tables.load("v100-b64", "ofa-mobilenetv3")
>>> len(table), "latency_ms" in table.columns
(5000, True)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

#: where each name is defined
PLACES = {
    "FOLDER": "latency_tables.tables",
    "Fault": "latency_tables.errors",
    "Gene": "latency_tables.spaces",
    "TableError": "latency_tables.errors",
    "TableSpace": "latency_tables.spaces",
    "devices": "latency_tables.tables",
    "import_file": "latency_tables.importing",
    "load": "latency_tables.tables",
    "load_space": "latency_tables.spaces",
    "parse_space": "latency_tables.spaces",
    "show": "latency_tables.tables",
    "space_names": "latency_tables.spaces",
    "table_facts": "latency_tables.tables",
    "verify": "latency_tables.tables",
    "write": "latency_tables.tables",
}

if TYPE_CHECKING:
    from latency_tables.errors import Fault, TableError
    from latency_tables.importing import import_file
    from latency_tables.spaces import Gene, TableSpace, load_space, parse_space, space_names
    from latency_tables.tables import FOLDER, devices, load, show, table_facts, verify, write

__all__ = [
    "FOLDER",
    "Fault",
    "Gene",
    "TableError",
    "TableSpace",
    "devices",
    "import_file",
    "load",
    "load_space",
    "parse_space",
    "show",
    "space_names",
    "table_facts",
    "verify",
    "write",
]


def __getattr__(name: str) -> Any:
    if name in PLACES:
        return getattr(import_module(PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(PLACES)
