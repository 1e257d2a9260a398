"""The engine joins the parts: a campaign and the steps that work on it."""

from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.progress import LoggedProgress, Progress
from hwsearch.campaigns.steps.check import check
from hwsearch.campaigns.steps.export import export
from hwsearch.campaigns.steps.finetune import finetune_subnet
from hwsearch.campaigns.steps.fit import fit, predict
from hwsearch.campaigns.steps.fronts import front, write_front
from hwsearch.campaigns.steps.pick import pick, picks
from hwsearch.campaigns.steps.profile import evaluate, profile
from hwsearch.campaigns.steps.search import search
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
