"""Campaigns: one supernet, its objectives and devices in one folder, and the steps that work on it.

Each name is imported when it is first used: the command line needs few of them to print its help.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsearch._package import lazy_names, let_threads_sleep

#: where each name is defined
PLACES = {
    "Campaign": "hwsearch.campaigns.campaign",
    "LoggedProgress": "hwsearch.campaigns.progress",
    "Progress": "hwsearch.campaigns.progress",
    "build_ensemble": "hwsearch.campaigns.steps.ensemble",
    "build_report": "hwsearch.campaigns.steps.report",
    "check": "hwsearch.campaigns.steps.check",
    "evaluate": "hwsearch.campaigns.steps.evaluate",
    "export": "hwsearch.campaigns.steps.export",
    "finetune_subnet": "hwsearch.campaigns.steps.finetune",
    "fit": "hwsearch.campaigns.steps.fit",
    "front": "hwsearch.campaigns.steps.fronts",
    "pick": "hwsearch.campaigns.steps.pick",
    "picks": "hwsearch.campaigns.steps.picks",
    "predict": "hwsearch.campaigns.predictions",
    "profile": "hwsearch.campaigns.steps.profile",
    "search": "hwsearch.campaigns.steps.search",
    "validate": "hwsearch.campaigns.steps.validate",
    "write_front": "hwsearch.campaigns.steps.tables",
    "write_studies": "hwsearch.campaigns.steps.report",
}

if TYPE_CHECKING:
    from hwsearch.campaigns.campaign import Campaign
    from hwsearch.campaigns.predictions import predict
    from hwsearch.campaigns.progress import LoggedProgress, Progress
    from hwsearch.campaigns.steps.check import check
    from hwsearch.campaigns.steps.ensemble import build_ensemble
    from hwsearch.campaigns.steps.evaluate import evaluate
    from hwsearch.campaigns.steps.export import export
    from hwsearch.campaigns.steps.finetune import finetune_subnet
    from hwsearch.campaigns.steps.fit import fit
    from hwsearch.campaigns.steps.fronts import front
    from hwsearch.campaigns.steps.pick import pick
    from hwsearch.campaigns.steps.picks import picks
    from hwsearch.campaigns.steps.profile import profile
    from hwsearch.campaigns.steps.report import build_report, write_studies
    from hwsearch.campaigns.steps.search import search
    from hwsearch.campaigns.steps.tables import write_front
    from hwsearch.campaigns.steps.validate import validate

__all__ = [
    "Campaign",
    "LoggedProgress",
    "Progress",
    "build_ensemble",
    "build_report",
    "check",
    "evaluate",
    "export",
    "finetune_subnet",
    "fit",
    "front",
    "pick",
    "picks",
    "predict",
    "profile",
    "search",
    "validate",
    "write_front",
    "write_studies",
]

__getattr__, __dir__ = lazy_names(__name__, PLACES)

let_threads_sleep()  # nothing has imported torch yet
