"""Collect everything that the page and the figures of a report show."""

from __future__ import annotations

import shlex
from functools import partial
from typing import Any

from hwsearch._json import JsonObject
from hwsearch._package import __version__
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.lookup import accuracy_protocol
from hwsearch.campaigns.states import TASKS
from hwsearch.campaigns.steps.fronts import device_final_set
from hwsearch.campaigns.steps.report_devices import device_report, kept_elsewhere
from hwsearch.campaigns.steps.report_predictors import predictor_scores, predictor_warnings
from hwsearch.campaigns.steps.report_serving import serving, serving_words
from hwsearch.campaigns.steps.report_warnings import report_warnings
from hwsearch.devices import host_facts, versions
from hwsearch.objectives.front import Front
from hwsearch.reporting import ReportData
from hwsearch.reporting.assessment_result import read_assessment
from hwsearch.reporting.data import MOST_COMPARED
from hwsearch.reporting.paths import without_host_paths
from hwsearch.store import utc_now


def report_data(
    campaign: Campaign, known: Known, cards: list[dict[str, Any]], search_end: str | None = None
) -> ReportData:
    """Collect everything the page and the figures show.

    Parameters
    ----------
    campaign : Campaign
        Whose candidates have been validated.
    known : Known
        What the store holds.
    cards : list of dict
        Of the exported picks.
    search_end : str, optional
        How the search ended.

    Returns
    -------
    ReportData
        Plain values, which can be written as JSON.

    Raises
    ------
    CampaignError
        If nothing has been validated, or the predictors have not been fitted.
    """
    entry, task = campaign.loaded.entry, campaign.loaded.task
    net, space, classes = campaign.loaded.net, campaign.space, campaign.data["test"].classes
    macs = net.macs_array(space.to_array([space.smallest(), space.largest()]))
    profiled = campaign.profile_set
    fresh = {t.name: device_final_set(campaign, known, t) for t in campaign.targets.values()}
    fronts = {
        name: set(Front.of(found.frame, campaign.objectives(name)).to_frame()["arch_id"])
        for name, found in fresh.items()
    }
    compared = list(fronts.items())[:MOST_COMPARED]
    devices = []
    for target in campaign.targets.values():
        own = [c for c in cards if c["device"] == target.name]
        device = device_report(campaign, known, target, fresh[target.name], profiled, own)
        others = {name: ids for name, ids in compared if name != target.name}
        device.cross = kept_elsewhere(fresh[target.name], others)
        devices.append(device)
    objectives = [o for t in campaign.targets for o in campaign.objectives(t)]
    examples = task.examples
    name = shlex.quote(campaign.folder.absolute().name)
    shortened = partial(without_host_paths, folder=campaign.folder)
    for device in devices:
        device.description, device.protocol = shortened(device.description), shortened(device.protocol)
    return ReportData(
        title=f"Pareto-optimal subnets of {entry.name}",
        campaign=campaign.folder.absolute().name,
        created=utc_now(),
        supernet=shortened(
            {
                "name": entry.name,
                "subnets": space.cardinality,
                "macs_range": [int(m) for m in macs],
                **({"classes": len(classes)} if classes else {}),
                "licence": entry.card.get("licence", entry.card.get("weights_licence")),
                "training": entry.card.get("training_summary"),
                "preprocess": task.preprocess.to_dict(),
            }
        ),
        objectives=list(dict.fromkeys(objectives)),
        devices=devices,
        accuracy_protocol=shortened(
            {
                "metric": task.score_name,
                "label": task.score_label,
                "unit": task.score_unit,
                "search": f"{len(campaign.data['validation']):,} validation {examples}",
                "final": f"{len(campaign.data['test']):,} test {examples} that the search never saw",
                "calibration": f"{len(campaign.data['calibration']):,} training {examples}, {accuracy_protocol(campaign)}"
                if "calibration" in campaign.data
                else "none: the family has no batch norms",
                "spread": f"± is half of the 95 % interval: 1.96 {task.standard_error_kind} standard errors",
            }
        ),
        provenance=shortened(
            {
                "versions": {
                    "hwsearch": __version__,
                    **versions(
                        "torch", "onnxruntime", "onnx", "numpy", "pymoo", "xgboost-cpu", "xgboost", "scikit-learn"
                    ),
                },
                "seeds": {"search": campaign.config.search.seed},
                **({"search": search_end} if search_end else {}),
                "supernet weights": campaign.loaded.digest,
                "host": host_facts(),
                "commands": [f"hwsearch run {name}/campaign.toml --folder {name}"],
            }
        ),
        warnings=shortened([*report_warnings(campaign, known), *predictor_warnings(campaign, known)]),
        predictors=predictor_scores(campaign, known),
        timings=campaign.seconds(),
        serving=serving(campaign, known),
        serving_words=serving_words(campaign),
        assessment=shortened(read_assessment(campaign.folder, campaign.loaded.digest)),
        tasks=shortened(_tasks(campaign)),
    )


def _tasks(campaign: Campaign) -> list[JsonObject]:
    """Read what the last run told of the tasks that the configuration still has, on the weights that it has."""
    found = campaign.store.get_state(TASKS)
    if not found or found["weights"] != campaign.loaded.digest:
        return []
    names = {t.name for t in campaign.config.task}
    return [row for row in found["rows"] if row["name"] in names]
