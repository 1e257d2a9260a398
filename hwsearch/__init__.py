"""hwsearch finds, for each target device, the Pareto-optimal subnets of a pretrained supernet, from measurements.

The verbs of the command line are functions here: `add_task`, `assess_supernet`, `check`, `cluster`, `demo`, `doctor`, `ensemble`, `evaluate`, `export`, `export_task`, `finetune`, `fit`, `front`, `grow`, `operators`, `pick`, `plan`, `plan_training`, `predict`, `profile`, `prune`, `report`, `run`, `search`, `tables`, `train`, `validate`, `work`. The verbs
`devices` and `supernets`, whose names are also those of subpackages, are functions of `hwsearch.api`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hwsearch._package import __version__, lazy_names

logging.getLogger("hwsearch").addHandler(logging.NullHandler())

_CLASSES = {
    "Architecture": "hwsearch.spaces",
    "Campaign": "hwsearch.campaigns",
    "HwsearchError": "hwsearch.errors",
    "SearchSpace": "hwsearch.spaces",
    "__version__": "hwsearch._package",
}

if TYPE_CHECKING:
    from hwsearch.api import (
        add_task,
        assess_supernet,
        check,
        cluster,
        demo,
        doctor,
        ensemble,
        evaluate,
        export,
        export_task,
        finetune,
        fit,
        front,
        grow,
        operators,
        pick,
        plan,
        plan_training,
        predict,
        profile,
        prune,
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
    "add_task",
    "assess_supernet",
    "check",
    "cluster",
    "demo",
    "doctor",
    "ensemble",
    "evaluate",
    "export",
    "export_task",
    "finetune",
    "fit",
    "front",
    "grow",
    "operators",
    "pick",
    "plan",
    "plan_training",
    "predict",
    "profile",
    "prune",
    "report",
    "run",
    "search",
    "tables",
    "train",
    "validate",
    "work",
]

__getattr__, __dir__ = lazy_names(__name__, {name: _CLASSES.get(name, "hwsearch.api") for name in __all__})
