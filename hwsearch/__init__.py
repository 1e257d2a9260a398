"""hwsearch finds, for each target device, the Pareto-optimal subnets of a pretrained supernet, from measurements.

The verbs of the command line are functions here: `check`, `cluster`, `demo`, `doctor`, `evaluate`, `export`, `finetune`, `fit`, `front`, `operators`, `pick`, `profile`, `report`, `run`, `search`, `tables`, `train`, `validate`, `work`. The verbs
`devices` and `supernets`, whose names are also those of subpackages, are functions of `hwsearch.api`.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from hwsearch._version import __version__

logging.getLogger("hwsearch").addHandler(logging.NullHandler())

_CLASSES = {
    "Architecture": "hwsearch.spaces",
    "Campaign": "hwsearch.campaigns",
    "HwsearchError": "hwsearch.errors",
    "SearchSpace": "hwsearch.spaces",
}

if TYPE_CHECKING:
    from hwsearch.api import (
        check,
        cluster,
        demo,
        doctor,
        evaluate,
        export,
        finetune,
        fit,
        front,
        operators,
        pick,
        profile,
        report,
        run,
        search,
        tables,
        train,
        validate,
        work,
    )
    from hwsearch.campaigns import Campaign
    from hwsearch.errors import HwsearchError
    from hwsearch.spaces import Architecture, SearchSpace

__all__ = [
    "Architecture",
    "Campaign",
    "HwsearchError",
    "SearchSpace",
    "__version__",
    "check",
    "cluster",
    "demo",
    "doctor",
    "evaluate",
    "export",
    "finetune",
    "fit",
    "front",
    "operators",
    "pick",
    "profile",
    "report",
    "run",
    "search",
    "tables",
    "train",
    "validate",
    "work",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_CLASSES.get(name, "hwsearch.api")), name)
    raise AttributeError(f"module 'hwsearch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
