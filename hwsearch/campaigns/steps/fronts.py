"""The measured front of a campaign: final measurements with their intervals."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from hwsearch.accuracy import Z95
from hwsearch.campaigns.campaign import Campaign
from hwsearch.campaigns.intervals import ratio_ends, score_error
from hwsearch.campaigns.known import Known
from hwsearch.campaigns.measured import MeasuredSet, measured_set
from hwsearch.campaigns.purpose import VALIDATE
from hwsearch.campaigns.search_config import Deployment
from hwsearch.campaigns.split import Split
from hwsearch.campaigns.target import Target
from hwsearch.campaigns.view import View
from hwsearch.campaigns.views import device_view, joint_view
from hwsearch.errors import CampaignError, nearest
from hwsearch.objectives.front import Front
from hwsearch.objectives.names import SCORE_METRICS
from hwsearch.spaces import Architecture, SearchSpace
from hwsearch.store import Measurement

#: columns that tell how sure it is that a subnet is on the front
SURE = ["front_probability", "front_probability_new_data"]


def front(campaign: Campaign, device: str | None = None, *, deployment: str | None = None) -> Front:
    """Return the measured front: fresh latency, and the score on data the search never saw.

    Parameters
    ----------
    campaign : Campaign
        Whose candidates have been validated.
    device : str, optional
        The device; the only one by default.
    deployment : {"worst-case", "weighted"}, optional
        The front of one subnet for all devices in place of one device's, with the latency on each of them
        (``latency_ms@DEVICE``, ``latency_ms_low@DEVICE``, …).

    Returns
    -------
    Front
        Columns: ``arch_id``, one an objective, for accuracy and what is measured on the device the low and high end of the
        interval, repeats and time of measuring, and how sure it is that the subnet belongs there (see `device_final_set`).

    Raises
    ------
    CampaignError
        If nothing has been validated, or `deployment` is unknown.
    DeviceError
        If there is no such device, or several and none is named.
    """
    view = asked_view(campaign, device, deployment)
    return Front.of(final_set(view, Known.read(campaign)).frame, view.front_objectives)


def asked_view(campaign: Campaign, device: str | None, deployment: str | None) -> View:
    """Return the front that a user asks for.

    Parameters
    ----------
    campaign : Campaign
        Whose front.
    device : str or None
        Name of a device; None for the only one, or with `deployment`.
    deployment : str or None
        ``worst-case`` or ``weighted``; None for one device's front.

    Returns
    -------
    View
        Of the device, or of all devices.

    Raises
    ------
    CampaignError
        If `deployment` is unknown, or both are given.
    DeviceError
        If there is no such device, or several and none is named.
    """
    if deployment is None:
        return device_view(campaign, campaign.target(device))
    known: dict[str, Deployment] = {"worst-case": "worst-case", "weighted": "weighted"}
    if deployment not in known:
        raise CampaignError(f"unknown deployment {deployment!r}.", hint=nearest(deployment, known))
    if device is not None:
        raise CampaignError(f"one subnet is to serve all devices, and only {device!r} is named.", hint="Leave one out.")
    return joint_view(campaign, known[deployment])


def final_set(view: View, known: Known) -> MeasuredSet:
    """Collect all final measurements of a view that are complete in its objectives, on the front or not.

    Parameters
    ----------
    view : View
        The front.
    known : Known
        What the store holds.

    Returns
    -------
    MeasuredSet
        Of the device, see `device_final_set`; of all devices, with ``METRIC_low@DEVICE`` and so on.

    Raises
    ------
    CampaignError
        If there are none.
    """
    sets = [device_final_set(view.campaign, known, t) for t in view.targets]
    if not view.joint:
        return sets[0]
    bare = [replace(s, frame=s.frame.drop(columns=SURE)) for s in sets]
    joined = view.join(bare, known, VALIDATE).complete([o.name for o in view.objectives])
    if not len(joined):
        raise CampaignError(
            "no subnet has been measured afresh on all devices.",
            hint="Run 'hwsearch validate', and see why some failed.",
        )
    return _with_membership(view, known, joined)


def complete_final_set(view: View, known: Known) -> MeasuredSet | None:
    """Collect the final measurements of a view, or none.

    Parameters
    ----------
    view : View
        The front.
    known : Known
        What the store holds.

    Returns
    -------
    MeasuredSet or None
        None while no subnet has been measured afresh in all objectives.
    """
    try:
        return final_set(view, known)
    except CampaignError:
        return None


def device_final_set(campaign: Campaign, known: Known, target: Target) -> MeasuredSet:
    """Collect all final measurements of one device that are complete in its objectives, on the front or not.

    Parameters
    ----------
    campaign : Campaign
        Whose objectives.
    known : Known
        What the store holds.
    target : Target
        The device.

    Returns
    -------
    MeasuredSet
        With ``METRIC_low``, ``METRIC_high``, ``METRIC_repeats`` and ``METRIC_ended_at`` of accuracy and what is measured on
        the device; ``latency_ms_ratio_low`` and ``_high``, the narrower interval that compares subnets of this device;
        ``latency_ms_undisturbed``, the latency while nothing disturbs the host (None where that cannot be told);
        ``front_probability`` of being on the device's front, by the intervals of what was measured there, given the scores on
        the test data; ``front_probability_new_data``, on other test data as many. NaN before `validate` has
        told.

    Raises
    ------
    CampaignError
        If there are none.
    """
    names = [o.name for o in campaign.objectives(target.name)]
    found = measured_set(campaign, known, target, VALIDATE).complete(names)
    if not len(found):
        raise CampaignError(
            f"no subnet has been measured afresh on {target.name!r}.", hint="Run 'hwsearch validate' first."
        )
    frame = found.frame
    on_device = {m: known.metric(target.name, m, VALIDATE) for m in campaign.device_metrics(target.name)}
    scored = {m: known.score(m, Split.TEST, VALIDATE) for m in SCORE_METRICS if m in frame}
    for name, values in {**scored, **on_device}.items():
        rows: list[Measurement | None] = [values.get(i) for i in found.ids]
        for field in ("low", "high", "repeats", "ended_at"):
            frame[f"{name}_{field}"] = [getattr(m, field) if m else None for m in rows]
        if name in scored:
            halves = [Z95 * score_error(m) for m in rows]
            scores = found.values(name)
            frame[f"{name}_low"], frame[f"{name}_high"] = scores - halves, scores + halves
        if name == "latency_ms":
            ends = [ratio_ends(m) if m else (None, None) for m in rows]
            frame[f"{name}_ratio_low"], frame[f"{name}_ratio_high"] = ([e[k] for e in ends] for k in (0, 1))
            frame[f"{name}_undisturbed"] = [m.details.get("undisturbed_ms") if m else None for m in rows]
    return _with_membership(device_view(campaign, target), known, found)


def _with_membership(view: View, known: Known, measured: MeasuredSet) -> MeasuredSet:
    sure = known.memberships.get(view.key, {})
    for k, column in enumerate(SURE):
        measured.frame[column] = [sure[i][k] if i in sure else np.nan for i in measured.ids]
    return measured


def find_arch(campaign: Campaign, arch_id: str) -> Architecture:
    """Find the architecture of an id that the campaign has seen, one of its ends, or one given by its genes.

    Parameters
    ----------
    campaign : Campaign
        Whose store and space.
    arch_id : str
        An id, ``smallest``, ``largest``, or a JSON object of genes with their values; genes left out have their largest.

    Returns
    -------
    Architecture
        Of the campaign's space.

    Raises
    ------
    StoreError
        If the campaign has not seen it.
    UnknownArchitectureGene
        If a gene or a value is not of the campaign's space.
    CampaignError
        If the text begins as a JSON object, and is none.
    """
    if arch_id.startswith("{"):
        return _arch_of_genes(campaign.space, arch_id)
    ends = {"smallest": campaign.space.smallest, "largest": campaign.space.largest}
    return ends[arch_id]() if arch_id in ends else campaign.store.architecture(campaign.space, arch_id)


def _arch_of_genes(space: SearchSpace, text: str) -> Architecture:
    try:
        given = json.loads(text)
    except ValueError as error:
        raise CampaignError(
            f"the architecture {text!r} is no JSON object: {error}.", hint="Write '{\"GENE\": VALUE}', or give an id."
        ) from error
    full = {c.name: c.values[-1] for c in space.choices}
    return space.architecture(full | given, source="the architecture given")
