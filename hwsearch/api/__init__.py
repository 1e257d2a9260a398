"""The verbs of the command line, as functions of the same names.

Each is imported when it is first used. All but `devices` and `supernets`, which are also names of subpackages, are
functions of `hwsearch` itself, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsearch._package import lazy_names, let_threads_sleep

#: where each verb is defined
PLACES = {
    "add_task": "hwsearch.api.adding_tasks",
    "assess_supernet": "hwsearch.api.assessment",
    "check": "hwsearch.api.campaign",
    "cluster": "hwsearch.devices.fleet.serving",
    "demo": "hwsearch.api.demonstration",
    "devices": "hwsearch.api.inspection",
    "doctor": "hwsearch.api.inspection",
    "ensemble": "hwsearch.api.results",
    "evaluate": "hwsearch.api.campaign",
    "export": "hwsearch.api.results",
    "export_task": "hwsearch.api.adding_tasks",
    "finetune": "hwsearch.api.results",
    "fit": "hwsearch.api.campaign",
    "front": "hwsearch.api.results",
    "grow": "hwsearch.api.growing",
    "operators": "hwsearch.api.campaign",
    "pick": "hwsearch.api.results",
    "plan": "hwsearch.api.results",
    "plan_training": "hwsearch.api.planning",
    "predict": "hwsearch.api.results",
    "profile": "hwsearch.api.campaign",
    "prune": "hwsearch.api.pruning",
    "report": "hwsearch.api.results",
    "run": "hwsearch.api.campaign",
    "search": "hwsearch.api.campaign",
    "supernets": "hwsearch.api.catalogue",
    "tables": "hwsearch.api.device_tables",
    "train": "hwsearch.api.training",
    "validate": "hwsearch.api.campaign",
    "work": "hwsearch.api.campaign",
}

if TYPE_CHECKING:
    from hwsearch.api.adding_tasks import add_task, export_task
    from hwsearch.api.assessment import assess_supernet
    from hwsearch.api.campaign import (
        check,
        evaluate,
        fit,
        operators,
        profile,
        run,
        search,
        validate,
        work,
    )
    from hwsearch.api.catalogue import supernets
    from hwsearch.api.demonstration import demo
    from hwsearch.api.device_tables import tables
    from hwsearch.api.growing import grow
    from hwsearch.api.inspection import devices, doctor
    from hwsearch.api.planning import plan_training
    from hwsearch.api.pruning import prune
    from hwsearch.api.results import ensemble, export, finetune, front, pick, plan, predict, report
    from hwsearch.api.training import train
    from hwsearch.devices.fleet.serving import cluster

__all__ = [
    "add_task",
    "assess_supernet",
    "check",
    "cluster",
    "demo",
    "devices",
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
    "supernets",
    "tables",
    "train",
    "validate",
    "work",
]

__getattr__, __dir__ = lazy_names(__name__, PLACES)

let_threads_sleep()  # nothing has imported torch yet
