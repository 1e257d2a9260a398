"""hwsearch finds, for each target device, the Pareto-optimal subnets of a pretrained supernet, from measurements.

The verbs of the command line are functions here: `run`, `demo`, `profile`, `evaluate`, `fit`,
`search`, `validate`, `front`, `pick`, `export`, `finetune`, `report`, `train`, `doctor`, `supernets`, `devices`,
`tables`.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

logging.getLogger("hwsearch").addHandler(logging.NullHandler())

_PLACES = {
    **dict.fromkeys(
        ["check", "demo", "evaluate", "finetune", "fit", "pick", "profile", "run", "validate"], "hwsearch.api"
    ),
    "doctor": "hwsearch.inspect",
    "train": "hwsearch.recipes",
    "Campaign": "hwsearch.engine",
    "Architecture": "hwsearch.spaces",
    "SearchSpace": "hwsearch.spaces",
    "HwsearchError": "hwsearch.errors",
}
#: verbs that share their name with a subpackage, which can be called
_MODULES = ("devices", "export", "front", "report", "search", "supernets", "tables")

if TYPE_CHECKING:
    from hwsearch.api import (
        check,
        demo,
        evaluate,
        export,
        finetune,
        fit,
        front,
        pick,
        profile,
        report,
        run,
        search,
        validate,
    )
    from hwsearch.engine import Campaign
    from hwsearch.errors import HwsearchError
    from hwsearch.inspect import devices, doctor, supernets
    from hwsearch.recipes import train
    from hwsearch.spaces import Architecture, SearchSpace
    from hwsearch.tables import tables

__all__ = [
    "Architecture",
    "Campaign",
    "HwsearchError",
    "SearchSpace",
    "__version__",
    "check",
    "demo",
    "devices",
    "doctor",
    "evaluate",
    "export",
    "finetune",
    "fit",
    "front",
    "pick",
    "profile",
    "report",
    "run",
    "search",
    "supernets",
    "tables",
    "train",
    "validate",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"hwsearch.{name}")
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'hwsearch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
