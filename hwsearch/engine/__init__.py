"""The engine joins the parts: a campaign and the steps that work on it."""

from hwsearch.engine.campaign import Campaign
from hwsearch.engine.finetuning import finetune_subnet
from hwsearch.engine.progress import LoggedProgress, Progress
from hwsearch.engine.results import export, front, pick, picks, write_front
from hwsearch.engine.searching import search
from hwsearch.engine.steps import check, evaluate, fit, predict, profile
from hwsearch.engine.validating import validate

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
