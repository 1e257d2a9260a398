"""From the store to the report: gathers what was measured into `ReportData` and writes page, plots and tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsearch._version import __version__
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.known import accuracy_protocol
from hwsearch.campaigns.steps.fronts import front_frame
from hwsearch.campaigns.steps.report_devices import _device, _predictors
from hwsearch.campaigns.steps.report_serving import _serving_words, serving
from hwsearch.campaigns.steps.report_warnings import _warnings
from hwsearch.campaigns.steps.search import how_it_ended
from hwsearch.devices import host_facts, versions
from hwsearch.objectives.front import Front
from hwsearch.objectives.objective import Objective
from hwsearch.objectives.pareto import hypervolume, reference_point
from hwsearch.reporting import ReportData
from hwsearch.store import utc_now


def report_data(campaign: Campaign, cards: list[dict[str, Any]]) -> ReportData:
    """Everything the page and the figures show."""
    entry, task = campaign.loaded.entry, campaign.loaded.task
    net, space, classes = campaign.loaded.net, campaign.space, campaign.data["test"].classes
    macs = net.macs_array(space.to_array([space.smallest(), space.largest()]))
    devices = [_device(campaign, t, [c for c in cards if c["device"] == t.name]) for t in campaign.targets.values()]
    for device in devices:
        device.cross = _cross(campaign, device.name)
    objectives = [o for t in campaign.targets for o in campaign.objectives(t)]
    examples = task.examples
    source = campaign.folder.as_posix()
    return ReportData(
        title=f"Pareto-optimal subnets of {entry.name}",
        campaign=campaign.folder.name,
        created=utc_now(),
        supernet={
            "name": entry.name,
            "subnets": space.cardinality,
            "macs_range": [int(m) for m in macs],
            **({"classes": len(classes)} if classes else {}),
            "licence": entry.card.get("licence", entry.card.get("weights_licence")),
            "training": entry.card.get("training_summary"),
            "preprocess": task.preprocess.to_dict(),
        },
        objectives=list(dict.fromkeys(objectives)),
        devices=devices,
        accuracy_protocol={
            "metric": task.score_name,
            "label": task.score_label,
            "unit": task.score_unit,
            "search": f"{len(campaign.data['validation']):,} validation {examples}",
            "final": f"{len(campaign.data['test']):,} test {examples} that the search never saw",
            "calibration": f"{len(campaign.data['calibration']):,} training {examples}, {accuracy_protocol(campaign)}"
            if "calibration" in campaign.data
            else "none: the family has no batch norms",
            "spread": f"± is one {task.standard_error_kind} standard error",
        },
        provenance={
            "versions": {
                "hwsearch": __version__,
                **versions("torch", "onnxruntime", "onnx", "numpy", "pymoo", "xgboost-cpu", "xgboost", "scikit-learn"),
            },
            "seeds": {"search": campaign.config.search.seed},
            **({"search": ended} if (ended := how_it_ended(campaign)) else {}),
            "supernet weights": campaign.loaded.digest,
            "host": host_facts(),
            "commands": [f"hwsearch run {source}/campaign.toml --folder {source}"],
        },
        warnings=_warnings(campaign),
        predictors=_predictors(campaign),
        timings=campaign.seconds(),
        serving=serving(campaign),
        serving_words=_serving_words(campaign),
    )


def _cross(campaign: Campaign, device: str) -> dict[str, float]:
    """Share of this device's hypervolume that is kept when the front of another device runs here."""
    two = [Objective("accuracy"), Objective("latency_ms")]
    here = front_frame(campaign, campaign.target(device))
    values = here[["accuracy", "latency_ms"]].to_numpy(dtype=np.float64)
    reference = reference_point(values, two)
    own = hypervolume(values, two, reference)
    kept = {}
    for other in campaign.targets:
        if other != device and own > 0:
            theirs = set(
                Front.of(front_frame(campaign, campaign.target(other)), campaign.objectives(other)).to_frame()[
                    "arch_id"
                ]
            )
            kept[other] = hypervolume(values[here["arch_id"].isin(theirs).to_numpy()], two, reference) / own
    return kept
