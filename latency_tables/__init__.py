"""Measured latencies as data: one folder a device, with a description and one table a search space.

Examples
--------
>>> table = load("v100-b64", "ofa-mobilenetv3")
>>> len(table), "latency_ms" in table.columns
(5000, True)
"""

from __future__ import annotations

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
