"""The campaign of a new device: few latencies, no accuracy measured again, and the front that follows over the whole space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hwsearch._json import JsonObject
from hwsearch._typing import FloatArray
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.device_sources import features, timed
from hwsearch.campaigns.jobs.accuracy import measure_accuracy
from hwsearch.campaigns.jobs.latency import measure_latency
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.predictions import predictor_errors
from hwsearch.campaigns.reuse import Reused
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.states import new_device_state
from hwsearch.campaigns.steps.kept_rounds import KeptRounds
from hwsearch.campaigns.steps.new_device import MOST, choose_subnets, learn_from_others
from hwsearch.campaigns.steps.propose import Proposer, tell
from hwsearch.campaigns.steps.screen import estimates
from hwsearch.campaigns.tactic import capabilities
from hwsearch.campaigns.target import Target
from hwsearch.campaigns.views import device_view
from hwsearch.errors import CampaignError, PluginError
from hwsearch.objectives.front import Front
from hwsearch.objectives.names import DEVICE_METRICS
from hwsearch.searchers import Searcher
from hwsearch.searchers.capabilities import PredictsFronts
from predictors.transfer import DeviceTransferPredictor

#: fewest latencies that a front is named from: those that the tactic's first sample would have
LEAST_LATENCIES = 20
#: most subnets that are evaluated, as many as anybody measures
MOST_EVALUATIONS = 10_000
#: subnets that are evaluated before the next ones are chosen
PER_ROUND = 8
#: posterior probability of the intervals of predicted values
COVERAGE = 0.95


@dataclass(frozen=True)
class DeviceRun:
    """Result of the campaign of a new device.

    Attributes
    ----------
    device : str
        Its name.
    folder : str
        The campaign's folder.
    reused : Reused
        What was taken over.
    latencies : int
        Subnets that have been timed on the device.
    evaluated : int
        Of the subnets that were chosen for it, those that have been measured in all objectives.
    trusted : str
        What its latencies were predicted from, in a clause.
    front : pandas.DataFrame
        The measured front: every row was timed on this device, and scored here or in the reused campaign. ``arch_id``, one
        column an objective, and for accuracy and latency the ends of the interval.
    named : pandas.DataFrame
        The predicted front over the whole space: ``arch_id``, ``genes``, and for each objective NAME its value, ``NAME_low``,
        ``NAME_high`` and ``NAME_measured``, which tells whether the value was measured. Where it was not, it is the
        posterior median with a central interval of the noiseless value.
    """

    device: str
    folder: str
    reused: Reused
    latencies: int
    evaluated: int
    trusted: str
    front: pd.DataFrame
    named: pd.DataFrame

    def to_dict(self) -> JsonObject:
        """Describe the run by values that JSON knows.

        Returns
        -------
        dict
            Its attributes; frames as lists of rows.
        """
        plain = {k: v for k, v in vars(self).items() if k not in ("reused", "front", "named")}
        frames = {"front": self.front.to_dict("records"), "named": self.named.to_dict("records")}
        return plain | {"reused": dict(vars(self.reused))} | frames


def check_numbers(latencies: int, evaluations: int) -> None:
    """Check how much a new device's campaign is to measure.

    Parameters
    ----------
    latencies : int
        Subnets to be timed.
    evaluations : int
        Subnets to be evaluated after that.

    Raises
    ------
    CampaignError
        If either is out of range.
    """
    if not LEAST_LATENCIES <= latencies <= MOST:
        raise CampaignError(
            f"latencies {latencies} is not from {LEAST_LATENCIES} to {MOST}.",
            hint="30 are enough for a front; 'hwsearch plan' predicts latencies from fewer.",
        )
    if not 0 <= evaluations <= MOST_EVALUATIONS:
        raise CampaignError(
            f"evaluations {evaluations} is not from 0 to {MOST_EVALUATIONS}.", hint="8 or 24 are usual, 0 for none."
        )


def run_device(campaign: Campaign, target: Target, reused: Reused, latencies: int, evaluations: int) -> DeviceRun:
    """Time few subnets on a new device, name its front over the whole space, and evaluate as many of it as asked.

    Accuracies are those of the reused campaign. Subnets are timed until `latencies` have been, each chosen by what the former
    ones told. Then rounds of `PER_ROUND` are chosen by the tactic and measured in all objectives: the first, while nearly
    nothing is known in full, by the hypervolume of the posterior mean. What each round measures is kept before it is.

    Parameters
    ----------
    campaign : Campaign
        The new device's.
    target : Target
        The device.
    reused : Reused
        What was taken over.
    latencies : int
        Subnets that are to have been timed.
    evaluations : int
        Subnets to be evaluated.

    Returns
    -------
    DeviceRun
        What is known then.

    Raises
    ------
    CampaignError
        If a number is out of range, or the tactic cannot name a front by predictions.
    DeviceError
        If the device is lost; what has been timed is kept.
    """
    check_numbers(latencies, evaluations)
    if not capabilities(campaign).predicted_front:
        raise CampaignError(
            f"tactic {campaign.config.search.tactic!r} cannot name a front from accuracies of one device and latencies of another.",
            hint="Use tactic = 'default' in [search].",
        )
    with predictor_errors(f"latencies on {target.name!r} cannot be predicted"):
        model, _ = learn_from_others(campaign, target)
        _time_ends(campaign, target)
        missing = latencies - len(timed(campaign, target))
        if missing > 0:
            choose_subnets(campaign, target, model, missing, measure=True, balanced=True)
        trusted = _trusted(campaign, target, model)
    evaluated = _evaluate(campaign, target, evaluations)
    searcher = _told(campaign, target)
    known = Known.read(campaign)
    return DeviceRun(
        target.name,
        str(campaign.folder),
        reused,
        len(timed(campaign, target)),
        evaluated,
        trusted,
        _measured_front(campaign, target, known),
        _named(campaign, target, searcher, known),
    )


def _time_ends(campaign: Campaign, target: Target) -> None:
    """Time the smallest and the largest subnet: limits may be shares of the latter's latency."""
    ends = [campaign.space.largest(), campaign.space.smallest()]
    known = timed(campaign, target)
    left = [a for a in ends if a.id not in known]
    if left:
        measure_latency(campaign, target, left, stage="largest and smallest")


def _trusted(campaign: Campaign, target: Target, model: DeviceTransferPredictor) -> str:
    """Say what the latencies of a device are predicted from."""
    found = timed(campaign, target)
    archs = campaign.store.architectures(campaign.space, list(found))
    model.fit(features(campaign, archs), np.array([found[a.id] for a in archs]))
    return f"{len(archs)} latencies; {model.explain()}"


def _evaluate(campaign: Campaign, target: Target, evaluations: int) -> int:
    """Choose and measure rounds of subnets until so many have been; return how many are complete."""
    c = campaign.config.search
    name = new_device_state(c.tactic, c.seed, target.fingerprint)
    kept = KeptRounds(campaign.store, name, {"supernet": campaign.loaded.digest})
    proposer = Proposer(campaign)
    view, wanted, r = device_view(campaign, target), 0, 0
    done: dict[str, None] = {}
    while wanted < evaluations:
        number = min(PER_ROUND, evaluations - wanted)

        def proposed(r: int = r, number: int = number) -> JsonObject | None:
            found = proposer.propose(r, number)
            return {"devices": found} if found[view.name]["archs"] else None

        one = kept.begin(r, proposed)
        if one is None:  # the space has no more
            break
        archs = [campaign.space.architecture(genes) for genes in one["devices"][view.name]["archs"]]
        scored = measure_accuracy(campaign, archs, stage=f"round {r + 1} accuracy")
        found = measure_latency(campaign, target, archs, stage=f"round {r + 1}")
        done |= dict.fromkeys(i for i in found if i in scored)
        wanted, r = wanted + len(archs), r + 1
    return len(done)


def _told(campaign: Campaign, target: Target) -> Searcher:
    """Make a searcher that knows all that is known for a device."""
    proposer, view, known = Proposer(campaign), device_view(campaign, target), Known.read(campaign)
    measured = view.measured(known)
    searcher = proposer.searcher(view, 0, measured, known)
    tell(view, searcher, measured, known, estimates(campaign, known))
    return searcher


def _measured_front(campaign: Campaign, target: Target, known: Known) -> pd.DataFrame:
    """Collect the front of what was measured in all objectives, with intervals."""
    view = device_view(campaign, target)
    measured = view.measured(known)
    objectives = view.resolved(measured)
    complete = measured.complete([o.name for o in objectives])
    if not len(complete):
        return pd.DataFrame(columns=["arch_id", *(o.name for o in objectives)])
    frame = Front.of(complete.frame, objectives).to_frame()
    for name, rows in {"accuracy": known.accuracy(Split.VALIDATION), "latency_ms": known.latency(target.name)}.items():
        for end in ("low", "high"):
            frame[f"{name}_{end}"] = [getattr(rows[i], end) if i in rows else None for i in frame["arch_id"]]
    keep = ["arch_id", *(o.name for o in objectives), *(c for c in frame.columns if c.endswith(("_low", "_high")))]
    names = {o.name: o.metric for o in objectives if o.metric in DEVICE_METRICS}
    return frame[keep].rename(columns=names).reset_index(drop=True)


def _named(campaign: Campaign, target: Target, searcher: Searcher, known: Known) -> pd.DataFrame:
    """Name the front by predictions, over the whole space; what was measured of its members stands in place of predictions."""
    if not isinstance(searcher, PredictsFronts):
        raise PluginError(
            f"tactic {campaign.config.search.tactic!r} says that it names fronts by predictions, but has no method for it.",
            hint="It needs those of hwsearch.searchers.capabilities.PredictsFronts.",
        )
    members = searcher.predicted_front(campaign.config.validate_.candidates)
    campaign.enter(members)
    predicted = searcher.predict(members, COVERAGE)
    frame = pd.DataFrame({"arch_id": [a.id for a in members], "genes": [a.to_dict() for a in members]})
    for objective in searcher.objectives:
        name = objective.metric if objective.metric in DEVICE_METRICS else objective.name
        rows = known.accuracy(Split.VALIDATION) if objective.metric == "accuracy" else None
        if objective.metric in DEVICE_METRICS:
            rows = known.metric(target.name, objective.metric)
        there = np.array([rows is not None and a.id in rows for a in members], dtype=bool)
        for part in ("", "_low", "_high"):
            values: FloatArray = predicted[f"{objective.name}{part}"].to_numpy(dtype=np.float64).copy()
            for k in np.flatnonzero(there):
                found = getattr((rows or {})[members[k].id], part.lstrip("_") or "value")
                values[k] = np.nan if found is None else found
            frame[f"{name}{part}"] = values
        frame[f"{name}_measured"] = there if rows is not None else True
    return frame
