"""Campaigns: one supernet, its objectives and devices in one folder, and the steps that work on it."""

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.predictions import predict
from hwsearch.campaigns.progress import LoggedProgress, Progress
from hwsearch.campaigns.steps.check import check
from hwsearch.campaigns.steps.evaluate import evaluate
from hwsearch.campaigns.steps.export import export
from hwsearch.campaigns.steps.finetune import finetune_subnet
from hwsearch.campaigns.steps.fit import fit
from hwsearch.campaigns.steps.fronts import front
from hwsearch.campaigns.steps.pick import pick
from hwsearch.campaigns.steps.picks import picks
from hwsearch.campaigns.steps.profile import profile
from hwsearch.campaigns.steps.search import search
from hwsearch.campaigns.steps.tables import write_front
from hwsearch.campaigns.steps.validate import validate

__all__ = [
    "Campaign",
    "LoggedProgress",
    "Progress",
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
]
